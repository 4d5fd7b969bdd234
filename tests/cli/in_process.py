"""The command line without a process of its own: what a command printed, and how it ended."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from folkmoot.cli import main


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def folkmoot(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """The same as typing `folkmoot ARGUMENTS`."""
    capsys.readouterr()
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["folkmoot", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = end.code
    told = capsys.readouterr()
    return Ended(code if isinstance(code, int) else 0, told.out, told.err)


def refused(ended: Ended, code: int, *said: str) -> None:
    """The command ended with this code, in one sentence on stderr, without a traceback."""
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    for words in said:
        assert words in ended.err, ended.err
