"""docs/cli.md, made from what the help pages are made from.

python docs/make_cli_reference.py            writes the page
python docs/make_cli_reference.py --check    exits 1 where the page is out of date
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo

from folkmoot.cli import app

PAGE = Path(__file__).parent / "cli.md"
OPENING = """# The command line

Made from the help pages by `python docs/make_cli_reference.py`; a test sees to it that it is current.

With `--json` a verb prints JSON and nothing else. Exit codes: 0 done, 1 failed, or more failures than accepted, 2 bad
usage or bad input, 3 the budget was reached (what is done is kept; a higher limit goes on), 130 interrupted.
`FOLKMOOT_API_KEY` holds an endpoint's key.
"""
WORDS = {str: "text", Path: "path", int: "integer", float: "number"}


def make_page() -> str:
    """The page, a section a verb."""
    sections = [OPENING]
    for name, function in verbs(app):
        words, _, example = inspect.cleandoc(function.__doc__ or "").partition("Example: ")
        rows = "\n".join(row(*parameter) for parameter in parameters(function))
        sections.append(
            f"## folkmoot {name}\n\n{one_line(words)}\n\n```\n{one_line(example).strip('`')}\n```\n\n"
            f"| | takes | |\n|---|---|---|\n{rows}\n"
        )
    return "\n".join(sections)


def verbs(group: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each verb's full name and function, in the order of the help page."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{prefix}{command.name}", command.callback
    for member in group.registered_groups:
        assert member.typer_instance is not None
        yield from verbs(member.typer_instance, f"{prefix}{member.name} ")


def parameters(function: Callable[..., Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """Each parameter's name, type, what Typer is told of it, and default."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, told = typing.get_args(hints[name])
        yield name, kind, told, parameter.default


def row(name: str, kind: Any, told: Any, default: Any) -> str:
    """A row of the table: how the parameter is written, what it takes, what it does."""
    flag = f"--{name.replace('_', '-')}"
    # In `Annotated[...]` Typer takes the first name for a default and puts it right only when the app is run.
    names = [each for each in (told.default, *(told.param_decls or ())) if isinstance(each, str)]
    given = next((each for each in names if each.startswith("--")), None)
    if isinstance(told, ArgumentInfo):
        written = f"`{name.upper()}`"
    elif bare(kind) is bool and given is None:
        written = f"`{flag}`, `--no-{name.replace('_', '-')}`"
    else:
        written = f"`{given or flag}`"
    notes = [accepted(kind)] if bare(kind) is not bool else []
    if typing.get_origin(bare(kind)) is list:
        notes.append("repeatable")
    if default is inspect.Parameter.empty:
        notes.append("required")
    elif default is not None and default is not False:
        notes.append(f"default {default}")
    if told.envvar:
        notes.append(f"or `{told.envvar}`")
    return f"| {written} | {', '.join(notes)} | {one_line(told.help)} |"


def bare(kind: Any) -> Any:
    """The type without its None."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return next(each for each in typing.get_args(kind) if each is not type(None))
    return kind


def accepted(kind: Any) -> str:
    """What a parameter of this type takes, in words."""
    kind = bare(kind)
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f"`{each}`" for each in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return accepted(typing.get_args(kind)[0])
    return WORDS[kind]


def one_line(text: str | None) -> str:
    """Text for a table's cell."""
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> int:
    """The exit code."""
    page = make_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page:
        print(f"{PAGE.name} is out of date: python docs/make_cli_reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
