"""How right each user of a society was: correct, partially correct or incorrect, by a judge model that knows the gold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from folkmoot.models.structured import ask
from folkmoot.models.untrusted import data_block
from folkmoot.records import Opinion, Outcome, Post, Record
from folkmoot.supervision.speaking import JUDGE_SAMPLING, Speaker


class Assessment(StrEnum):
    """What a judge says of an opinion."""

    CORRECT = "correct"
    PARTIALLY_CORRECT = "partially_correct"
    INCORRECT = "incorrect"


class Assessed(Record):
    """One user's assessment on one post. `outcome` is a failure where the judge gave none: such a user counts nowhere."""

    user: str
    assessment: Assessment | None = None
    confidence: float = Field(default=0.0, ge=0, le=1)
    outcome: Outcome = Outcome.LABELLED
    calls: tuple[str, ...] = ()


class Feedback(Record):
    """A society's labelled opinions on a post, with their assessments. Opinions without either are `missing`."""

    opinions: tuple[Opinion, ...]
    assessed: tuple[Assessed, ...]
    missing: int = 0

    @property
    def n(self) -> int:
        """Users that count: with a label and an assessment."""
        return len(self.opinions)

    def of(self, assessment: Assessment) -> tuple[Opinion, ...]:
        """The opinions that were assessed so."""
        return tuple(o for o, a in zip(self.opinions, self.assessed, strict=True) if a.assessment is assessment)

    def confident_partials(self, above: float) -> tuple[Opinion, ...]:
        """The partially correct opinions whose assessment is surer than `above`."""
        return tuple(
            o
            for o, a in zip(self.opinions, self.assessed, strict=True)
            if a.assessment is Assessment.PARTIALLY_CORRECT and a.confidence > above
        )

    @classmethod
    def join(cls, opinions: Sequence[Opinion], assessed: Iterable[Assessed]) -> Feedback:
        """The opinions of the first round beside their assessments; whoever lacks a label or one is missing."""
        first = [opinion for opinion in opinions if opinion.round == 0]
        by_user: Mapping[str, Assessed] = {one.user: one for one in assessed if one.assessment is not None}
        kept = [o for o in first if o.outcome is Outcome.LABELLED and o.agent in by_user]
        return cls(
            opinions=tuple(kept), assessed=tuple(by_user[o.agent] for o in kept), missing=len(first) - len(kept)
        )  # fmt: skip


class FeedbackJudge:
    """Assesses opinions with a model. The answers that make sense are all it may give: an opinion with the gold label
    is correct or incorrect (right by luck), any other partially correct or incorrect."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    async def assess(self, post: Post, opinion: Opinion, gold: str) -> Assessed:
        """The assessment of one labelled opinion; a failure of the model is its outcome."""
        right = opinion.label == gold
        messages = self._speaker.messages(
            "judge", "decide", post=post, gold=gold, label=opinion.label, said=data_block("opinion", opinion.rationale)
        )
        answer = await ask(
            self._speaker.model,
            messages,
            RightReply if right else WrongReply,
            sampling=JUDGE_SAMPLING,
            correction=self._speaker.correction,
        )
        if answer.outcome is not Outcome.LABELLED or answer.value is None:
            return Assessed(user=opinion.agent, outcome=answer.outcome, calls=answer.calls)
        said = answer.value.model_dump()
        return Assessed(
            user=opinion.agent, assessment=Assessment(said["assessment"]), confidence=said["confidence"],
            calls=answer.calls,
        )  # fmt: skip


class RightReply(BaseModel):
    """The judge's reply on an opinion with the gold label."""

    assessment: Literal["correct", "incorrect"]
    confidence: float = Field(ge=0, le=1)


class WrongReply(BaseModel):
    """The judge's reply on an opinion with another label."""

    assessment: Literal["partially_correct", "incorrect"]
    confidence: float = Field(ge=0, le=1)
