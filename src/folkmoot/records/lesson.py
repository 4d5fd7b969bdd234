"""A lesson: what a student is taught about one post, and where it came from."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record


class Membership(StrEnum):
    """Which set of the PNU loss a lesson belongs to (METHODS: P, N, AP, AN, D)."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    AGREED_POSITIVE = "agreed_positive"
    AGREED_NEGATIVE = "agreed_negative"
    DISAGREED = "disagreed"

    @property
    def is_gold(self) -> bool:
        """Whether a person gave the label."""
        return self in (Membership.POSITIVE, Membership.NEGATIVE)


class Lesson(Record):
    """A pseudo-label or a gold label for one post, in binary tasks.

    `target` is the probability of the positive label that the student is to learn, None for a disagreed post,
    which enters the loss as unlabelled. `opinions` are the hashes of the opinions behind it and `calls` the ledger
    keys of the model calls; `classifier_probability` is what the classifier said when the lesson was made.
    """

    post: str
    membership: Membership
    target: float | None = Field(default=None, ge=0, le=1)
    weight: float = Field(default=1.0, ge=0)
    source: str = "gold"
    round: int = Field(default=0, ge=0)
    classifier_probability: float | None = Field(default=None, ge=0, le=1)
    opinions: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _target_unless_disagreed(self) -> Self:
        if (self.target is None) != (self.membership is Membership.DISAGREED):
            raise ValueError("a lesson has a target unless it is 'disagreed'")
        return self
