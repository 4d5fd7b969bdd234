"""Posts from and to JSONL, Parquet and CSV."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from folkmoot.formats.fields import check_label, check_slip, columns_of, record_from, shown, suggestion
from folkmoot.formats.lines import Row, read_rows, write_rows
from folkmoot.formats.replacing import replacing
from folkmoot.formats.tables import read_csv_rows, read_parquet_rows, write_parquet_rows
from folkmoot.records import BadInput, BadRecord, Media, MediaType, Post, Question, Task

FIELDS = tuple(Post.model_fields)
ROW_NUMBER = "#"
"""In a column map, `{"id": "#"}` numbers the rows of a file that has no column of ids."""

CONTENT = ("text", "media", "question")
"""Fields of which a post needs one to be judged."""

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
VIDEO = {".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"}
AUDIO = {".mp3", ".wav", ".flac", ".ogg", ".m4a", ".opus"}


def read_posts(
    path: str | Path,
    *,
    task: Task | None = None,
    columns: Mapping[str, str] | None = None,
    media: Literal["check", "ignore"] = "ignore",
    needs_content: bool = True,
) -> list[Post]:
    """All posts of a file, in its order; see `iter_posts`."""
    return list(iter_posts(path, task=task, columns=columns, media=media, needs_content=needs_content))


def iter_posts(
    path: str | Path,
    *,
    task: Task | None = None,
    columns: Mapping[str, str] | None = None,
    media: Literal["check", "ignore"] = "ignore",
    questions: bool = False,
    needs_content: bool = True,
) -> Iterator[Post]:
    """Yields the posts of a JSONL, Parquet, CSV or TSV file (text files also as .gz), told by its name.

    Media paths come out absolute, taken from the file's folder. Fields that a post does not have are kept in `meta`,
    which no judge sees; one that looks like a misspelt field of a post is refused. Integer ids and labels are read
    as text; null is the same as absent.

    Args:
        task: where given, every label must be one of the task's.
        columns: field of a post -> column of the file, such as `{"text": "tweet", "id": "#"}`; `#` numbers the rows.
        media: "check" refuses a post whose local media file does not exist.
        questions: every post must bring its question, or have its options in `meta`; so with a task of questions.
        needs_content: a table whose foreign columns may hold the posts must have one of text, media or question; False
            where labels alone are read.

    Raises:
        BadInput: the file is missing, or its kind or a column map's field is not known.
        BadRecord: a row cannot be used: it repeats an id, has a label that the task has not, is no valid UTF-8, is
            over 8 MiB. Also a file without a row.
    """
    path = Path(path)
    kind = _kind(path)
    columns = dict(columns or {})
    for field in columns:
        if field not in FIELDS:
            raise BadInput(f"cannot map column '{columns[field]}' to '{field}'. {suggestion(field, FIELDS)}")
    rows: Iterator[tuple[int, Row]]
    if kind == "jsonl":
        rows = read_rows(path)
    elif kind == "parquet":
        rows = read_parquet_rows(path)
    else:
        rows = read_csv_rows(path, delimiter="\t" if kind == "tsv" else ",")
    if kind != "jsonl" and needs_content:
        rows = _with_content(rows, path, columns)
    return _posts(
        rows, path, task=task, columns=columns, media=media, cells=kind in ("csv", "tsv"),
        questions=questions or (task is not None and task.answers == "question"),
    )  # fmt: skip


def write_posts(posts: Iterable[Post], path: str | Path) -> None:
    """Writes posts as JSONL, Parquet, CSV or TSV (text files also as .gz), told by the file's name.

    Media paths are written relative to the file. A column that no post uses is left out, and one that any post uses
    stands in every row, so that `datasets.load_dataset` sees one schema. `meta` is a JSON object in JSONL and JSON
    text in Parquet and CSV.

    Raises:
        BadInput: two posts share an id, or the kind of file is not known.
        StorageFailed: the disk is full or the folder may not be written.
    """
    path = Path(path)
    kind = _kind(path)
    posts = list(posts)
    twice = next((one for one, count in Counter(post.id for post in posts).items() if count > 1), None)
    if twice is not None:
        raise BadInput(f"cannot write {path}: two posts have the id {shown(twice)}")
    folder = path.parent.absolute()
    used = [field for field in FIELDS if field in ("id", "text") or any(getattr(post, field) for post in posts)]
    rows = [{field: value for field, value in _row(post, folder).items() if field in used} for post in posts]
    if kind == "jsonl":
        write_rows(rows, path)
        return
    for row in rows:
        for name in ("meta", "question"):
            if isinstance(row.get(name), dict):
                row[name] = _json(row[name], path)
    if kind == "parquet":
        types = {field: {"media": "media", "attribution": "texts"}.get(field, "text") for field in used}
        with replacing(path) as draft:
            write_parquet_rows(rows, draft, types=types)
        return
    _write_csv(rows, path, used, delimiter="\t" if kind == "tsv" else ",")


def media_type(path: str) -> MediaType:
    """The type that a medium's file name suggests; a picture where it suggests nothing."""
    suffix = Path(path).suffix.lower()
    return "video" if suffix in VIDEO else "audio" if suffix in AUDIO else "image"


