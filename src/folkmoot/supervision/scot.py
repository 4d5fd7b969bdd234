"""Social chain-of-thought: a society's feedback on a post becomes a chosen and a rejected line of reasoning.

Paper: "Thinking as Society" (SCPO), ICLR 2026, steps 7 to 10.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, Field

from folkmoot.models.instruction import Instruction
from folkmoot.models.structured import Answer, ask
from folkmoot.models.untrusted import data_block
from folkmoot.records import Opinion, Outcome, Post, PreferencePair, Record, Task
from folkmoot.supervision.assessment import Assessment, Feedback
from folkmoot.supervision.correction import correction_range, social_correction
from folkmoot.supervision.speaking import WRITER_SAMPLING, Speaker

Kind = Literal["easy", "mixed", "hard"]
Reply = TypeVar("Reply", bound=BaseModel)


WORDS_CHARACTERS, REASONING_CHARACTERS = 500, 1000
"""How long replies should be: told to servers that constrain decoding, so that they end within their tokens; not held
against a reply. Chosen."""


class ScotSettings(Record):
    """How a pair is made of feedback. The defaults are the paper's, where it says anything."""

    partial_above: float = Field(default=0.5, ge=0, le=1)
    """Partially correct users speak for the chosen side where the judge was surer than this."""
    confident_partials_only: bool = False
    """Whether N_P counts these alone; all partially correct users by default."""
    most_voices: int = Field(default=6, ge=1)
    """Of each side, so many users are heard at most, the surest first."""


class Skipped(Record):
    """Why a post has no pair."""

    id: str
    reason: str
    outcome: Outcome | None = None


class Words(BaseModel):
    """A member's or an adversary's reply."""

    reason: str = Field(min_length=1, json_schema_extra={"maxLength": WORDS_CHARACTERS})


class Reasoning(BaseModel):
    """The Coordinator's and the Summarizer's reply."""

    reasoning: str = Field(min_length=1, json_schema_extra={"maxLength": REASONING_CHARACTERS})


def kind_of(feedback: Feedback) -> Kind:
    """Easy: every user correct. Hard: none. Mixed: the rest."""
    n_correct = len(feedback.of(Assessment.CORRECT))
    return "easy" if n_correct == feedback.n else "hard" if n_correct == 0 else "mixed"


def frame(
    post: Post, feedback: Feedback, task: Task, settings: ScotSettings, *, chosen: str, rejected: str,
    calls: Sequence[str] = (), flags: Sequence[str] = (),
) -> PreferencePair:  # fmt: skip
    """The pair of a post whose two answers are known, weighed by its feedback; it names the media that its prompt shows.

    Raises:
        BadInput: nobody counts.
        ValueError: both answers are the same.
    """
    n, n_correct = feedback.n, len(feedback.of(Assessment.CORRECT))
    partials = (
        feedback.confident_partials(settings.partial_above)
        if settings.confident_partials_only
        else feedback.of(Assessment.PARTIALLY_CORRECT)
    )
    spread = correction_range(n, n_correct, len(partials), feedback.missing)
    told = Instruction(task)
    judged = tuple(call for one in feedback.assessed for call in one.calls)
    return PreferencePair(
        id=post.id,
        prompt=tuple(told.turns(post)),
        chosen=({"role": "assistant", "content": chosen},),
        rejected=({"role": "assistant", "content": rejected},),
        label=post.label,
        kind=kind_of(feedback),
        sc=round(social_correction(n, n_correct, len(partials)), 6),
        sc_range=(round(spread.lowest, 6), round(spread.highest, 6)) if feedback.missing else None,
        n=n,
        n_correct=n_correct,
        n_partial=len(partials),
        opinions=tuple(opinion.hash for opinion in feedback.opinions),
        calls=(*judged, *calls),
        flags=tuple(flags),
        **told.files(post),
    )


