"""Opinions as a table, from and to other tools: Parquet, CSV or TSV, a row an opinion."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from folkmoot.formats.lines import Row
from folkmoot.formats.replacing import replacing
from folkmoot.formats.tables import read_csv_rows, read_parquet_rows, write_parquet_rows
from folkmoot.records import BadInput, Opinion

COLUMNS = {
    "id": "text", "agent": "text", "round": "integer", "outcome": "text", "label": "text", "confidence": "number",
    "rationale": "text", "calls": "texts",
}  # fmt: skip
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def is_table(path: str | Path) -> bool:
    """Whether a file of this name is read as a table; `.csv.gz` and `.tsv.gz` are too."""
    return _ending(path) in (".parquet", *DELIMITERS)


def read_table_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """Yields (line of a CSV or row of a Parquet file, fields) for each row; an empty cell is a field that is not there.

    Raises:
        MissingExtra: pyarrow is not installed.
        BadInput: the file is missing, or is not what its name says.
        BadRecord: a row does not fit its header, or there is none.
    """
    ending = _ending(path)
    if ending == ".parquet":
        yield from read_parquet_rows(path)
        return
    for line, cells in read_csv_rows(path, delimiter=DELIMITERS[ending]):
        row: Row = {name: cell for name, cell in cells.items() if cell}
        if "calls" in row:
            row["calls"] = row["calls"].split()
        yield line, row


def _ending(path: str | Path) -> str:
    return Path(str(path).removesuffix(".gz")).suffix.lower()


def write_opinion_table(opinions: Mapping[str, Sequence[Opinion]], path: str | Path) -> None:
    """Writes the opinions of each post id, every column in every row; keys of calls are joined by spaces in CSV.

    Raises:
        BadInput: the file's ending is none of .parquet, .csv and .tsv.
        MissingExtra: pyarrow is not installed.
        StorageFailed: the disk is full or the folder may not be written.
    """
    path = Path(path)
    rows = [{"id": post, **one.model_dump(mode="json")} for post, said in opinions.items() for one in said]
    if path.suffix == ".parquet":
        with replacing(path) as draft:
            write_parquet_rows(rows, draft, types=dict(COLUMNS))
        return
    if path.suffix not in DELIMITERS:
        raise BadInput(f"cannot write {path}: a table of opinions ends in .parquet, .csv or .tsv")
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), delimiter=DELIMITERS[path.suffix])
        writer.writeheader()
        writer.writerows({**row, "calls": " ".join(row["calls"])} for row in rows)
