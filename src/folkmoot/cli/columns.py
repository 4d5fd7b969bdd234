"""What `--column FIELD=COLUMN` says."""

from __future__ import annotations

from collections.abc import Sequence


def read_columns(given: Sequence[str] | None) -> dict[str, str] | None:
    """The column map, None where none was given.

    Example:
        >>> read_columns(["text=tweet", "id=#"])
        {'text': 'tweet', 'id': '#'}

    Raises:
        BadInput: one is not FIELD=COLUMN, or a field is mapped twice.
    """
    from folkmoot.records import BadInput

    columns: dict[str, str] = {}
    for pair in given or ():
        field, _, column = pair.partition("=")
        if not field or not column:
            raise BadInput(f"--column {pair}: give FIELD=COLUMN, such as text=tweet")
        if field in columns:
            raise BadInput(f"--column maps '{field}' twice")
        columns[field] = column
    return columns or None