class Synthesizer:
    """Writes pairs with a model: enhancement in role, then Coordinator and Summarizer.

    Mixed posts: those who are right, or partly and surely, say it again knowing the gold label (knowledge injection).
    Hard posts: all are told it and reason anew in their role. Easy posts: an adversary writes what misleads; so it does
    where nobody on the other side said anything usable.

    Args:
        persona_of: a user's profile in words, by id; empty where it is not known.
    """

    def __init__(
        self,
        speaker: Speaker,
        settings: ScotSettings = ScotSettings(),
        *,
        persona_of: Callable[[str], str] = lambda user: "",
    ) -> None:
        self._speaker, self._settings, self._persona_of = speaker, settings, persona_of
        self._told = Instruction(speaker.task)

    async def pair(self, post: Post, feedback: Feedback, *, flags: Sequence[str] = ()) -> PreferencePair | Skipped:
        """The pair of a post with a gold label, or why there is none."""
        gold = str(post.label)
        if feedback.n == 0:
            return Skipped(id=post.id, reason="no user's opinion could be used")
        kind = kind_of(feedback)
        wrong = wrong_label(feedback, gold, self._speaker.task)
        calls: list[str] = []
        answers = await self._right_side(post, feedback, kind, gold, calls)
        right_side = {agent: answer.value.reason for agent, answer in answers.items() if answer.value is not None}
        if not right_side:
            failed = next((answer.outcome for answer in answers.values()), None)
            return Skipped(id=post.id, reason="no user could be made to reason for the gold label", outcome=failed)
        wrong_side = self._wrong_side(feedback, gold)
        if not wrong_side:
            answer = await self._ask("adversary", "mislead", Words, calls, post=post, gold=gold, wrong=wrong)
            if answer.value is None:
                return Skipped(id=post.id, reason="the adversary gave no reasoning", outcome=answer.outcome)
            wrong_side = {"A mistaken reader": answer.value.reason}
        chosen, rejected = await asyncio.gather(
            self._ask("coordinator", "merge", Reasoning, calls, post=post, gold=gold, voices=voices(right_side)),
            self._ask(
                "summarizer", "merge", Reasoning, calls, post=post, gold=gold, wrong=wrong, voices=voices(wrong_side)
            ),
        )
        for who, answer_ in (("Coordinator", chosen), ("Summarizer", rejected)):
            if answer_.value is None:
                return Skipped(id=post.id, reason=f"the {who} gave no reasoning", outcome=answer_.outcome)
        assert chosen.value is not None
        assert rejected.value is not None
        return frame(
            post, feedback, self._speaker.task, self._settings, calls=sorted(calls), flags=flags,
            chosen=self._ended(chosen.value.reasoning, gold), rejected=self._ended(rejected.value.reasoning, wrong),
        )  # fmt: skip

    async def _right_side(
        self, post: Post, feedback: Feedback, kind: Kind, gold: str, calls: list[str]
    ) -> dict[str, Answer[Words]]:
        """What each user of the group says, by name, knowing the gold label."""
        group = [*feedback.of(Assessment.CORRECT), *feedback.confident_partials(self._settings.partial_above)]
        if kind == "hard":
            group = list(feedback.opinions)
        group = surest(group, self._settings.most_voices)
        section = "broadcast" if kind == "hard" else "refine"
        answers = await asyncio.gather(*(
            self._ask(
                "member", section, Words, calls, post=post, gold=gold, persona=self._persona_of(opinion.agent),
                said=data_block("opinion", opinion.rationale),
            )
            for opinion in group
        ))  # fmt: skip
        return {opinion.agent: answer for opinion, answer in zip(group, answers, strict=True)}

    def _wrong_side(self, feedback: Feedback, gold: str) -> dict[str, str]:
        """The incorrect users' own words; where there is none, those of the partially correct, whose answer is wrong."""
        side = [opinion for opinion in feedback.of(Assessment.INCORRECT) if opinion.label != gold]
        side = side or list(feedback.of(Assessment.PARTIALLY_CORRECT))
        chosen = surest(side, self._settings.most_voices)
        return {opinion.agent: opinion.rationale for opinion in chosen if opinion.rationale.strip()}

    async def _ask(
        self, role: str, section: str, reply: type[Reply], calls: list[str], **slots: object
    ) -> Answer[Reply]:
        messages = self._speaker.messages(role, section, **slots)  # type: ignore[arg-type]
        answer = await ask(
            self._speaker.model, messages, reply, sampling=WRITER_SAMPLING, correction=self._speaker.correction
        )
        calls += answer.calls
        return answer

    def _ended(self, reasoning: str, label: str) -> str:
        """The reasoning with its verdict line, and without one that the model wrote itself."""
        lines = [line for line in reasoning.strip().splitlines() if not line.strip().lower().startswith("verdict:")]
        return "\n".join([*lines, self._told.verdict(label)])


def wrong_label(feedback: Feedback, gold: str, task: Task) -> str:
    """What the wrong side answers: the wrong users' most frequent label, else the task's first other one."""
    said = Counter(opinion.label for opinion in feedback.opinions if opinion.label not in (None, gold))
    if said:
        most = max(said.values())
        return min(str(label) for label, count in said.items() if count == most)
    return next(name for name in task.label_names if name != gold)


def surest(opinions: Sequence[Opinion], most: int) -> list[Opinion]:
    """The opinions with the highest confidence, at most so many, ties by name."""
    return sorted(opinions, key=lambda one: (-(one.confidence or 0.0), one.agent))[:most]


def voices(said: Mapping[str, str]) -> list[dict[str, str]]:
    """What people said, as a prompt shows it: numbered, since a user's name says nothing."""
    return [
        {"who": f"Person {number}", "said": data_block("opinion", words)}
        for number, words in enumerate(said.values(), start=1)
    ]
