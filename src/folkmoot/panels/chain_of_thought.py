"""One agent that reasons step by step before it names a label.

Paper: Wei et al., "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models" (NeurIPS 2022); Kojima et
al., "Large Language Models are Zero-Shot Reasoners" (NeurIPS 2022), for doing so without examples.
"""

from __future__ import annotations

from pathlib import Path

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.panels.agent import SAMPLING
from folkmoot.panels.alone import Alone
from folkmoot.records import Task

LONGER = SAMPLING.model_copy(update={"max_tokens": 512})  # chosen: room for the steps


class ChainOfThought(Alone):
    """A judge whose reply begins with its reasoning, so that the label follows from it."""

    panel = "chain_of_thought"
    reason_first = True

    def __init__(
        self, task: Task, model: ChatModel, *, sampling: Sampling = LONGER, reasks: int = 1, prompts: Path | None = None
    ) -> None:
        super().__init__(task, model, sampling=sampling, reasks=reasks, prompts=prompts)
