"""What the baselines share that ask one model several questions about one dossier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.structured import Answer, ask
from folkmoot.models.untrusted import DATA_NOTICE
from folkmoot.panels import dossier
from folkmoot.panels.agent import CHARACTERS_PER_TOKEN, SAMPLING
from folkmoot.panels.prompt import correction_of, load_prompt
from folkmoot.panels.team_replies import TeamReplies
from folkmoot.records import CallPlan, Observation, Opinion, Outcome, Post, Task

Look = Callable[[Post], Awaitable[Sequence[Observation]]]


STEP_CHARACTERS = 1400
"""About what a step's own question and the answers before it take."""


class Description(BaseModel):
    """A step's free words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    description: str


class Sequential:
    """A judge that asks step by step; a step that fails ends it with that step's outcome."""

    panel: str
    version = 1
    steps: int
    fewest_steps: int

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        look: Look | None = None,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        """
        Args:
            look: what perceives a post's media; without one nothing is looked at.
        """
        self.task, self.model, self.look = task, model, look
        self.sampling, self.reasks = sampling, reasks
        self.replies = TeamReplies(task)
        self.prompt = load_prompt(self.panel, "judge", version=self.version, language=task.language, folder=prompts)
        self.correction = correction_of(self.prompt)
        self._system = self.prompt.text("system", task=task, data_notice=DATA_NOTICE)

    @property
    def name(self) -> str:
        """The panel and its version."""
        return f"{self.panel}:v{self.version}"

    async def observe(self, post: Post) -> tuple[Observation, ...]:
        """What is shown of the post's media."""
        media = tuple(medium for medium in post.media if medium.type in self.task.modalities)
        if not media or self.look is None:
            return ()
        return dossier.select(await self.look(post.model_copy(update={"media": media})))[0]

    async def put(
        self, section: str, form: type[BaseModel], post: Post, observations: Sequence[Observation], **slots: Any
    ) -> Answer[BaseModel]:
        """The answer to one step."""
        shown = self.prompt.text(
            "dossier", post=dossier.post_block(post), observations=dossier.observation_lines(observations)
        )
        text = f"{shown}\n\n{self.prompt.text(section, **slots)}"
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        return await ask(
            self.model, messages, form, sampling=self.sampling, reasks=self.reasks, correction=self.correction
        )

    def opinion(self, agent: str, answer: Answer[BaseModel], *, round: int = 0) -> Opinion:
        """A step's answer as an opinion; one that describes and does not decide has no label."""
        if answer.value is None:
            return Opinion(agent=agent, round=round, outcome=answer.outcome, calls=answer.calls)
        said: Any = answer.value
        if not hasattr(said, "label"):
            words = getattr(said, "description", "") or "; ".join(getattr(said, "questions", []))
            return Opinion(
                agent=agent, round=round, outcome=Outcome.ABSTAINED, rationale=words.strip(), calls=answer.calls
            )
        return Opinion(agent=agent, round=round, label=said.label, confidence=said.confidence_percent / 100, rationale=said.reason.strip(),
                       calls=answer.calls)  # fmt: skip

    def plan(self, post: Post) -> CallPlan:
        """One call a step; re-asks come on top."""
        shown = (
            STEP_CHARACTERS + len(self._system) + len(post.text) + (dossier.OBSERVATION_CHARACTERS if post.media else 0)
        )
        return CallPlan(
            calls_min=self.fewest_steps, calls_max=self.steps, completion_tokens=self.steps * self.sampling.max_tokens,
            prompt_tokens=self.steps * shown // CHARACTERS_PER_TOKEN,
        )  # fmt: skip
