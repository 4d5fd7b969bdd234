"""Rows of CSV and Parquet files, streamed, with the number of the line that each stands on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from folkmoot.formats.lines import LINE_LIMIT_BYTES, Row, read_lines
from folkmoot.records import BadInput, BadRecord, MissingExtra


def read_cells(
    path: str | Path, *, delimiter: str = ",", encoding: str = "utf-8", strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number where the row ends, cells) for every row of a CSV file, a header being a row too.

    Raises:
        BadRecord: a quote is never closed, a cell is over the limit, or the bytes do not fit the encoding.
    """
    csv.field_size_limit(LINE_LIMIT_BYTES)  # process-wide in Python; the default of 128 KiB is less than we accept
    reader = csv.reader((line for _, line in read_lines(path, encoding=encoding)), delimiter=delimiter, strict=strict)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadRecord(
                path, reader.line_num, None, f"not valid CSV ({error}).", "Often a quote that is never closed."
            ) from None
        if cells:
            yield reader.line_num, cells


def read_csv_rows(
    path: str | Path,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    strict: bool = True,
    header: Sequence[str] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {column: cell}) of a CSV file, whose first row is the header unless one is given.

    Raises:
        BadRecord: a row is longer or shorter than the header, a column's name occurs twice, or there is no row.
    """
    columns = list(header) if header else None
    empty = True
    for line, cells in read_cells(path, delimiter=delimiter, encoding=encoding, strict=strict):
        if columns is None:
            columns = cells
            twice = next((name for name in columns if name and columns.count(name) > 1), None)
            if twice is not None:
                raise BadRecord(path, line, twice, "the header names the column twice.", "Rename one of them.")
            continue
        if len(cells) != len(columns):
            raise BadRecord(
                path,
                line,
                None,
                f"{len(cells)} cells arrived; the header has {len(columns)} columns.",
                "Quote cells that contain the separator.",
            )
        empty = False
        yield line, dict(zip(columns, cells, strict=True))
    if empty:
        raise BadRecord(path, None, None, "the file has no row.", "A header and at least one row are needed.")


def read_parquet_rows(path: str | Path | BinaryIO) -> Iterator[tuple[int, Row]]:
    """Yields (row number from 1, row) of a Parquet file or an open stream of one, a batch in memory at a time.

    Raises:
        MissingExtra: pyarrow is not installed.
        BadInput: the file is missing or not Parquet.
    """
    parquet, arrow = parquet_modules("reading Parquet files")
    name = path if isinstance(path, str | Path) else str(getattr(path, "name", "the stream"))
    if isinstance(path, str | Path) and not Path(path).is_file():
        raise BadInput(f"cannot read {path}: no such file")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for index in range(batch.num_rows):
                    number += 1
                    try:
                        row = {
                            name: column[index].as_py()
                            for name, column in zip(batch.schema.names, batch.columns, strict=True)
                        }
                    except UnicodeDecodeError:
                        raise BadRecord(name, number, None, "a text is not valid UTF-8.", "Mend the row.") from None
                    yield number, row
    except (arrow.ArrowInvalid, OSError) as error:
        raise BadInput(f"cannot read {name} as Parquet: {str(error).splitlines()[0][:200]}") from None
    if number == 0:
        raise BadRecord(name, None, None, "the file has no row.", "At least one row is needed.")


def write_parquet_rows(rows: list[Row], path: str | Path, *, types: dict[str, Any]) -> None:
    """Writes rows as Parquet at `path`. `types` maps a column to 'text', 'texts', 'integer', 'number' or 'media'."""
    parquet, arrow = parquet_modules("writing Parquet files")
    text = arrow.string()
    known = {
        "text": text,
        "texts": arrow.list_(text),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "media": arrow.list_(arrow.struct([("path", text), ("type", text), ("sha256", text)])),
    }
    schema = arrow.schema([(name, known[kind]) for name, kind in types.items()])
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path)


def parquet_modules(what: str) -> tuple[Any, Any]:
    """`pyarrow.parquet` and `pyarrow`.

    Raises:
        MissingExtra: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(what, "parquet") from None
    return pyarrow.parquet, pyarrow
