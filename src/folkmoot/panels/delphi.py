"""A team that looks, asks the world where it is unsure, says where in the clip, and explains with anchors.

Paper: "Explainable Attribution of Fake Micro-videos" (FakeAgent / WildFakeBench, WWW 2026, arXiv 2603.25423), section
5: a content analyst reasons at three levels and concludes (C); a planner estimates its confidence and, where that
does not suffice, has evidence retrieved (E, Equation 1); a locator filters it (F, Equation 2) and finds suspicious
spans (its prompt); an integrator weighs {C, F}. Preset `paper`: the gate needs both need and low confidence, the span
locator runs where somebody is suspicious. Preset `reference`, as in the authors' code: the gate is the need alone and
the locator always runs. Preset `delphi_agent`: in the integrator's place three fact-checkers talk in anonymous rounds,
at most three, led by a synthesizer, and the majority decides (DelphiAgent).

Departs: the ten types are asked for and returned with probabilities, which the authors' code never does; temperature 0;
a failed step is an outcome and a note, never a finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from folkmoot.evidence.guarded import GuardedRetriever
from folkmoot.evidence.retriever import Question, Retriever, SourceDown
from folkmoot.models.chat import ChatModel, Message, Sampling
from folkmoot.models.structured import Answer, ask
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.panels import dossier
from folkmoot.panels.agent import CHARACTERS_PER_TOKEN, SAMPLING
from folkmoot.panels.agreement import Decision, decide
from folkmoot.panels.conclusion import conclude
from folkmoot.panels.dossier import Part
from folkmoot.panels.gate import Gate, opens
from folkmoot.panels.movement import moves
from folkmoot.panels.prompt import correction_of, load_prompt
from folkmoot.panels.sequence import Look
from folkmoot.panels.team_replies import BRIEF, FULL, Filtered, Located, Synthesis, TeamReplies
from folkmoot.panels.together import together
from folkmoot.panels.vote import vote
from folkmoot.records import (
    POST_ANCHOR,
    BadInput,
    CallPlan,
    Evidence,
    Observation,
    Opinion,
    Outcome,
    Post,
    Sentence,
    Span,
    Task,
    Verdict,
    resolve,
)

LONGER = SAMPLING.model_copy(update={"max_tokens": 512})  # the paper's limit
THRESHOLD = 0.6  # the authors' code before its demo version
QUESTION_CHARACTERS = 2400  # about what a question and the analysis before it take
PASSAGES = 5  # the paper's K
CHECKERS = ("optimist", "analyst", "critic")
LEVELS = ("aigc", "consistency", "bias")
Preset = Literal["paper", "reference", "delphi_agent"]


class Told(NamedTuple):
    """A member's answer as an opinion, and the whole reply where there is one."""

    opinion: Opinion
    reply: Any


