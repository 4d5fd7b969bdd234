"""A plan of a society: which users are asked about which post, and the posts' topics, from posts or a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from folkmoot.formats.fields import shown
from folkmoot.formats.lines import Row, read_rows
from folkmoot.records import BadRecord


class SeatingRow(NamedTuple):
    """What a file says of one post; None where it says nothing."""

    users: tuple[str, ...] | None
    topics: tuple[str, ...] | None


def read_seatings(path: str | Path) -> dict[str, SeatingRow]:
    """The rows `{"id", "users": [...], "topics": [...]}` of a JSONL file, by post; both lists are optional.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row has no id or its lists are no lists of texts, a user is named twice, or a post stands twice.
    """
    held: dict[str, SeatingRow] = {}
    for line, row in read_rows(path):
        post = row.get("id")
        if not isinstance(post, str) or not post:
            raise BadRecord(path, line, "id", "the field is missing or no text.", "Every row needs a post's id.")
        if post in held:
            raise BadRecord(path, line, "id", f"{shown(post)} stands in the file already.", "One row a post.")
        users, topics = (texts(row, name, path, line) for name in ("users", "topics"))
        if users is not None and len(set(users)) < len(users):
            raise BadRecord(path, line, "users", "a user is named twice.", "Name each user once.")
        held[post] = SeatingRow(users, topics)
    return held


def texts(row: Row, name: str, path: str | Path, line: int) -> tuple[str, ...] | None:
    """A field that is a list of texts, or not there."""
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise BadRecord(path, line, name, "not a list of texts.")
    return tuple(value)
