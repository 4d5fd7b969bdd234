"""Lines of text and rows of JSON, streamed, with an error that names the file, the line and the field."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from folkmoot.formats.replacing import replacing
from folkmoot.records import BadInput, BadRecord

LINE_LIMIT_BYTES = 8 * 2**20
"""The longest line accepted. Chosen: a hundred times the longest post seen, and small enough to hold in memory."""

Row = dict[str, Any]


def read_lines(path: str | Path, *, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line with its end), of a plain or gzipped file.

    Lines end at a line feed only, so that separators inside a JSON string (U+2028, a lone carriage return) do not
    cut it. A byte order mark at the start is dropped.

    Raises:
        BadInput: the file is missing or unreadable.
        BadRecord: a line is over the limit or not valid in the encoding, or the gzip stream is damaged.
    """
    path = Path(path)
    number = 0
    with _open(path) as stream:
        while True:
            number += 1
            try:
                line = stream.readline(LINE_LIMIT_BYTES + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error):
                raise BadRecord(
                    path, number, None, "the gzip stream is damaged or cut short.", "Copy or compress the file again."
                ) from None
            except OSError as error:
                raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
            if not line:
                return
            if len(line) > LINE_LIMIT_BYTES:
                raise BadRecord(
                    path,
                    number,
                    None,
                    f"the line is longer than {LINE_LIMIT_BYTES // 2**20} MiB.",
                    "One record a line is accepted; pictures belong in files named by 'media'.",
                )
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise BadRecord(
                    path,
                    number,
                    None,
                    f"byte {error.start + 1} of the line is not valid {encoding.upper()}.",
                    "Save the file as UTF-8.",
                ) from None
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def read_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """Yields (line number, JSON object) for every line of a JSONL file that is not blank.

    Raises:
        BadRecord: a line is not a JSON object, or the file holds no row at all.
    """
    empty = True
    for number, line in read_lines(path):
        if line.isspace():
            continue
        empty = False
        yield number, _parse(path, number, line)
    if empty:
        raise BadRecord(path, None, None, "the file is empty.", "At least one line with a JSON object is needed.")


def write_rows(rows: Iterable[Row], path: str | Path) -> None:
    """Writes rows as JSONL (gzipped if the name ends in .gz); the file appears whole or not at all.

    Raises:
        BadInput: a row holds a value that JSON cannot (a NaN, half of a surrogate pair).
        StorageFailed: the disk is full or the folder may not be written.
    """
    path = Path(path)
    with replacing(path) as draft, draft.open("wb") as plain:
        # No name and no time in the gzip header: the same rows are the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if path.suffix == ".gz" else None
        stream = cast(BinaryIO, packed or plain)
        for number, row in enumerate(rows, start=1):
            try:
                line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            except (ValueError, TypeError) as error:
                problem = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else "a NaN or an object"
                raise BadInput(f"cannot write row {number} of {path}: {problem} has no place in JSON") from None
            stream.write(line + b"\n")
        if packed:
            packed.close()


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise BadInput(f"cannot read {path}: it is a folder; a file is accepted")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise BadInput(f"cannot read {path}: no such file") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    if path.suffix != ".gz":
        return stream
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb"))


def _parse(path: str | Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line, parse_constant=_reject_constant)
        if "\\ud" in line or "\\uD" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadRecord(
            path, number, None, f"not valid JSON at character {error.pos + 1} ({error.msg}).", "Mend the line."
        ) from None
    except UnicodeEncodeError:
        raise BadRecord(
            path, number, None, "half of a surrogate pair (\\ud800 to \\udfff) is no character.", "Mend the line."
        ) from None
    except RecursionError:
        raise BadRecord(path, number, None, "the JSON is nested too deeply.", "Flatten the record.") from None
    except ValueError as error:
        raise BadRecord(path, number, None, f"not valid JSON ({error}).", "Mend the line.") from None
    if not isinstance(row, dict):
        raise BadRecord(
            path, number, None, f"a JSON {type(row).__name__} arrived; an object is accepted.", "One object a line."
        )
    return row


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number; use null")