class Delphi:
    """A judge made of a team. What it did without stands in the verdict's notes."""

    version = 1

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        retriever: Retriever | None = None,
        look: Look | None = None,
        preset: Preset = "paper",
        gate: Gate | None = None,
        threshold: float = THRESHOLD,
        passages: int = PASSAGES,
        rounds: int | None = None,
        as_of: str | None = None,
        allow_undated: bool = False,
        allowed: Sequence[str] | None = None,
        without: Sequence[Part] = (),
        brief: bool = False,
        sampling: Sampling = LONGER,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        """
        Args:
            retriever: where evidence comes from; without one the team does without and says so.
            look: what perceives a post's media; without one nothing is looked at.
            gate: when evidence is retrieved; the preset's own by default.
            rounds: of the checkers' talk, for preset `delphi_agent`; 3 by default.
            as_of: only what was out before this day is evidence.
            allowed: the domains that web evidence may come from; None allows all.
            without: parts to do without: text, video, audio, evidence, refining (FakeAgent's ablations; without
                `refining` the analyst answers one question in place of three levels and nothing is located).
            brief: replies and observations are kept short and the planner draws the conclusion, for small models.
        """
        if preset not in ("paper", "reference", "delphi_agent"):
            raise BadInput(f"delphi: no preset {preset!r}; there are 'paper', 'reference' and 'delphi_agent'")
        for part in without:
            if part not in dossier.PARTS:
                raise BadInput(
                    f"delphi: nothing to do without is called {part!r}; there are {', '.join(dossier.PARTS)}"
                )
        self.task, self.model, self.preset = task, model, preset
        self.retriever, self.look = retriever, look
        self.gate: Gate = gate or ("need" if preset == "reference" else "confidence")
        self.threshold, self.passages, self.rounds = threshold, passages, rounds or 3
        self.question = Question(text="-", k=passages, as_of=as_of, allow_undated=allow_undated)
        self.allowed, self.without = allowed, frozenset(without)
        self.sampling, self.reasks = sampling, reasks
        self.brief = brief
        self.replies = TeamReplies(task, brevity=BRIEF if brief else FULL)
        self.observation_characters = dossier.OBSERVATION_CHARACTERS // (3 if brief else 1)
        self.prompt = load_prompt("delphi", "team", version=self.version, language=task.language, folder=prompts)
        self.correction = correction_of(self.prompt)
        # A small model reads slowly and is not helped by a page of policy.
        told = task.model_copy(update={"policy": ""}) if brief else task
        self._system = self.prompt.text("system", task=told, data_notice=DATA_NOTICE)

    @property
    def name(self) -> str:
        """`delphi:v1`, with the preset and what it does without where these are not the usual ones."""
        parts = ["delphi"] + ([self.preset] if self.preset != "paper" else [])
        parts += [f"without-{part}" for part in dossier.PARTS if part in self.without]
        return f"{'-'.join(parts)}:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The team's decision on a post."""
        return await _Case(self, post.blind()).judge()

    def plan(self, post: Post) -> CallPlan:
        """The calls of the fewest and of the most steps; re-asks come on top."""
        analysis = 1 if "refining" in self.without else len(LEVELS) + (0 if self.brief else 1)
        located = 0 if "refining" in self.without else 1
        talk = self.rounds * (len(CHECKERS) + 1) - 1 if self.preset == "delphi_agent" else 1
        fewest = analysis + 1 + (len(CHECKERS) if self.preset == "delphi_agent" else 1)
        most = analysis + 1 + (1 if self._retrieves else 0) + located + talk
        shown = (
            QUESTION_CHARACTERS
            + len(self._system)
            + len(post.text)
            + (self.observation_characters if post.media else 0)
        )
        found = self.passages * 900 if self._retrieves else 0
        return CallPlan(
            calls_min=fewest, calls_max=most, completion_tokens=most * self.sampling.max_tokens,
            prompt_tokens=most * (shown + found) // CHARACTERS_PER_TOKEN,
        )  # fmt: skip

    @property
    def _retrieves(self) -> bool:
        return self.retriever is not None and self.gate != "never" and "evidence" not in self.without


