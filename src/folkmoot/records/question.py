"""A question about a post's media, with the answers that are offered."""

from __future__ import annotations

import re
import string
from typing import Literal, Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record

QuestionKind = Literal["choice", "choices", "yes_no", "free"]
"""One letter, several letters, yes or no, or words."""

YES_NO = ("yes", "no")
_LETTER = re.compile(r"^\s*[\(\[]?([A-Za-z])[\)\]]?\s*(?:[.:,)\-]|$)")


class Question(Record):
    """What is asked. `options` stand without their letters, which are A, B, ... in their order."""

    kind: QuestionKind = "choice"
    text: str = Field(min_length=1)
    options: tuple[str, ...] = Field(default=(), max_length=26)

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        wants = self.kind in ("choice", "choices")
        if wants and len(self.options) < 2:
            raise ValueError(f"a question of kind '{self.kind}' needs two options or more")
        if not wants and self.options:
            raise ValueError(f"a question of kind '{self.kind}' has no options")
        return self

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the options."""
        return tuple(string.ascii_uppercase[: len(self.options)])

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be answered, or be a part of the answer; empty where words are."""
        return YES_NO if self.kind == "yes_no" else self.letters

    def canonical(self, answer: str) -> str | None:
        """The answer in its one form: `B`; `A,C` in the order of the letters; `yes`; words stripped. None: no answer.

        >>> Question(kind="choices", text="Who?", options=("Ann", "Ben", "Cy")).canonical("c, A")
        'A,C'
        >>> Question(text="Who?", options=("Ann", "Ben")).canonical("B. Ben")
        'B'
        """
        if self.kind == "free":
            return answer.strip() or None
        if self.kind == "yes_no":
            word = re.match(r"\W*(yes|no)\b", answer.casefold())
            return word.group(1) if word else None
        if self.kind == "choice":
            found = _LETTER.match(answer)
            letter = found.group(1).upper() if found else ""
            return letter if letter in self.letters else None
        parts = [part.strip().strip("()[].").upper() for part in re.split(r"[,;\s]+", answer.strip()) if part.strip()]
        if not parts or any(part not in self.letters for part in parts):
            return None
        return ",".join(sorted(set(parts)))

    def option(self, letter: str) -> str:
        """The text of an option."""
        return self.options[self.letters.index(letter)]