def _kind(path: Path) -> str:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    kind = SUFFIXES.get(suffix.lower())
    if kind is None or (kind == "parquet" and path.suffix == ".gz"):
        raise BadInput(
            f"cannot tell what kind of file {path} is by its ending '{path.suffix}'. "
            f"Accepted: {', '.join(SUFFIXES)}, and .gz after a text ending."
        )
    return kind


def _with_content(rows: Iterator[tuple[int, Row]], path: Path, columns: dict[str, str]) -> Iterator[tuple[int, Row]]:
    """The rows of a table with a column of texts, media or questions.

    Raises:
        BadRecord: it has none, but columns that are no post's field; names those.
    """
    for number, (line, row) in enumerate(rows):
        if number == 0 and not any(field in columns or field in row for field in CONTENT):
            foreign = [name for name in row if name and name not in FIELDS and name not in columns.values()]
            if foreign and "id" in {*row, *columns}:
                there = ", ".join(columns_of(row))
                example = next(iter(columns_of(foreign)), "COLUMN")
                raise BadRecord(
                    path, None, "text", "there is no such column" + (f"; there are {there}." if there else "."),
                    f"Name the one that holds the posts' text, as --column text={example}.",
                )  # fmt: skip
        yield line, row


def _posts(
    rows: Iterator[tuple[int, Row]],
    path: Path,
    *,
    task: Task | None,
    columns: dict[str, str],
    media: Literal["check", "ignore"],
    cells: bool,
    questions: bool,
) -> Iterator[Post]:
    folder = path.parent.absolute()
    seen: dict[str, int] = {}
    for number, (line, row) in enumerate(rows, start=1):
        fields = _fields(row, number, line, path, columns, cells=cells)
        fields["media"] = tuple(_media(item, folder, path, line) for item in fields.get("media", ()))
        post = record_from(Post, fields, path=path, line=line)
        if (first := seen.setdefault(post.id, line)) != line:
            raise BadRecord(
                path,
                line,
                columns.get("id", "id"),
                f"the id {shown(post.id)} stands on line {first} already.",
                "Every post needs its own id.",
            )
        if questions:
            post = with_question(post, path=path, line=line)
        else:
            check_label(post.label, task, path=path, line=line, field=columns.get("label", "label"))
        if media == "check":
            _check_media(post, path, line)
        yield post


def _fields(row: Row, number: int, line: int, path: Path, columns: dict[str, str], *, cells: bool) -> Row:
    """The row under a post's own field names, with everything else in `meta`."""
    fields: Row = {}
    for field, column in columns.items():
        if column == ROW_NUMBER:
            fields[field] = str(number)
        elif column in row:
            fields[field] = row[column]
        elif cells or field == "id":
            raise BadRecord(
                path, line, column, f"no such column to read '{field}' from.", suggestion(column, columns_of(row))
            )
    taken = set(columns.values())
    rest = {name: value for name, value in row.items() if name not in taken}
    if not columns:
        check_slip(row, FIELDS, path=path, line=line)
    extra = {}
    for name, value in rest.items():
        if value is None or (cells and (value == "" or name == "")):
            continue
        is_words = name == "question" and isinstance(value, str) and not value.startswith("{")  # not a post's field
        if name in FIELDS and name not in columns and not is_words:
            fields[name] = value
        else:
            extra[name] = value
    fields = {name: value for name, value in fields.items() if value is not None and not (cells and value == "")}
    for name in ("id", "label"):
        if isinstance(fields.get(name), int) and not isinstance(fields[name], bool):
            fields[name] = str(fields[name])
    if "id" not in fields:
        raise BadRecord(
            path,
            line,
            columns.get("id", "id"),
            "no id arrived.",
            "Every post needs one; a column map names another column, or '#' to number the rows.",
        )
    for name in ("media", "attribution"):
        if isinstance(value := fields.get(name), str):
            is_json = value.startswith("[") and value.endswith("]")
            fields[name] = _from_json(value, name, list, path, line) if is_json else [value]
        elif isinstance(value, dict):
            fields[name] = [value]
        if not isinstance(fields.get(name, []), list):
            raise BadRecord(path, line, name, f"a list is accepted; {shown(fields[name])} arrived.")
    for name in ("meta", "question"):
        if isinstance(value := fields.get(name), str):
            fields[name] = _from_json(value, name, dict, path, line)
    if extra:
        meta = fields.get("meta", {})
        fields["meta"] = {**extra, **meta} if isinstance(meta, dict) else meta
    return fields


