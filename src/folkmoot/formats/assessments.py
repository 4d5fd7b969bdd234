"""Assessments of a society's opinions, and finished social chains of thought, from JSONL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.formats.lines import Row, read_rows
from folkmoot.records import BadRecord

CLASSES = ("correct", "partially_correct", "incorrect")


class AssessmentRow(NamedTuple):
    """What somebody thinks of one user's opinion on one post."""

    post: str
    user: str
    assessment: str
    confidence: float


class ScotRow(NamedTuple):
    """A post's finished chosen and rejected reasoning, and the doubts that were noted about it."""

    chosen: str
    rejected: str
    flags: tuple[str, ...]


def read_assessments(path: str | Path) -> list[AssessmentRow]:
    """The assessments of a file: rows `{"id", "user", "class", "confidence"}`, or a row a post with these in `classes`.

    A missing confidence is 1.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row names no post, no user or an unknown class, or a post and user stand twice.
    """
    rows: list[AssessmentRow] = []
    seen: dict[tuple[str, str], int] = {}
    for line, row in read_rows(path):
        post = text_field(row, "id", path, line)
        for part, within in parts_of(row, path, line):
            user = text_field(part, "user", path, line, within)
            kind = text_field(part, "class", path, line, within)
            if kind not in CLASSES:
                raise BadRecord(path, line, f"{within}class", "no such class.", f"Accepted: {', '.join(CLASSES)}.")
            confidence = part.get("confidence", 1.0)
            if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
                raise BadRecord(path, line, f"{within}confidence", "not a number from 0 to 1.")
            if (first := seen.setdefault((post, user), line)) != line:
                raise BadRecord(path, line, "user", f"line {first} assesses this user on this post already.")
            rows.append(AssessmentRow(post, user, kind, float(confidence)))
    return rows


def read_scot(path: str | Path) -> dict[str, ScotRow]:
    """Each post's finished reasoning: rows `{"id", "chosen", "rejected"}`; a true field that ends in `_doubtful` flags it.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row lacks one of the three, or a post stands twice.
    """
    held: dict[str, ScotRow] = {}
    for line, row in read_rows(path):
        post = text_field(row, "id", path, line)
        if post in held:
            raise BadRecord(path, line, "id", "this post stands in the file already.", "One row a post.")
        flags = tuple(sorted(name for name, value in row.items() if name.endswith("_doubtful") and value is True))
        chosen, rejected = (text_field(row, name, path, line) for name in ("chosen", "rejected"))
        held[post] = ScotRow(chosen, rejected, flags)
    return held


def parts_of(row: Row, path: str | Path, line: int) -> Iterator[tuple[dict[str, Any], str]]:
    """The assessments in a row, with the field that holds each."""
    if "classes" not in row:
        yield row, ""
        return
    if not isinstance(row["classes"], list) or not all(isinstance(part, dict) for part in row["classes"]):
        raise BadRecord(path, line, "classes", "not a list of objects with 'user' and 'class'.")
    for number, part in enumerate(row["classes"]):
        yield part, f"classes.{number}."


def text_field(row: dict[str, Any], name: str, path: str | Path, line: int, within: str = "") -> str:
    """A field that must be a text with something in it."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRecord(path, line, f"{within}{name}", "the field is missing or no text.", "Every row needs it.")
    return value
