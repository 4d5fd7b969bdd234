"""A row of a file as a record, or an error that names the field and suggests the nearest one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from folkmoot.records import BadRecord, Task

R = TypeVar("R", bound=BaseModel)

HIDDEN = {"text", "rationale", "meta"}
"""Fields of which an error shows nothing: they hold what people wrote."""

NEAR = 0.8
"""How alike (difflib ratio) an unknown field is to a known one to count as a slip: lable, txt, but not label_id."""


def nearest(word: str, accepted: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The accepted word that `word` was probably meant to be, if any comes close."""
    return next(iter(difflib.get_close_matches(word, list(accepted), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """A clause for the middle of an error: the nearest accepted word, or nothing."""
    near = nearest(word, accepted)
    return f", did you mean '{near}'?" if near else ""


def suggestion(word: str, accepted: Iterable[str]) -> str:
    """The end of an error: the nearest accepted word, then all of them."""
    accepted = list(accepted)
    near = nearest(word, accepted)
    return (f"Did you mean '{near}'? " if near else "") + f"Accepted: {', '.join(accepted)}."


def shown(value: Any) -> str:
    """A value as an error may show it: one short word or a number as it is, of anything else only the type.

    More than a word may be a post's text that a wrong column map put in the place of a label.
    """
    if isinstance(value, str):
        short = len(value) <= 40 and not re.search(r"\s", value)
        return repr(value) if short else f"a str of {len(value)} characters"
    return repr(value) if isinstance(value, bool | int | float) else f"a {type(value).__name__}"


def columns_of(row: Iterable[str]) -> list[str]:
    """The column names that an error may list. In a file without a header the first post stands in their place."""
    return [name for name in row if name and len(name) <= 24 and len(name.split()) <= 3][:20]


def check_slip(row: dict[str, Any], known: Iterable[str], *, path: str | Path, line: int) -> None:
    """Refuses a row with a field that looks like a misspelt known one which the row lacks.

    Other unknown fields are the caller's to keep or to leave out; a misspelt one would be lost in silence.
    """
    known = list(known)
    missing = [name for name in known if name not in row]
    for field in row:
        if field not in known and (near := nearest(field, missing, cutoff=NEAR)):
            raise BadRecord(path, line, field, f"unknown field; did you mean '{near}'?", "Rename or remove the field.")


def record_from(
    model: type[R],
    row: dict[str, Any],
    *,
    path: str | Path,
    line: int | None,
    whole: str | None = None,
    within: str = "",
) -> R:
    """The record that the row describes, or the error that names the field at fault.

    Args:
        whole: the field named where a rule spans several fields.
        within: the field that holds the row, where the row is part of another.
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        # `from None`: pydantic's own message shows the input, which may be a post's text.
        found = error.errors(include_url=False)
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])  # a slip explains a gap
        field = ".".join(str(part) for part in (*filter(None, [within]), *first["loc"])) or whole
        if first["type"] == "missing":
            problem = f"the field is missing; the row has {', '.join(map(repr, list(row)[:12])) or 'no fields'}."
        elif first["type"] == "extra_forbidden":
            problem = "unknown field. " + suggestion(str(first["loc"][-1]), _fields_at(model, first["loc"]))
        elif first["type"] == "value_error":
            problem = first["msg"].removeprefix("Value error, ") + "."
        else:
            value = first["input"]
            hidden = isinstance(value, str) and first["loc"][:1] and first["loc"][0] in HIDDEN
            problem = f"{first['msg']}; {'a str' if hidden else shown(value)} arrived."
        raise BadRecord(path, line, field, problem) from None


def check_label(label: str | None, task: Task | None, *, path: str | Path, line: int, field: str = "label") -> None:
    """Refuses a label that the task does not have."""
    if task is not None and label is not None and label not in task.label_names:
        raise BadRecord(
            path,
            line,
            field,
            f"{shown(label)} is not a label of task '{task.name}'.",
            suggestion(label[:40], task.label_names),
        )


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The fields of the record at the place where pydantic met an unknown one."""
    current: Any = model
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        annotation = current.model_fields[part].annotation
        arguments = (annotation, *getattr(annotation, "__args__", ()))
        inner = next((a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if inner is None:
            return []
        current = inner
    return list(current.model_fields)
