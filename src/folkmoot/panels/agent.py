"""One agent of a panel: a role's prompt, a model and a form of reply, giving Opinions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from folkmoot.models.chat import ChatModel, Message, Sampling
from folkmoot.models.media_parts import media_parts
from folkmoot.models.structured import ask
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.panels.prompt import correction_of, load_prompt
from folkmoot.records import Opinion, Outcome, Post, Task

SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=256)
CHARACTERS_PER_TOKEN = 4  # a usual figure for English; used for plans only
TOKENS_PER_MEDIUM = 1000  # chosen, of the order of what vision-language models spend on one picture


Part = dict[str, Any]
"""A content part of a message, in the OpenAI convention."""


class Said(NamedTuple):
    """An opinion, and what went wrong where it has no label."""

    opinion: Opinion
    problem: str = ""


class Shown(NamedTuple):
    """A post as agents are shown it: its text in a marked data block, its media and what comes before as parts."""

    block: str
    media: tuple[Part, ...] = ()
    before: tuple[Part, ...] = ()


async def show(post: Post, *, task: Task) -> Shown:
    """The post, made safe for a prompt; only media of the task's modalities are read.

    Raises:
        MediaMissing: one of these cannot be shown.
    """
    media = tuple(medium for medium in post.media if medium.type in task.modalities)
    parts = await asyncio.to_thread(media_parts, media) if media else []
    return Shown(data_block("post", post.text), tuple(parts))


def sketch(post: Post, *, task: Task) -> Shown:
    """The post as `show` would give it, with empty parts for its media, to plan with."""
    media = tuple({"type": medium.type} for medium in post.media if medium.type in task.modalities)
    return Shown(data_block("post", post.text), media)


class Agent:
    """Gives an opinion on a post, in a role. Never raises for a model's failure: that is the opinion's outcome."""

    def __init__(
        self,
        name: str,
        task: Task,
        model: ChatModel,
        reply: type[BaseModel],
        *,
        panel: str,
        version: int,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
        role: str | None = None,
        persona: str = "",
    ) -> None:
        """
        Args:
            role: whose prompt is read, where several agents share one; the agent's name by default.
            persona: who the agent is, in words, for prompts that have a place for it.
        """
        self.name, self.task, self.model, self.reply = name, task, model, reply
        self.sampling, self.reasks = sampling, reasks
        self.prompt = load_prompt(panel, role or name, version=version, language=task.language, folder=prompts)
        self._system = self.prompt.text("system", task=task, data_notice=DATA_NOTICE, persona=persona)
        self._correction = correction_of(self.prompt)

    def messages(self, section: str, shown: Shown, **slots: Any) -> list[Message]:
        """The conversation in which `section` of the prompt is asked. Anybody's text in a slot is a data block."""
        text = self.prompt.text(section, task=self.task, post=shown.block, **slots)
        parts = (*shown.before, {"type": "text", "text": text}, *shown.media)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        content = "\n\n".join(texts) if len(texts) == len(parts) else list(parts)  # some endpoints want a string
        return [{"role": "system", "content": self._system}, {"role": "user", "content": content}]

    async def opine(self, section: str, shown: Shown, *, round: int = 0, **slots: Any) -> Said:
        """What the agent says when `section` of its prompt is put to it."""
        messages = self.messages(section, shown, **slots)
        answer = await ask(
            self.model,
            messages,
            self.reply,
            sampling=self.sampling,
            reasks=self.reasks,
            correction=self._correction,
        )
        if answer.outcome is not Outcome.LABELLED or answer.value is None:
            outcome = Outcome.UNPARSABLE if answer.outcome is Outcome.LABELLED else answer.outcome
            opinion = Opinion(agent=self.name, round=round, outcome=outcome, calls=answer.calls)
            return Said(opinion, f"{self.name}: {answer.problem}" if answer.problem else "")
        said = answer.value.model_dump()
        return Said(
            Opinion(
                agent=self.name,
                round=round,
                label=said["label"],
                confidence=said["confidence"],
                rationale=said["reason"].strip(),
                calls=answer.calls,
            )
        )

    def prompt_tokens(self, section: str, shown: Shown, **slots: Any) -> int:
        """About how many tokens the call sends."""
        content = self.messages(section, shown, **slots)[1]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [self._system, *(part["text"] for part in parts if part["type"] == "text")]
        media = len(parts) - len(texts) + 1
        return sum(map(len, texts)) // CHARACTERS_PER_TOKEN + media * TOKENS_PER_MEDIUM
