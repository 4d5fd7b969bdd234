"""A verdict: a judge's decision on a post, with every opinion behind it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record
from folkmoot.records.evidence import Evidence
from folkmoot.records.observation import Observation
from folkmoot.records.opinion import Opinion
from folkmoot.records.outcome import Outcome


class Sentence(Record):
    """One sentence of an explanation and what it rests on: `opinion:0`, `evidence:3`, `observation:7`, `span:1`,
    `post`. A sentence without an anchor is unsupported."""

    sentence: str
    anchors: tuple[str, ...] = ()


class Span(Record):
    """A part of the post: seconds of a medium, or characters of the text."""

    media: str | None = None
    start: float
    end: float
    why: str = ""


class Verdict(Record):
    """A judge's decision. `id` is the post's.

    `probability` is the judge's probability of `label`; `probabilities` covers every label of the task and may be
    present on an abstention too, where `label` and `probability` are None. `quorum` counts the labelled opinions
    that the decision rests on.
    """

    id: str
    outcome: Outcome
    label: str | None = None
    probability: float | None = Field(default=None, ge=0, le=1)
    probabilities: dict[str, float] = Field(default_factory=dict)
    task: str
    judge: str
    attribution: dict[str, float] = Field(default_factory=dict)
    explanation: tuple[Sentence, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    quorum: int = Field(default=0, ge=0)
    evidence: tuple[Evidence, ...] = ()
    observations: tuple[Observation, ...] = ()
    spans: tuple[Span, ...] = ()
    calls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the judge did without, and who moved whom: sentences without the post's text."""
    problem: str | None = None
    """Why there is no label, in a sentence without the post's text."""

    @model_validator(mode="after")
    def _label_only_when_labelled(self) -> Self:
        if (self.outcome is Outcome.LABELLED) != (self.label is not None):
            raise ValueError("a verdict has a label if and only if its outcome is 'labelled'")
        return self