def with_question(post: Post, *, path: Path, line: int) -> Post:
    """The post with its question, and its gold answer in its one form.

    A post without a question whose `meta` holds `options` asks its text and shows no words of its own.

    Raises:
        BadRecord: there is no question, or the label is no answer to it.
    """
    question = post.question
    if question is None:
        options = post.meta.get("options")
        if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
            raise BadRecord(
                path, line, "question", "no question arrived.",
                "A post of this task has 'question' with 'kind', 'text' and 'options', or its text asks and 'meta' has "
                "'options'.",
            )  # fmt: skip
        lettered = all(
            re.match(rf"\s*\(?{letter}[.):]\s", option)
            for letter, option in zip(ascii_uppercase, options, strict=False)
        )  # an option may begin with somebody's initial
        plain = tuple(bare_option(option) if lettered else option.strip() for option in options)
        kind = "choices" if post.label and "," in post.label else "choice"
        question = record_from(
            Question, {"kind": kind, "text": post.text, "options": plain}, whole="question", path=path, line=line
        )
        post = post.model_copy(update={"text": "", "question": question})
    if post.label is None:
        return post
    answer = question.canonical(post.label)
    if answer is None:
        raise BadRecord(
            path, line, "label", f"{shown(post.label)} is no answer to the question.",
            f"Accepted: {', '.join(question.answers)}" + (", joined by commas." if question.kind == "choices" else "."),
        )  # fmt: skip
    return post.model_copy(update={"label": answer})


def bare_option(option: str) -> str:
    """An option without its letter.

    >>> bare_option("B. He is tired.")
    'He is tired.'
    """
    return re.sub(r"^\s*\(?[A-Z][.):]\s+", "", option).strip()


def _from_json(text: str, field: str, kind: type, path: Path, line: int) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        wanted = "list" if kind is list else "object"
        raise BadRecord(path, line, field, f"a JSON {wanted} is accepted; a text of {len(text)} characters arrived.")
    return value


def _media(item: Any, folder: Path, path: Path, line: int) -> Media:
    item = {"path": item} if isinstance(item, str) else item
    if not isinstance(item, dict):
        raise BadRecord(path, line, "media", f"a path or an object is accepted; {shown(item)} arrived.")
    item = {name: value for name, value in item.items() if value is not None}
    if isinstance(item.get("path"), str) and item["path"]:
        item.setdefault("type", media_type(item["path"]))
        if not _is_address(item["path"]):
            item["path"] = os.path.normpath(folder / item["path"])
    else:
        raise BadRecord(path, line, "media.path", "no path arrived.", "A medium names its file.")
    return record_from(Media, item, path=path, line=line, within="media")


def _check_media(post: Post, path: Path, line: int) -> None:
    for index, medium in enumerate(post.media):
        if not _is_address(medium.path) and not Path(medium.path).is_file():
            raise BadRecord(
                path,
                line,
                f"media.{index}.path",
                f"the file {medium.path} of post {shown(post.id)} does not exist.",
                "Paths are relative to the posts' file.",
            )


def _is_address(path: str) -> bool:
    return "://" in path or path.startswith("data:")


def _row(post: Post, folder: Path) -> Row:
    row = post.model_dump(mode="json")
    for medium in row["media"]:
        if not _is_address(medium["path"]):
            medium["path"] = os.path.relpath(medium["path"], folder)
        if medium["sha256"] is None:
            del medium["sha256"]
    return row


def _json(value: Any, path: Path) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise BadInput(f"cannot write {path}: 'meta' holds a NaN or an infinity, which JSON has not") from None


def _write_csv(rows: list[Row], path: Path, columns: list[str], *, delimiter: str) -> None:
    with replacing(path) as draft, draft.open("wb") as plain:
        packed = gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if path.suffix == ".gz" else None
        text = io.TextIOWrapper(packed or plain, encoding="utf-8", newline="")
        writer = csv.writer(text, delimiter=delimiter)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_json(row[name], path) if isinstance(row[name], list) else row[name] for name in columns])
        text.flush()
        text.detach()
        if packed:
            packed.close()
