"""What the panels of a single agent share."""

from __future__ import annotations

from pathlib import Path

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.media_parts import MediaMissing
from folkmoot.panels.agent import SAMPLING, Agent, Shown, show, sketch
from folkmoot.panels.agreement import decide
from folkmoot.panels.conclusion import conclude, conclude_without_media
from folkmoot.panels.reply import reply_form
from folkmoot.records import CallPlan, Post, Task, Verdict


class Alone:
    """A judge made of one agent, `judge`, that is asked once. Its opinion is the verdict."""

    panel: str
    version = 1
    reason_first = False

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        self.task = task
        self.agent = Agent(
            "judge",
            task,
            model,
            reply_form(task, reason_first=self.reason_first),
            panel=self.panel,
            version=self.version,
            sampling=sampling,
            reasks=reasks,
            prompts=prompts,
        )

    @property
    def name(self) -> str:
        """The panel and its version."""
        return f"{self.panel}:v{self.version}"

    def add(self, post: Post, shown: Shown) -> Shown:
        """What the agent is shown for this post, with what the panel adds; nothing here."""
        return shown

    async def judge(self, post: Post) -> Verdict:
        """The agent's opinion as a verdict."""
        try:
            shown = await show(post, task=self.task)
        except MediaMissing as error:
            return conclude_without_media(post, error, task=self.task, judge=self.name)
        said = await self.agent.opine("decide", self.add(post, shown))
        decision = decide([said.opinion])
        return conclude(post, decision, [said.opinion], task=self.task, judge=self.name, problem=said.problem)

    def plan(self, post: Post) -> CallPlan:
        """One call; a re-ask after a bad reply comes on top."""
        shown = self.add(post, sketch(post, task=self.task))
        return CallPlan(
            calls_min=1,
            calls_max=1,
            prompt_tokens=self.agent.prompt_tokens("decide", shown),
            completion_tokens=self.agent.sampling.max_tokens,
        )
