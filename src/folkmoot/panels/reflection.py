"""A team that answers questions about people in a clip: rare events written out, the right part found, an answer
reasoned, scored by its own critic, and tried again.

Paper: MODF-SIR (arXiv 2606.12018) without its update of weights, which is `training.test_time`: a collector writes
long-tail events as text, a planner decides whether a part must be found first, a grounder finds it, a reasoner answers
in context, thought and answer, and a reviser scores the answer from 1 to 10; below the score that suffices the
reasoner tries again, and the best-scored answer counts (the first of equals).
Departs: the collector's text reaches the reasoner too; the reviser sees the options; a review that cannot be read is
no score, never a 5; a new attempt is told what was wrong with the last. Preset `reference` has the released code's
behaviour in all four. The gold answer is never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from folkmoot.models.chat import ChatModel, Message, Sampling
from folkmoot.models.structured import Answer, ask
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.panels import dossier
from folkmoot.panels.agent import CHARACTERS_PER_TOKEN, SAMPLING
from folkmoot.panels.grounder import Grounder
from folkmoot.panels.prompt import correction_of, load_prompt
from folkmoot.panels.reflection_replies import BRIEF, FULL, TeamForms, answer_words, question_words
from folkmoot.panels.sequence import Look
from folkmoot.records import (
    BadInput,
    CallPlan,
    Observation,
    Opinion,
    Outcome,
    Post,
    Question,
    Sentence,
    Span,
    Task,
    Verdict,
    resolve,
)

ATTEMPTS, SUFFICES = 3, 7
"""The released code's defaults for T_max and the score that ends it; its IntentBench script has 5 and 8."""
TEMPERATURE = 0.85
"""The reasoner's, in the released code."""
UNREAD_SCORE = 5
"""What the released code takes a review for that it cannot read."""
NARROWEST_SECONDS = 1.0
PLANNING = Sampling(temperature=0.0, seed=0, max_tokens=256)
"""A router's, as in the paper: greedy, 256 tokens."""
PROMPT_CHARACTERS = 1800
Preset = Literal["paper", "reference"]
Part = Literal["events", "grounding"]
PARTS: tuple[Part, ...] = ("events", "grounding")


class Attempt(NamedTuple):
    """One answer and the reviser's score of it, None where there is none."""

    answer: str | None
    reply: Any
    score: int | None
    opinion: int


class Reflection:
    """A judge for tasks whose answers are a question's. What it did without stands in the verdict's notes."""

    version = 1

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        look: Look | None = None,
        grounder: Grounder | None = None,
        router: ChatModel | None = None,
        preset: Preset = "paper",
        attempts: int = ATTEMPTS,
        suffices: int = SUFFICES,
        without: Sequence[Part] = (),
        brief: bool = False,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        """
        Args:
            look: what perceives a post's media; without one nothing is looked at.
            grounder: finds the part of the clip; the model is asked where there is none.
            router: plans in the model's place, as one that was distilled for it.
            attempts: the most answers; with one there is no review.
            suffices: the score from 1 to 10 at which it stops.
            without: `events` (no collector), `grounding` (no planner, the whole clip).
            brief: replies and observations are kept short, for small models.

        Raises:
            BadInput: the task has labels of its own, or an option is not known.
        """
        if task.answers != "question":
            raise BadInput(
                f"panel 'reflection' answers questions that posts bring; task '{task.name}' has labels of its own"
            )
        if preset not in ("paper", "reference"):
            raise BadInput(f"reflection: no preset {preset!r}; there are 'paper' and 'reference'")
        for part in without:
            if part not in PARTS:
                raise BadInput(f"reflection: nothing to do without is called {part!r}; there are {', '.join(PARTS)}")
        self.task, self.model, self.look, self.grounder = task, model, look, grounder
        self.router = router or model
        self.preset, self.attempts, self.suffices = preset, max(1, attempts), suffices
        self.without, self.sampling, self.reasks = frozenset(without), sampling, reasks
        self.forms = TeamForms(BRIEF if brief else FULL)
        self.characters = dossier.OBSERVATION_CHARACTERS // (3 if brief else 1)
        self.prompt = load_prompt("reflection", "team", version=self.version, language=task.language, folder=prompts)
        self.correction = correction_of(self.prompt)
        shown = task.model_copy(update={"policy": ""}) if brief else task
        self._system = self.prompt.text("system", task=shown, data_notice=DATA_NOTICE)
        self._taught_system = self.prompt.text("system", task=task, data_notice=DATA_NOTICE)

    @property
    def name(self) -> str:
        """`reflection:v1`, with the preset and what it does without where these are not the usual ones."""
        parts = ["reflection"] + ([self.preset] if self.preset != "paper" else [])
        parts += [f"without-{part}" for part in PARTS if part in self.without]
        return f"{'-'.join(parts)}:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The team's answer to a post's question."""
        if post.question is None:
            return Verdict(
                id=post.id, outcome=Outcome.MEDIA_MISSING, task=self.task.name, judge=self.name,
                problem="the post brings no question",
            )  # fmt: skip
        return await _Inquiry(self, post.blind(), post.question).judge()

    def plan(self, post: Post) -> CallPlan:
        """The calls of the fewest and of the most steps; re-asks come on top."""
        has_clip = bool(post.media) and self.look is not None
        before = has_clip * (("events" not in self.without) + ("grounding" not in self.without))
        most = before + (has_clip and "grounding" not in self.without and self.grounder is None)
        rounds = 1 if self.attempts == 1 else 2 * self.attempts
        fewest = before + (1 if self.attempts == 1 else 2)
        shown = PROMPT_CHARACTERS + len(self._system) + len(post.text) + has_clip * self.characters
        calls = most + rounds
        return CallPlan(
            calls_min=fewest, calls_max=calls, completion_tokens=calls * self.sampling.max_tokens,
            prompt_tokens=calls * shown // CHARACTERS_PER_TOKEN,
        )  # fmt: skip


