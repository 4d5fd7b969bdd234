"""The voices of a synthesis: a model, the prompts of the roles, and what is said in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.models.chat import ChatModel, Message, Sampling
from folkmoot.models.prompt import Prompt, load_prompt
from folkmoot.models.structured import CORRECTION
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.records import Post, Task

SHELF = Path(__file__).parent / "prompts"
ROLES = ("judge", "member", "adversary", "coordinator", "summarizer")
JUDGE_SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=64)
WRITER_SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=384)


class Speaker:
    """Puts a role's question to a model. Whatever others wrote enters a prompt as a marked data block only.

    Args:
        prompts: a folder looked into before the shipped prompts.
    """

    correction = CORRECTION

    def __init__(self, task: Task, model: ChatModel, *, version: int = 1, prompts: Path | None = None) -> None:
        self.task, self.model = task, model
        self._prompts: dict[str, Prompt] = {
            role: load_prompt("scot", role, version=version, language=task.language, shelf=SHELF, folder=prompts)
            for role in ROLES
        }

    def messages(self, role: str, section: str, *, post: Post, persona: str = "", **slots: Any) -> list[Message]:
        """The conversation in which a section of a role's prompt is put to the model."""
        prompt = self._prompts[role]
        system = prompt.text("system", task=self.task, data_notice=DATA_NOTICE, persona=persona)
        user = prompt.text(section, task=self.task, post=data_block("post", post.text), **slots)
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]
