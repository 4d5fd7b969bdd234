"""A moderator and a user each decide; where they differ, each hears the other and the classifier, and decides again.

Paper: "Multi-Agent VLMs Guided Self-Training with PNU Loss for Low-Resource Offensive Content Detection" (AAAI 2026,
arXiv 2511.13759), section on MA-VLMs and Figure 3. Preset `paper`: free initial decisions, and a label only where
moderator, user and classifier agree. Preset `reference`, as in the authors' code: in round 0 the moderator argues for
the positive label and the user for the negative one; where they say the same, the classifier is not asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.media_parts import MediaMissing
from folkmoot.models.untrusted import data_block
from folkmoot.panels.agent import SAMPLING, Agent, Said, Shown, show, sketch
from folkmoot.panels.agreement import decide
from folkmoot.panels.classifier import Classifier, hear
from folkmoot.panels.conclusion import conclude, conclude_without_media
from folkmoot.panels.reply import reply_form
from folkmoot.panels.together import together
from folkmoot.records import CLASSIFIER, BadInput, CallPlan, Judge, Opinion, Post, Task, Verdict

Question = tuple[Agent, dict[str, Any]]


class Opening(NamedTuple):
    """What does not depend on the classifier: the post as shown, and round 0."""

    shown: Shown
    said: tuple[Said, Said]

    @property
    def failed(self) -> bool:
        """Whether an agent has no label, so that no rule can give one."""
        return any(said.opinion.label is None for said in self.said)

    @property
    def differs(self) -> bool:
        """Whether both have a label and not the same one, so that a second round is held."""
        return not self.failed and self.said[0].opinion.label != self.said[1].opinion.label


class Negotiation:
    """A judge of two agents and, where given, a classifier, whose opinion stands in the verdict as `classifier`."""

    version = 1

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        classifier: Classifier | None = None,
        preset: Literal["paper", "reference"] = "paper",
        user_model: ChatModel | None = None,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        if preset not in ("paper", "reference"):
            raise BadInput(f"negotiation: no preset {preset!r}; there are 'paper' and 'reference'")
        if preset == "reference" and len(task.labels) != 2:
            raise BadInput(f"negotiation: preset 'reference' needs two labels, '{task.name}' has {len(task.labels)}")
        self.task, self.classifier, self.preset = task, classifier, preset
        self.moderator, self.user = (
            Agent(role, task, speaker, reply_form(task), panel="negotiation", version=self.version,
                  sampling=sampling, reasks=reasks, prompts=prompts)
            for role, speaker in (("moderator", model), ("user", user_model or model))
        )  # fmt: skip

    @property
    def name(self) -> str:
        """`negotiation:v1`, or `negotiation-reference:v1`: the presets' results are not the same."""
        return f"negotiation{'-reference' if self.preset == 'reference' else ''}:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The decision after one or two rounds."""
        try:
            opening = await self._open(post)
        except MediaMissing as error:
            return conclude_without_media(post, error, task=self.task, judge=self.name)
        classifier = None
        if self.classifier is not None and self._hears_classifier(opening):
            classifier = await hear(self.classifier, post, task=self.task)
        return await self._close(post, opening, classifier)

    async def negotiate_for_each_label(self, post: Post) -> dict[str, Verdict]:
        """The verdict for each label that a classifier may give, round 0 held once: in binary tasks 6 calls, not 8."""
        labels = self.task.label_names
        try:
            opening = await self._open(post)
        except MediaMissing as error:
            return dict.fromkeys(labels, conclude_without_media(post, error, task=self.task, judge=self.name))
        if not self._hears_classifier(opening):
            return dict.fromkeys(labels, await self._close(post, opening, None))
        closings = (self._close(post, opening, Opinion(agent=CLASSIFIER, label=label)) for label in labels)
        return dict(zip(labels, await together(*closings), strict=True))

    def plan(self, post: Post) -> CallPlan:
        """Two calls, or four where the agents differ, and the classifier's own; re-asks come on top."""
        shown, tokens = sketch(post, task=self.task), self.moderator.sampling.max_tokens
        some = Opinion(agent="some", label=self.task.label_names[0])
        questions = self._first_questions() + self._second_questions(some, some, some if self.classifier else None)
        own = self.classifier.plan(post) if isinstance(self.classifier, Judge) else CallPlan()
        sent = sum(agent.prompt_tokens(shown=shown, **asked) for agent, asked in questions)
        return CallPlan(
            calls_min=2 + (own.calls_min if self.preset == "paper" else 0),
            calls_max=4 + own.calls_max,
            prompt_tokens=sent + 4 * tokens + own.prompt_tokens,  # in round 1 each is sent two reasons
            completion_tokens=4 * tokens + own.completion_tokens,
        )

    async def _open(self, post: Post) -> Opening:
        shown = await show(post, task=self.task)
        moderator, user = await together(*(a.opine(shown=shown, **asked) for a, asked in self._first_questions()))
        return Opening(shown, (moderator, user))

    def _hears_classifier(self, opening: Opening) -> bool:
        return not opening.failed if self.preset == "paper" else opening.differs

    async def _close(self, post: Post, opening: Opening, classifier: Opinion | None) -> Verdict:
        said: tuple[Said, ...] = opening.said
        if opening.differs:
            asking = self._second_questions(said[0].opinion, said[1].opinion, classifier)
            said += await together(*(agent.opine(shown=opening.shown, round=1, **asked) for agent, asked in asking))
        agents = [each.opinion for each in said]
        return conclude(
            post,
            decide(agents, classifier=classifier, rule=self.preset),
            [*agents[:2], *([classifier] if classifier else []), *agents[2:]],
            task=self.task,
            judge=self.name,
            problem="; ".join(each.problem for each in said if each.problem),
        )

    def _first_questions(self) -> list[Question]:
        if self.preset == "paper":
            return [(agent, {"section": "decide"}) for agent in (self.moderator, self.user)]
        stances = ((self.moderator, self.task.positive), (self.user, self.task.negative))
        return [(agent, {"section": "argue", "stance": stance}) for agent, stance in stances]

    def _second_questions(self, moderator: Opinion, user: Opinion, classifier: Opinion | None) -> list[Question]:
        heard = {"section": "revise", "classifier_label": classifier.label if classifier else None}
        strict = {"label": moderator.label, "reason": data_block("moderator reason", moderator.rationale)}
        lenient = {"label": user.label, "reason": data_block("user reason", user.rationale)}
        of_moderator, of_user = {"own": strict, "other": lenient}, {"own": lenient, "other": strict}
        return [(self.moderator, heard | of_moderator), (self.user, heard | of_user)]
