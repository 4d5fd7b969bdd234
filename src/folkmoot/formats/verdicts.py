"""Verdicts from and to JSONL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from folkmoot.formats.fields import check_slip, record_from, shown
from folkmoot.formats.lines import read_rows, write_rows
from folkmoot.records import BadRecord, Verdict

FIELDS = tuple(Verdict.model_fields)


def read_verdicts(path: str | Path) -> list[Verdict]:
    """The verdicts of a file, one a post. A post that was judged again after a failure has its last verdict.

    Unknown fields are left out, so that later versions may add some; one that looks misspelt is refused.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row is no verdict, or a post has a second one although its first was no failure.
    """
    verdicts: dict[str, Verdict] = {}
    lines: dict[str, int] = {}
    for line, row in read_rows(path):
        check_slip(row, FIELDS, path=path, line=line)
        fields = {name: row[name] for name in FIELDS if name in row}
        verdict = record_from(Verdict, fields, path=path, line=line, whole="label")
        before = verdicts.get(verdict.id)
        if before is not None and not (before.outcome.is_failure and before.judge == verdict.judge):
            raise BadRecord(
                path,
                line,
                "id",
                f"line {lines[verdict.id]} has a verdict on {shown(verdict.id)} already.",
                "One verdict a post; keep two judges' verdicts in two files.",
            )
        verdicts[verdict.id] = verdict
        lines[verdict.id] = line
    return list(verdicts.values())


def write_verdicts(verdicts: Iterable[Verdict], path: str | Path) -> None:
    """Writes verdicts as JSONL, in the order given, the same bytes as `Verdict.to_line` for plain values.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    write_rows((verdict.model_dump(mode="json") for verdict in verdicts), path)
