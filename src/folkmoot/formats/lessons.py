"""Lessons from and to JSONL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from folkmoot.formats.fields import record_from
from folkmoot.formats.lines import read_rows, write_rows
from folkmoot.records import Lesson


def read_lessons(path: str | Path) -> list[Lesson]:
    """The lessons of a file, in its order.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row is no lesson, or the file holds none.
    """
    return [record_from(Lesson, row, path=path, line=line, whole="target") for line, row in read_rows(path)]


def write_lessons(lessons: Iterable[Lesson], path: str | Path) -> None:
    """Writes lessons as JSONL, in the order given.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    write_rows((lesson.model_dump(mode="json") for lesson in lessons), path)
