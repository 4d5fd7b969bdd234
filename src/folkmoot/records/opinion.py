"""An opinion: one agent's judgement in one round."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record
from folkmoot.records.outcome import Outcome

CLASSIFIER = "classifier"
"""The agent under whose name a panel keeps the opinion of the classifier that it heard."""


class Opinion(Record):
    """What one agent said in one round. `label` is set if and only if the outcome is `labelled`.

    `confidence` is the agent's own claim in [0, 1] about its label. `calls` are ledger keys; what they cost and
    how long they took stands in the ledger alone, so that an opinion is the same bytes when replayed.
    """

    agent: str
    round: int = Field(default=0, ge=0)
    outcome: Outcome = Outcome.LABELLED
    label: str | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    rationale: str = ""
    calls: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _label_only_when_labelled(self) -> Self:
        if (self.outcome is Outcome.LABELLED) != (self.label is not None):
            raise ValueError("an opinion has a label if and only if its outcome is 'labelled'")
        return self