class _Case:
    """One post on the team's table: what is known of it so far, who said what, and what was done without."""

    def __init__(self, team: Delphi, post: Post) -> None:
        self.team, self.post = team, post
        self.observations: tuple[Observation, ...] = ()
        self.evidence: tuple[Evidence, ...] = ()
        self.irrelevant: frozenset[int] = frozenset()
        self.spans: tuple[Span, ...] = ()
        self.opinions: list[Opinion] = []
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.calls: list[str] = []

    async def judge(self) -> Verdict:
        await self._look()
        has_words = bool(self.post.text.strip()) and "text" not in self.team.without
        if self.post.media and not has_words and all(o.outcome.is_failure for o in self.observations):
            why = "; ".join(self.notes) or "nothing of the post could be looked at"
            return self._verdict(Decision(outcome=Outcome.MEDIA_MISSING, problem=why))
        analysis = await self._analyse()
        await self._ask_the_world(analysis)
        if "refining" not in self.team.without and self._is_suspicious(analysis):
            await self._locate(analysis)
        if self.team.preset == "delphi_agent":
            return await self._talk(analysis)
        said = await self._ask("integrator", "integrate", self.team.replies.integration, **self._integration(analysis))
        self.opinions.append(said.opinion)
        return self._verdict(decide([said.opinion]), [said])

    # ------------------------------------------------------------------------------------------------ steps

    async def _look(self) -> None:
        wanted = [m for m in self.post.media if m.type in self.team.task.modalities]
        if wanted and self.team.look is not None:
            seen = await self.team.look(self.post.model_copy(update={"media": tuple(wanted)}))
            self.calls += [call for o in seen for call in o.detail.get("calls", ())]
            room = self.team.observation_characters
            self.observations, left_out = dossier.select(seen, without=self.team.without, characters=room)
            if left_out:
                self.notes.append(f"{left_out} observations did not fit and were not shown")
            self.notes += [o.text for o in self.observations if o.outcome.is_failure]
        elif wanted:
            self.notes.append("the media were not looked at")

    async def _analyse(self) -> list[Told]:
        if "refining" in self.team.without:
            said = [await self._ask("content_analyst", "whole", self.team.replies.level)]
            self.opinions += [told.opinion for told in said]
            return said
        levels = await together(
            *(self._ask(f"content_analyst_{level}", level, self.team.replies.level) for level in LEVELS)
        )
        self.opinions += [told.opinion for told in levels]
        if self.team.brief:
            return list(levels)  # the planner draws the conclusion in the same call
        concluded = await self._ask(
            "content_analyst", "conclude", self.team.replies.conclusion, rationales=self._rationales(levels)
        )
        self.opinions.append(concluded.opinion)
        return [*levels, concluded]

    async def _ask_the_world(self, analysis: list[Told]) -> None:
        planned = await self._ask("planner", "plan", self.team.replies.plan, rationales=self._rationales(analysis))
        self.opinions.append(planned.opinion)
        analysis.append(planned)
        if "evidence" in self.team.without:
            return
        need = planned.reply.need_evidence if planned.reply is not None else None
        if not opens(self.team.gate, need=need, confidence=planned.opinion.confidence, threshold=self.team.threshold):
            self.notes.append("no evidence was retrieved: the gate stayed closed")
            return
        if self.team.retriever is None:
            self.notes.append("evidence was wanted and there is no retriever")
            return
        asked = [q.strip() for q in planned.reply.questions if q.strip()][:3] if planned.reply is not None else []
        asked = asked or [self.post.text.strip()[:300]]
        guarded = GuardedRetriever(self.team.retriever, allowed=self.team.allowed, own_text=self.post.text)
        found: list[Evidence] = []
        for answer in await asyncio.gather(
            *(guarded.retrieve(self.team.question.model_copy(update={"text": text})) for text in asked if text),
            return_exceptions=True,
        ):
            if isinstance(answer, SourceDown):
                self.notes.append(f"a source of evidence was down: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found += answer
        self.evidence = _first_of_each(found, self.team.passages)
        self.notes += [f"{count} passages were left out: {why}" for why, count in sorted(guarded.left_out.items())]
        if not self.evidence:
            self.notes.append("nothing was found")
            return
        await self._filter()

    async def _filter(self) -> None:
        told = await self._ask("locator", "filter", Filtered)
        self.opinions.append(told.opinion)
        if told.reply is None:
            self.notes.append("the passages found were not filtered")
            return
        bearing = {p.evidence: p.bearing for p in told.reply.passages if p.evidence < len(self.evidence)}
        self.irrelevant = frozenset(number for number, how in bearing.items() if how == "irrelevant")
        if self.irrelevant:
            self.notes.append(f"{len(self.irrelevant)} of {len(self.evidence)} passages do not bear on it")

    def _is_suspicious(self, analysis: Sequence[Told]) -> bool:
        has_time = any(o.start_seconds is not None for o in self.observations)
        if not has_time or self.team.preset == "reference":
            return has_time
        positive = self.team.task.positive
        return any(told.opinion.label == positive for told in analysis)

    async def _locate(self, analysis: Sequence[Told]) -> None:
        told = await self._ask("locator", "locate", Located, rationales=self._rationales(analysis))
        self.opinions.append(told.opinion)
        if told.reply is None:
            return
        end = max((o.end_seconds for o in self.observations if o.end_seconds is not None), default=0.0)
        media = next((o.media for o in self.observations if o.start_seconds is not None), None)
        located = [s for s in told.reply.spans if 0 <= s.start_seconds < s.end_seconds and s.start_seconds < end]
        if len(located) < len(told.reply.spans):
            self.notes.append(
                f"{len(told.reply.spans) - len(located)} located spans lie outside the clip and were dropped"
            )
        self.spans = tuple(
            Span(media=media, start=s.start_seconds, end=min(s.end_seconds, end), why=s.why) for s in located
        )

    async def _talk(self, analysis: Sequence[Told]) -> Verdict:
        """The checkers' rounds: anonymous reviews, a synthesizer without a vote, an early end, a majority."""
        asked = self.team.prompt.text("integrate", task=self.team.task, **self._integration(analysis))
        last: tuple[Told, ...] = ()
        feedback = ""
        for round in range(self.team.rounds):
            before = last

            def more(own: int, before: tuple[Told, ...] = before, feedback: str = feedback) -> str:
                if not before:
                    return asked
                others = [told for n, told in enumerate(before) if n != own]
                reviews = self.team.prompt.text("reviews", reviews=self._reviews(others), feedback=feedback)
                return f"{asked}\n\n{reviews}"

            last = await together(
                *(
                    self._ask(name, name, self.team.replies.integration, round=round, asked=more(n))
                    for n, name in enumerate(CHECKERS)
                )
            )
            self.opinions += [told.opinion for told in last]
            labels = {told.opinion.label for told in last}
            if (len(labels) == 1 and None not in labels) or round + 1 == self.team.rounds:
                break
            led = await self._ask("synthesizer", "synthesize", Synthesis, round=round, reviews=self._reviews(last))
            self.opinions.append(led.opinion)
            if led.reply is not None:
                if led.reply.terminate:
                    break
                feedback = data_block("feedback", f"{led.reply.feedback}\n{led.reply.suggestion}")
        self.notes += [move.in_words() for move in moves([o for o in self.opinions if o.agent in CHECKERS])]
        decision = vote([told.opinion for told in last])
        return self._verdict(decision, [told for told in last if told.opinion.label == decision.label])

    # ------------------------------------------------------------------------------------------------ words

    async def _ask(self, agent: str, section: str, form: type[BaseModel], *, round: int = 0, **slots: Any) -> Told:
        answer: Answer[BaseModel] = await ask(
            self.team.model, self._messages(section, **slots), form, sampling=self.team.sampling,
            reasks=self.team.reasks, correction=self.team.correction,
        )  # fmt: skip
        self.calls += answer.calls
        if answer.problem:
            self.problems.append(f"{agent}: {answer.problem}")
        if answer.value is None:
            return Told(Opinion(agent=agent, round=round, outcome=answer.outcome, calls=answer.calls), None)
        said = answer.value.model_dump()
        if "label" not in said:  # a member who looks for something and has no vote
            opinion = Opinion(
                agent=agent, round=round, outcome=Outcome.ABSTAINED, rationale=_aside(answer.value), calls=answer.calls
            )
            return Told(opinion, answer.value)
        reason = said.get("reason") or " ".join(
            sentence["sentence"].strip() for sentence in said.get("explanation", [])
        )
        return Told(
            Opinion(agent=agent, round=round, label=said["label"], confidence=said["confidence_percent"] / 100, rationale=reason.strip(),
                    calls=answer.calls),
            answer.value,
        )  # fmt: skip

    def _messages(self, section: str, **slots: Any) -> list[Message]:
        prompt = self.team.prompt
        parts = [
            prompt.text(
                "dossier", post=dossier.post_block(self.post, without=self.team.without),
                observations=dossier.observation_lines(self.observations),
            )
        ]  # fmt: skip
        if self.evidence:
            passages = dossier.passage_lines(self.evidence, irrelevant=self.irrelevant)
            parts.append(prompt.text("evidence", passages=passages))
        parts.append(prompt.text(section, task=self.team.task, **slots))
        return [{"role": "system", "content": self.team._system}, {"role": "user", "content": "\n\n".join(parts)}]

    def _rationales(self, told: Sequence[Told]) -> str:
        """What the members said, as data: they quote the post."""
        lines = []
        for each in told:
            if each.opinion.label is None:
                lines.append(f"{each.opinion.agent}: could not say ({each.opinion.outcome.value})")
                continue
            lines.append(
                f"{each.opinion.agent}: {each.opinion.label}, {each.opinion.confidence:.2f} sure. {each.opinion.rationale}"
            )
            for finding in getattr(each.reply, "findings", []):
                cited = ", ".join(a for a in finding.anchors if self._is_anchor(a))
                lines.append(f"- {' '.join(finding.claim.split())} ({cited or 'no anchor'})")
        return data_block("analysis", "\n".join(dossier.uncited(line) for line in lines))

    def _reviews(self, told: Sequence[Told]) -> str:
        said = [
            f"- {t.opinion.label}, {t.opinion.confidence:.2f} sure. {t.opinion.rationale}"
            for t in told
            if t.opinion.label
        ]
        return data_block(
            "reviews", "\n".join(dossier.uncited(line) for line in sorted(said)) or "nothing that can be read"
        )

    def _integration(self, analysis: Sequence[Told]) -> dict[str, Any]:
        spans = "\n".join(
            f"[span:{n}] {s.start:.1f}-{s.end:.1f}: {dossier.uncited(s.why)}" for n, s in enumerate(self.spans)
        )
        return {
            "rationales": self._rationales(analysis), "types": self.team.replies.types,
            "spans": data_block("spans", spans) if spans else "",
        }  # fmt: skip

    def _is_anchor(self, name: str) -> bool:
        return resolve(dossier.plain_anchor(name), self._known()) is not None

    def _known(self) -> Verdict:
        return Verdict(
            id=self.post.id, outcome=Outcome.ABSTAINED, task=self.team.task.name, judge=self.team.name,
            opinions=tuple(self.opinions), evidence=self.evidence, observations=self.observations, spans=self.spans,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ verdict

    def _verdict(self, decision: Decision, deciding: Sequence[Told] = ()) -> Verdict:
        problem = "; ".join(self.problems) if decision.label is None else ""
        base = conclude(self.post, decision, self.opinions, task=self.team.task, judge=self.team.name, problem=problem)
        sentences: list[Sentence] = []
        sums: dict[str, float] = {}
        for told in deciding:
            if told.reply is None:
                continue
            for sentence in told.reply.explanation:
                anchors = tuple(dict.fromkeys(dossier.plain_anchor(a) for a in sentence.anchors if self._is_anchor(a)))
                if "text" in self.team.without:
                    anchors = tuple(a for a in anchors if a != POST_ANCHOR)
                sentences.append(Sentence(sentence=sentence.sentence.strip(), anchors=anchors))
            best: dict[str, float] = {}
            for attributed in getattr(told.reply, "types", []):
                best[attributed.type] = max(attributed.percent / 100, best.get(attributed.type, 0.0))
            for name, probability in best.items():
                sums[name] = sums.get(name, 0.0) + probability
        count = len([told for told in deciding if told.reply is not None])
        attribution = {name: round(sums.get(name, 0.0) / count, 6) for name in self.team.replies.types} if count else {}
        return base.model_copy(
            update={
                "explanation": tuple(sentence for sentence in sentences if sentence.sentence), "attribution": attribution,
                "evidence": self.evidence, "observations": self.observations, "spans": self.spans,
                "notes": tuple(dict.fromkeys([*self.notes, *(self.problems if decision.label is not None else [])])),
                "calls": tuple(dict.fromkeys(self.calls)),
            }
        )  # fmt: skip


def _aside(reply: BaseModel) -> str:
    """What a member without a vote found, in a sentence."""
    if isinstance(reply, Filtered):
        return "; ".join(f"evidence:{p.evidence} {p.bearing}" for p in reply.passages)
    if isinstance(reply, Located):
        return f"{len(reply.spans)} suspicious spans"
    if isinstance(reply, Synthesis):
        return reply.feedback.strip()
    return ""


def _first_of_each(found: Sequence[Evidence], most: int) -> tuple[Evidence, ...]:
    """The passages without repeats, in the order of their scores within a retriever, at most so many."""
    best: dict[str, Evidence] = {}
    for evidence in found:
        if evidence.id not in best or (evidence.score or 0) > (best[evidence.id].score or 0):
            best[evidence.id] = evidence
    return tuple(sorted(best.values(), key=lambda e: -(e.score or 0.0))[:most])
