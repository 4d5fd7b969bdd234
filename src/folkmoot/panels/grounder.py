"""What finds the part of a clip that a question is about, other than a model that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from folkmoot.records import Observation, Span


class Grounder(Protocol):
    """Finds a span from a question and what was perceived; `name` stands in the verdict."""

    @property
    def name(self) -> str: ...

    def ground(self, query: str, observations: Sequence[Observation]) -> Span | None:
        """The most likely span, its `why` saying how sure; None where nothing has a time."""
        ...
