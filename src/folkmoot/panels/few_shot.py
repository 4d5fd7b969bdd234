"""One agent that is shown posts with their gold labels before it judges.

Paper: Brown et al., "Language Models are Few-Shot Learners" (NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.media_parts import media_parts
from folkmoot.models.untrusted import data_block
from folkmoot.panels.agent import SAMPLING, Part, Shown
from folkmoot.panels.alone import Alone
from folkmoot.records import BadInput, Post, Task


class FewShot(Alone):
    """A judge that sees `examples`, posts with gold labels, in the given order. An example is never its own example.

    Raises:
        BadInput: no examples, or one without a label of the task.
        MediaMissing: an example's picture cannot be shown.
    """

    panel = "few_shot"

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        examples: Sequence[Post],
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        super().__init__(task, model, sampling=sampling, reasks=reasks, prompts=prompts)
        if not examples:
            raise BadInput("few_shot got no examples; give it one or more posts with a gold label, or use 'direct'")
        for post in examples:
            if post.label not in task.label_names:
                raise BadInput(
                    f"few_shot: example '{post.id}' has the label {post.label!r}; "
                    f"task '{task.name}' has {list(task.label_names)}"
                )
        self._examples = {post.id: self._parts(post) for post in examples}

    def _parts(self, post: Post) -> tuple[Part, ...]:
        text = self.agent.prompt.text("example", post=data_block("example", post.text), label=post.label)
        media = media_parts(medium for medium in post.media if medium.type in self.task.modalities)
        return ({"type": "text", "text": text}, *media)

    def add(self, post: Post, shown: Shown) -> Shown:
        """The examples, then the post."""
        others = (parts for id, parts in self._examples.items() if id != post.id)
        return shown._replace(before=tuple(part for parts in others for part in parts))
