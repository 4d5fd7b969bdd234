"""What a recipe tells of itself while it runs."""

from __future__ import annotations

from typing import Protocol


class Announce(Protocol):
    """Told what is going on: a stage's name, and where it stands."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, note: str = "") -> None: ...


def say_nothing(stage: str, done: int = 0, total: int = 0, note: str = "") -> None:
    """An `Announce` for those who don't want to know."""
