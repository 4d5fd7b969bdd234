"""Tasks from TOML: the shipped ones by name, a user's own by path, both read alike."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

from folkmoot.formats.fields import record_from, suggestion
from folkmoot.formats.lines import read_lines
from folkmoot.records import BadInput, BadRecord, Task


def load_task(name_or_path: str | Path) -> Task:
    """The task of that shipped name, or the one that the TOML file describes.

    Anything that ends in `.toml` or contains a path separator is a path.

    Example:
        >>> load_task("sentiment").positive
        'positive'

    Raises:
        BadInput: no shipped task has the name, or the file is missing.
        BadRecord: the file is not TOML, or a key is unknown, missing or wrong.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return _read(Path(name_or_path))
    if text not in shipped_tasks():
        raise BadInput(
            f"no shipped task is called '{text[:60]}'. {suggestion(text[:60], shipped_tasks())} "
            "A task of your own is named by the path of its .toml file."
        )
    with resources.as_file(resources.files("folkmoot.formats") / "tasks" / f"{text}.toml") as path:
        return _read(path)


def shipped_tasks() -> tuple[str, ...]:
    """The names of the tasks that come with the package."""
    folder = resources.files("folkmoot.formats") / "tasks"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def _read(path: Path) -> Task:
    lines = [line for _, line in read_lines(path)]
    try:
        row = tomllib.loads("".join(lines).replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        raise BadRecord(
            path, int(where[1]) if where else None, None, f"not valid TOML ({error}).", "Mend the line."
        ) from None
    try:
        return record_from(Task, row, path=path, line=None, whole="labels")
    except BadRecord as error:
        # pydantic names the key; the line it stands on is the first that assigns it.
        key = (error.field or "").rsplit(".", 1)[-1]
        assigns = re.compile(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[=\]]")
        line = next((number for number, text in enumerate(lines, start=1) if key and assigns.match(text)), None)
        return record_from(Task, row, path=path, line=line, whole="labels")
