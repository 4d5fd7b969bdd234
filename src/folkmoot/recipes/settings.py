"""The settings that a recipe's table names, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from folkmoot.formats.fields import did_you_mean, shown
from folkmoot.records import BadInput, Record

S = TypeVar("S", bound=Record)


class BadSettings(BadInput):
    """A table of a recipe that cannot be used; whoever has read the recipe knows its file."""


def settings_of(kind: type[S], values: Mapping[str, Any], table: str) -> S:
    """The settings that a recipe's table names, the rest at their defaults.

    Raises:
        BadSettings: a field is unknown or its value is not accepted.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = did_you_mean(field, kind.model_fields) if first["type"] == "extra_forbidden" else ""
        arrived = "" if first["type"] in ("missing", "extra_forbidden") else f"; {shown(first['input'])} arrived"
        raise BadSettings(f"recipe table '{table}', field '{field}': {first['msg']}{arrived}{hint or '.'}") from None
