"""What a run came to, in words for people."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from folkmoot.records import Record

LONGEST = 8
"""A table with more rows than this is told by their number (chosen)."""


@contextmanager
def summary_told(*, as_json: bool) -> Iterator[None]:
    """Print what a run came to where too many failures or the budget stop it; the error passes on."""
    from folkmoot.records import FolkmootError, Record

    try:
        yield
    except FolkmootError as error:
        if isinstance(error.so_far, Record):
            typer.echo(error.so_far.model_dump_json() if as_json else in_words(error.so_far))
        raise


def in_words(result: "Record") -> str:
    """A summary or a plan: a line of names and values, and below it one for each part. What is empty is left out."""
    values = result.model_dump()
    values.pop("ledger", None)
    parts = {name: value for name, value in values.items() if isinstance(value, Mapping) and not is_table(value)}
    lines = [one_line({name: value for name, value in values.items() if name not in parts})]
    lines += [f"{name}: {one_line(part)}" for name, part in parts.items()]
    return "\n".join(lines)


def is_table(value: Mapping[str, object]) -> bool:
    """Whether it maps keys to numbers, rather than fields to what they hold."""
    return all(isinstance(one, int | float) for one in value.values())


def one_line(values: Mapping[str, object]) -> str:
    """Names and values, two spaces apart; a table's rows are joined by commas."""
    told = []
    for name, value in values.items():
        if value is None or value == {} or value == [] or value == ():
            continue
        if name == "outcomes" and isinstance(value, Mapping):
            told.append("outcomes " + ", ".join(f"{count} {outcome}" for outcome, count in value.items()))
        elif isinstance(value, Mapping) and len(value) > LONGEST:
            told.append(f"{name} of {len(value)}")
        elif isinstance(value, Mapping):
            told.append(f"{name} " + ", ".join(f"{row} {number(count)}" for row, count in value.items()))
        else:
            told.append(f"{name} {number(value)}")
    return "  ".join(told)


def number(value: object) -> str:
    """A value with four digits where it is no whole number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
