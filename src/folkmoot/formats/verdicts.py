"""Verdicts from and to JSONL, and as Parquet tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from folkmoot.formats.fields import check_slip, record_from, shown
from folkmoot.formats.lines import Row, read_rows, write_rows
from folkmoot.formats.tables import parquet_modules, read_parquet_rows
from folkmoot.records import BadInput, BadRecord, Verdict

FIELDS = tuple(Verdict.model_fields)
COLUMNS = ("id", "outcome", "label", "probability", "task", "judge")
"""A table's own columns, to filter and join by; the whole verdict stands beside them in `line`, byte for byte."""
ROWS_A_GROUP = 4096


def read_verdicts(path: str | Path) -> list[Verdict]:
    """The verdicts of a JSONL or Parquet file, or of a folder of such files as Ray's workers leave, one a post.

    A post that was judged again after a failure has its last verdict. Unknown fields are left out, so that later versions may add some; one that looks misspelt is refused.

    Raises:
        BadInput: the file is missing, or the folder has none.
        BadRecord: a row is no verdict, or a post has a second one although its first was no failure.
    """
    verdicts: dict[str, Verdict] = {}
    lines: dict[str, str] = {}
    for file, line, row in _rows_of(Path(path)):
        check_slip(row, FIELDS, path=file, line=line)
        fields = {name: row[name] for name in FIELDS if name in row}
        verdict = record_from(Verdict, fields, path=file, line=line, whole="label")
        before = verdicts.get(verdict.id)
        if before is not None and not (before.outcome.is_failure and before.judge == verdict.judge):
            raise BadRecord(
                file,
                line,
                "id",
                f"{lines[verdict.id]} has a verdict on {shown(verdict.id)} already.",
                "One verdict a post; keep two judges' verdicts in two files.",
            )
        verdicts[verdict.id] = verdict
        lines[verdict.id] = f"line {line}" if file == Path(path) else f"line {line} of {file.name}"
    return list(verdicts.values())


def _rows_of(path: Path) -> Iterator[tuple[Path, int, Row]]:
    """Yields (file, line or row number, fields) of a file of verdicts, or of a folder's files by their names."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in (".jsonl", ".parquet"))
        if not files:
            raise BadInput(
                f"{path} is a folder without a .jsonl or .parquet file of verdicts; name a file, or Ray's folder"
            )
    for file in files:
        for line, row in verdict_rows(file):
            yield file, line, row


def write_verdicts(verdicts: Iterable[Verdict], path: str | Path) -> None:
    """Writes verdicts as JSONL, in the order given, the same bytes as `Verdict.to_line` for plain values.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    write_rows((verdict.model_dump(mode="json") for verdict in verdicts), path)


def verdict_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yields (line or row number, fields) of a file of verdicts."""
    if path.suffix != ".parquet":
        yield from read_rows(path)
        return
    for number, line in table_lines(path):
        yield number, json.loads(line)


def table_lines(path: Path | BinaryIO, name: str | None = None) -> Iterator[tuple[int, str]]:
    """Yields (row number, verdict as its line of JSON) of a table that `write_verdict_table` wrote.

    Raises:
        BadRecord: the table has no such column, so it is another one.
    """
    for number, row in read_parquet_rows(path):
        line = row.get("line")
        if not isinstance(line, str):
            raise BadRecord(
                name or str(path), number, "line", "it is no table of verdicts.",
                "Give one that `folkmoot judge --on ray --format parquet` wrote, or JSONL.",
            )  # fmt: skip
        yield number, line


def write_verdict_table(lines: Iterable[bytes], stream: BinaryIO) -> None:
    """Writes verdicts, given as their lines of JSON, as a Parquet table, a group of rows in memory at a time.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    parquet, arrow = parquet_modules("writing Parquet files")
    types = {name: arrow.float64() if name == "probability" else arrow.string() for name in COLUMNS}
    schema = arrow.schema([*types.items(), ("line", arrow.string())])
    with parquet.ParquetWriter(stream, schema) as writer:
        for group in grouped(lines):
            rows = [{**json.loads(line), "line": line.decode()} for line in group]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def grouped(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in lists of at most `ROWS_A_GROUP`."""
    group: list[bytes] = []
    for line in lines:
        group.append(line)
        if len(group) == ROWS_A_GROUP:
            yield group
            group = []
    if group:
        yield group
