"""How a language-model student is asked: the same words when it learns and when it judges, named in its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.models.prompt import Prompt, load_prompt
from folkmoot.models.untrusted import harmless
from folkmoot.records import BadInput, Media, Post, Task
from folkmoot.records.preference import MEDIA_FIELDS

SHELF = Path(__file__).parent / "prompts"
INSTRUCTION = "society:v2"
IMAGES_ALONE = "society:v1"
"""The frame that shows a post's images and leaves its clips and sounds out."""
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
        """The conversation up to the student's answer; the post's media come first, one part each, in order."""
        verdicts = " or ".join(f'"{self.verdict(label)}"' for label in self.task.label_names)
        text = self._prompt.text(
            "ask", post=harmless(post.text).replace(QUOTES, "'''"), question=self.task.question, verdicts=verdicts
        )
        parts = [{"type": medium.type} for medium in self._shown(post)]
        if not parts:
            return [{"role": "user", "content": text}]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]

    def files(self, post: Post) -> dict[str, tuple[str, ...]]:
        """The paths of the media that the conversation shows, by type: `images`, `videos` and `audios`, in order."""
        shown = self._shown(post)
        return {
            field: tuple(medium.path for medium in shown if medium.type == kind) for kind, field in MEDIA_FIELDS.items()
        }

    def _shown(self, post: Post) -> list[Media]:
        return [medium for medium in post.media if medium.type == "image" or self.name != IMAGES_ALONE]

    def verdict(self, label: str) -> str:
        """The last line of an answer that decides for a label."""
        return self._prompt.text("verdict", label=label)
