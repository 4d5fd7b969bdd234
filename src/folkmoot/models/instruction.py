"""How a language-model student is asked: the same words when it learns and when it judges, named in its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.models.prompt import Prompt, load_prompt
from folkmoot.models.untrusted import harmless
from folkmoot.records import BadInput, Post, Task

SHELF = Path(__file__).parent / "prompts"
INSTRUCTION = "society:v1"
QUOTES = '"""'


class Instruction:
    """The question of a task about a post, and the line with which an answer ends.

    A post stands between three double quotes, which it cannot hold itself; a student is trained on this very frame.

    Args:
        name: which of the shipped frames, as the student's card names it.
    """

    def __init__(self, task: Task, name: str = INSTRUCTION) -> None:
        role, _, version = name.partition(":v")
        if not version.isdigit():
            raise BadInput(f"'{name}' names no instruction of a student; accepted: '{INSTRUCTION}'")
        self.task, self.name = task, name
        self._prompt: Prompt = load_prompt("student", role, version=int(version), language=task.language, shelf=SHELF)

    def turns(self, post: Post) -> list[dict[str, Any]]:
        """The conversation up to the student's answer; images come first, as parts."""
        verdicts = " or ".join(f'"{self.verdict(label)}"' for label in self.task.label_names)
        text = self._prompt.text(
            "ask", post=harmless(post.text).replace(QUOTES, "'''"), question=self.task.question, verdicts=verdicts
        )
        images = [media for media in post.media if media.type == "image"]
        if not images:
            return [{"role": "user", "content": text}]
        return [{"role": "user", "content": [*({"type": "image"} for _ in images), {"type": "text", "text": text}]}]

    def verdict(self, label: str) -> str:
        """The last line of an answer that decides for a label."""
        return self._prompt.text("verdict", label=label)
