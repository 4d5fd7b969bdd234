"""Opinions as a table for other tools: Parquet, CSV or TSV, a row an opinion."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from folkmoot.formats.replacing import replacing
from folkmoot.formats.tables import write_parquet_rows
from folkmoot.records import BadInput, Opinion

COLUMNS = {
    "id": "text", "agent": "text", "round": "integer", "outcome": "text", "label": "text", "confidence": "number",
    "rationale": "text", "calls": "texts",
}  # fmt: skip
DELIMITERS = {".csv": ",", ".tsv": "\t"}


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
