"""A preference pair: what a student is to say of a post, what it is not to say, and how much the difference weighs."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record

Turn = dict[str, Any]
"""One message in the OpenAI convention: `role`, and `content` as text or content parts."""


class PreferencePair(Record):
    """A post's prompt with a chosen and a rejected answer, from a society of `n` labelled opinions.

    `sc` is the social correction value in [0, 1], `sc_range` what it could have been had every user answered.
    `n_correct` and `n_partial` are counted before anything was enhanced. `images` are paths relative to the file, one
    for each image part of the prompt. `opinions` are the hashes of the opinions behind the pair and `calls` the ledger
    keys of the model calls; `flags` name doubts, such as `gold_doubtful`.
    """

    id: str
    prompt: tuple[Turn, ...] = Field(min_length=1)
    chosen: tuple[Turn, ...] = Field(min_length=1)
    rejected: tuple[Turn, ...] = Field(min_length=1)
    images: tuple[str, ...] = ()
    label: str | None = None
    kind: Literal["easy", "mixed", "hard"] | None = None
    sc: float = Field(default=0.0, ge=0, le=1)
    sc_range: tuple[float, float] | None = None
    n: int = Field(default=0, ge=0)
    n_correct: int = Field(default=0, ge=0)
    n_partial: int = Field(default=0, ge=0)
    opinions: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _answers_differ_and_counts_fit(self) -> Self:
        if self.chosen == self.rejected:
            raise ValueError("the chosen and the rejected answer are the same")
        if self.n_correct + self.n_partial > self.n:
            raise ValueError("n_correct and n_partial together are more than n")
        return self

    @property
    def chosen_text(self) -> str:
        """The chosen answer's words."""
        return words(self.chosen)

    @property
    def rejected_text(self) -> str:
        """The rejected answer's words."""
        return words(self.rejected)


def words(turns: tuple[Turn, ...]) -> str:
    """The text of some messages, one after the other."""
    parts = [turn.get("content") or "" for turn in turns]
    return "\n".join(
        part if isinstance(part, str) else "\n".join(str(piece.get("text") or "") for piece in part) for part in parts
    )
