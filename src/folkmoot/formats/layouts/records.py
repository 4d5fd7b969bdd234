"""What the readers of published sets share: records of JSON files, required fields, mapped labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from folkmoot.formats.fields import shown
from folkmoot.formats.lines import read_rows
from folkmoot.records import BadInput, BadRecord, Media, MediaType, Post


def json_records(path: Path, *, within: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number from 1, record) of a JSONL file, or of a JSON file that is a list (or has one under `within`).

    Raises:
        BadRecord: it is neither, or a record is no object.
    """
    with path.open(encoding="utf-8") as file:
        first = file.read(1)
        while first and first.isspace():
            first = file.read(1)
    if first == "{" and within is None:
        yield from read_rows(path)
        return
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise BadRecord(path, line, None, "it is not valid JSON.") from None
    if within is not None:
        loaded = loaded.get(within) if isinstance(loaded, dict) else None
    if not isinstance(loaded, list):
        raise BadRecord(path, None, within, "a list of records is accepted.")
    for number, record in enumerate(loaded, 1):
        if not isinstance(record, dict):
            raise BadRecord(path, number, None, "a record is a JSON object.")
        yield number, record


def need(row: Mapping[str, Any], field: str, path: Path, line: int) -> str:
    """The field's text.

    Raises:
        BadRecord: it is not there.
    """
    value = row.get(field)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise BadRecord(path, line, field, "the field is missing.")
    return str(value)


def mapped(value: object, names: Mapping[str, str], path: Path, line: int, field: str) -> str:
    """The label that a published word stands for, whatever its case.

    Raises:
        BadRecord: it is none of them.
    """
    key = str(value).strip().casefold()
    if key not in names:
        raise BadRecord(path, line, field, f"one of {', '.join(names)} is accepted; {shown(str(value))} arrived.")
    return names[key]


def found(path: Path, names: Iterable[str], title: str) -> list[Path]:
    """The file itself, or those of the names that lie in or below the folder.

    Raises:
        BadInput: none is there.
    """
    wanted = list(names)
    if path.is_file():
        return [path]
    files = [file for name in wanted for file in sorted(path.rglob(name)) if file.is_file()]
    if not files:
        raise BadInput(f"cannot find {title} in {path}: none of {', '.join(wanted)} is there")
    return files


def split_of(path: Path) -> str:
    """`train`, `dev` or `test` as the file's name says it; `all` where it says nothing."""
    name = path.stem.casefold()
    return next(
        (
            split
            for word, split in (("train", "train"), ("val", "dev"), ("dev", "dev"), ("test", "test"))
            if word in name
        ),
        "all",
    )


def by_split(posts: Iterable[Post]) -> dict[str, list[Post]]:
    """The posts by their split."""
    splits: dict[str, list[Post]] = {}
    for post in posts:
        splits.setdefault(post.split or "all", []).append(post)
    return splits


def picture(folder: Path, name: object) -> tuple[Media, ...]:
    """A picture below a folder, where the row names one."""
    return (Media(path=str((folder / str(name)).absolute())),) if name else ()


def clip(folder: Path, name: str) -> tuple[Media, ...]:
    """The clip of that name in the folder or its `videos` folder, where it is there."""
    for place in (folder / "videos" / f"{name}.mp4", folder / "video" / f"{name}.mp4", folder / f"{name}.mp4"):
        if place.is_file():
            return (Media(path=str(place.absolute()), type="video"),)
    return ()


def json_entries(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yields (number from 1, key, record) of a JSON file that is one object of objects.

    Raises:
        BadRecord: it is not.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise BadRecord(path, line, None, "it is not valid JSON.") from None
    if not isinstance(loaded, dict) or not loaded:
        raise BadRecord(path, None, None, "an object with a record a key is accepted.")
    for number, (key, record) in enumerate(loaded.items(), 1):
        if not isinstance(record, dict):
            raise BadRecord(path, number, None, "a record is a JSON object.")
        yield number, key, record


def medium(root: Path, name: str, media_type: MediaType = "video") -> tuple[Media, ...]:
    """The file of that name in the folder or in its folder of videos, where it is there."""
    for folder in (".", "videos", "Videos", "video"):
        place = root / folder / name.lstrip("/")
        if place.is_file():
            return (Media(path=str(place.absolute()), type=media_type),)
    return ()


def words(row: Mapping[str, Any], field: str, path: Path, line: int) -> str:
    """The field's text without the space around it.

    Raises:
        BadRecord: it is missing or empty.
    """
    text = need(row, field, path, line).strip()
    if not text:
        raise BadRecord(path, line, field, "the field is empty.")
    return text