class _Inquiry:
    """One question on the team's table."""

    def __init__(self, team: Reflection, post: Post, question: Question) -> None:
        self.team, self.post, self.question = team, post, question
        self.observations: tuple[Observation, ...] = ()
        self.events: tuple[int, ...] = ()
        self.span: Span | None = None
        self.opinions: list[Opinion] = []
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.calls: list[str] = []

    async def judge(self) -> Verdict:
        await self._look()
        if any(o.start_seconds is not None for o in self.observations):
            if "events" not in self.team.without:
                await self._collect()
            if "grounding" not in self.team.without:
                await self._route()
        attempts: list[Attempt] = []
        while len(attempts) < self.team.attempts:
            attempts.append(await self._attempt(len(attempts), attempts))
            score = attempts[-1].score
            if score is not None and score >= self.team.suffices and attempts[-1].answer is not None:
                break
        return self._verdict(attempts)

    # ------------------------------------------------------------------------------------------------ steps

    async def _look(self) -> None:
        wanted = tuple(m for m in self.post.media if m.type in self.team.task.modalities)
        if wanted and self.team.look is not None:
            seen = await self.team.look(self.post.model_copy(update={"media": wanted}))
            self.calls += [call for o in seen for call in o.detail.get("calls", ())]
            self.observations, left_out = dossier.select(seen, characters=self.team.characters)
            if left_out:
                self.notes.append(f"{left_out} observations did not fit and were not shown")
            self.notes += [o.text for o in self.observations if o.outcome.is_failure]
        elif wanted:
            self.notes.append("the media were not looked at")
        else:
            self.notes.append("the question came without its clip")

    async def _collect(self) -> None:
        """Long-tail events as text, behind those that were measured."""
        answer = await self._ask("collector", "collect", self.team.forms.events)
        said: Any = answer.value
        if said is None:
            self._keep("collector", answer, "")
            self.notes.append("rare moments were not written out")
            return
        end = self._duration()
        events = [e for e in said.events if e.start_seconds < end and e.what.strip()]
        if len(events) < len(said.events):
            self.notes.append(f"{len(said.events) - len(events)} events lie outside the clip and were dropped")
        self._keep("collector", answer, f"{len(events)} rare moments")
        media = next((o.media for o in self.observations if o.start_seconds is not None), None)
        added = tuple(
            Observation(
                kind="event", text=event_words(e), start_seconds=e.start_seconds,
                end_seconds=min(max(e.end_seconds, e.start_seconds), end), tool=self.team.model.name, media=media,
                detail={"who": e.who, "what": e.what, "modality": e.modality, "rarity": e.rarity, "why": e.why},
            )
            for e in events
        )  # fmt: skip
        self.events = tuple(range(len(self.observations), len(self.observations) + len(added)))
        self.observations += added

    async def _route(self) -> None:
        # As in the paper, the planner reads the collector's text and the question; without that text, all there is.
        answer = await self._ask(
            "planner",
            "plan",
            self.team.forms.plan,
            events=True,
            model=self.team.router,
            seen=not self.events,
            sampling=PLANNING if self.team.router is not self.team.model else None,
        )
        plan: Any = answer.value
        if plan is None:
            self._keep("planner", answer, "")
            self.notes.append("no plan could be read; the whole clip was used")
            return
        self._keep("planner", answer, f"{'ground' if plan.ground else 'answer'}: {plan.query or plan.reason}".strip())
        if plan.ground:
            await self._ground(plan.query.strip() or self.question.text)

    async def _ground(self, query: str) -> None:
        end = self._duration()
        if self.team.grounder is not None:
            found = self.team.grounder.ground(query, self.observations)
            start, stop, why = (found.start, found.end, query) if found else (0.0, 0.0, "")
            said = f"{start:.1f} to {stop:.1f} s, {found.why}" if found else "nothing was found"
            self.opinions.append(
                Opinion(agent=f"grounder {self.team.grounder.name}", outcome=Outcome.ABSTAINED, rationale=said)
            )
        else:
            answer = await self._ask(
                "grounder", "ground", self.team.forms.span, events=True, query=data_block("query", query)
            )
            span: Any = answer.value
            start, stop, why = (span.start_seconds, span.end_seconds, span.why) if span is not None else (0.0, 0.0, "")
            self._keep("grounder", answer, f"{start:.1f} to {stop:.1f} s: {why}" if span is not None else "")
        if not 0 <= start < stop or start >= end:
            self.notes.append("no part of the clip was found; the whole was used")
            return
        stop = min(stop, end)
        short = max(0.0, NARROWEST_SECONDS - (stop - start)) / 2
        media = next((o.media for o in self.observations if o.start_seconds is not None), None)
        self.span = Span(media=media, start=max(0.0, start - short), end=min(end, stop + short), why=why or query)

    async def _attempt(self, number: int, before: Sequence[Attempt]) -> Attempt:
        team = self.team
        told = "" if team.preset == "reference" else self._earlier(before)
        sampling = team.sampling.model_copy(
            update={"temperature": TEMPERATURE if team.attempts > 1 else team.sampling.temperature,
                    "seed": (team.sampling.seed or 0) + number}
        )  # fmt: skip
        answer = await self._ask(
            "reasoner", "reason", team.forms.reasoning(self.question), events=team.preset != "reference", narrow=True,
            sampling=sampling, wanted=answer_words(self.question), before=told,
        )  # fmt: skip
        said: Any = answer.value
        if said is None:
            self._keep("reasoner", answer, "", round=number)
            return Attempt(None, None, None, len(self.opinions) - 1)
        words = ",".join(said.answer) if isinstance(said.answer, list) else str(said.answer)
        label = self.question.canonical(words)
        if label is None:
            self.opinions.append(
                Opinion(agent="reasoner", round=number, outcome=Outcome.UNPARSABLE, calls=answer.calls)
            )
            return Attempt(None, None, None, len(self.opinions) - 1)
        self.opinions.append(
            Opinion(agent="reasoner", round=number, label=label, rationale=said.think.strip(), calls=answer.calls)
        )
        where = len(self.opinions) - 1
        score = await self._review(number, label, said) if team.attempts > 1 else None
        return Attempt(label, said, score, where)

    async def _review(self, number: int, label: str, said: Any) -> int | None:
        team = self.team
        given = answer_in_words(self.question, label)
        if team.preset != "reference":
            given += f"\n{said.think}"
        answer = await self._ask(
            "reviser", "review", team.forms.review, events=team.preset != "reference",
            options=team.preset != "reference", answer=data_block("answer", given),
        )  # fmt: skip
        review: Any = answer.value
        if review is None:
            self._keep("reviser", answer, "", round=number)
            return UNREAD_SCORE if team.preset == "reference" else None
        self._keep("reviser", answer, f"score {review.score} of 10: {review.reason}".strip(), round=number)
        return int(review.score)

    # ------------------------------------------------------------------------------------------------ words

    async def _ask(
        self,
        agent: str,
        section: str,
        form: type[BaseModel],
        *,
        events: bool = False,
        narrow: bool = False,
        options: bool = True,
        seen: bool = True,
        sampling: Sampling | None = None,
        model: ChatModel | None = None,
        **slots: Any,
    ) -> Answer[BaseModel]:
        answer: Answer[BaseModel] = await ask(
            model or self.team.model, self._messages(section, events=events, narrow=narrow, options=options, seen=seen, **slots), form,
            sampling=sampling or self.team.sampling, reasks=self.team.reasks, correction=self.team.correction,
        )  # fmt: skip
        self.calls += answer.calls
        if answer.problem:
            self.problems.append(f"{agent}: {answer.problem}")
        return answer

    def _messages(
        self, section: str, *, events: bool, narrow: bool, options: bool, seen: bool, **slots: Any
    ) -> list[Message]:
        prompt = self.team.prompt
        span = self.span if narrow else None
        shown = [
            None if not seen or n in self.events or (span is not None and not overlaps(o, span)) else o
            for n, o in enumerate(self.observations)
        ]
        words = dossier.post_block(self.post) if self.post.text.strip() else ""
        parts = [
            prompt.text(
                "dossier", words=words, observations=dossier.observation_lines(shown),
                span=f"{span.start:.1f} and {span.end:.1f} s" if span else "",
            )
        ]  # fmt: skip
        rare = [o if n in self.events else None for n, o in enumerate(self.observations)]
        if events and any(rare):
            parts.append(prompt.text("events", events=dossier.observation_lines(rare)))
        asked = question_words(self.question, options=options)
        parts.append(prompt.text("question", question=data_block("question", dossier.uncited(asked))))
        parts.append(prompt.text(section, **slots))
        is_taught = section == "plan" and self.team.router is not self.team.model
        system = self.team._taught_system if is_taught else self.team._system  # a distilled router knows the whole one
        return [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}]

    def _earlier(self, before: Sequence[Attempt]) -> str:
        lines = []
        for attempt in before:
            if attempt.answer is None:
                continue
            review = next(
                (o.rationale for o in self.opinions[attempt.opinion + 1 :] if o.agent == "reviser"), "not reviewed"
            )
            lines.append(f"- {attempt.answer}: {review}")
        return data_block("earlier", dossier.uncited("\n".join(lines))) if lines else ""

    def _keep(self, agent: str, answer: Answer[BaseModel], words: str, *, round: int = 0) -> None:
        outcome = answer.outcome if answer.value is None else Outcome.ABSTAINED  # it has no vote
        self.opinions.append(Opinion(agent=agent, round=round, outcome=outcome, rationale=words, calls=answer.calls))

    def _duration(self) -> float:
        return max((o.end_seconds for o in self.observations if o.end_seconds is not None), default=0.0)

    # ------------------------------------------------------------------------------------------------ verdict

    def _verdict(self, attempts: Sequence[Attempt]) -> Verdict:
        answered = [attempt for attempt in attempts if attempt.answer is not None]
        # The first of the best-scored ones; one without a score counts below all that have one.
        best = max(answered, key=lambda attempt: attempt.score or 0, default=None)
        spans = (self.span,) if self.span is not None else ()
        known = Verdict(
            id=self.post.id, outcome=Outcome.ABSTAINED, task=self.team.task.name, judge=self.team.name,
            opinions=tuple(self.opinions), observations=self.observations, spans=spans,
        )  # fmt: skip
        if best is None:
            failed = [o for o in self.opinions if o.agent == "reasoner"]
            return known.model_copy(
                update={
                    "outcome": failed[-1].outcome, "calls": tuple(dict.fromkeys(self.calls)), "notes": tuple(self.notes),
                    "problem": "; ".join(self.problems) or "no attempt gave an answer",
                }
            )  # fmt: skip
        cited = [dossier.plain_anchor(name) for name in best.reply.anchors]
        anchors = tuple(dict.fromkeys(name for name in cited if resolve(name, known) is not None))
        sentences = [
            Sentence(sentence=text.strip(), anchors=found)
            for text, found in ((best.reply.context, anchors), (best.reply.think, (f"opinion:{best.opinion}",)))
            if text.strip()
        ]
        if len(attempts) > 1:
            scores = ", ".join("none" if attempt.score is None else str(attempt.score) for attempt in attempts)
            self.notes.append(f"answer {attempts.index(best) + 1} of {len(attempts)} was taken; scores {scores}")
        return known.model_copy(
            update={
                "outcome": Outcome.LABELLED, "label": best.answer, "explanation": tuple(sentences), "quorum": 1,
                "calls": tuple(dict.fromkeys(self.calls)), "notes": (*self.notes, *self.problems),
            }
        )  # fmt: skip


def event_words(event: Any) -> str:
    """A long-tail event as one line of text."""
    return (
        f"{event.who.strip()}: {event.what.strip()} ({event.modality}, rarity {event.rarity} of 5). {event.why.strip()}"
    )


def answer_in_words(question: Question, answer: str) -> str:
    """An answer with the words of its options."""
    if not question.options:
        return answer
    return "\n".join(f"{letter}. {question.option(letter)}" for letter in answer.split(","))


def overlaps(observation: Observation, span: Span) -> bool:
    """Whether it lies in the span, or has no time of its own."""
    if observation.start_seconds is None:
        return True
    end = observation.end_seconds if observation.end_seconds is not None else observation.start_seconds
    return observation.start_seconds <= span.end and end >= span.start
