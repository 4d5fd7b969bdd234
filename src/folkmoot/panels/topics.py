"""What a post is about, in words of a given vocabulary: how users are matched with posts.

Paper: "Thinking as Society" (SCPO), ICLR 2026, step 3; how topics are extracted is not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, create_model

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.structured import ask
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.panels.prompt import load_prompt
from folkmoot.records import BadInput, CallPlan, Outcome, Post, Task

SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=96)
MOST_TOPICS = 3


class Topics(NamedTuple):
    """A post's topics, or the outcome that stands in their place: no topic is known then, which is no topic at all."""

    topics: tuple[str, ...]
    outcome: Outcome = Outcome.LABELLED
    calls: tuple[str, ...] = ()


class TopicReader:
    """Asks a model once a post.

    Args:
        vocabulary: the topics there are, such as those that a bank of profiles names.
        most: the most topics of one post.
    """

    version = 1

    def __init__(
        self, task: Task, model: ChatModel, vocabulary: Sequence[str], *, most: int = MOST_TOPICS,
        prompts: Path | None = None,
    ) -> None:  # fmt: skip
        if not vocabulary:
            raise BadInput("topics need a vocabulary, and no profile names an interest; give profiles that do")
        self.model, self.vocabulary = model, tuple(dict.fromkeys(vocabulary))
        prompt = load_prompt("topics", "reader", version=self.version, language=task.language, folder=prompts)
        self._prompt = prompt
        self._system = prompt.text("system", vocabulary=self.vocabulary, most=most, data_notice=DATA_NOTICE)
        self._reply = topics_form(self.vocabulary, most)

    async def read(self, post: Post) -> Topics:
        """The post's topics."""
        user = self._prompt.text("decide", post=data_block("post", post.text))
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": user}]
        answer = await ask(self.model, messages, self._reply, sampling=SAMPLING)
        if answer.outcome is not Outcome.LABELLED or answer.value is None:
            return Topics((), answer.outcome, answer.calls)
        named: list[str] = answer.value.model_dump()["topics"]
        return Topics(tuple(dict.fromkeys(named)), calls=answer.calls)

    def plan(self, post: Post) -> CallPlan:
        """One call."""
        characters = len(self._system) + len(post.text)
        return CallPlan(calls_min=1, calls_max=1, prompt_tokens=characters // 4, completion_tokens=SAMPLING.max_tokens)


def topics_form(vocabulary: tuple[str, ...], most: int) -> type[BaseModel]:
    """The reply: at most so many topics of the vocabulary."""
    words: Any = list[Literal[vocabulary]]  # type: ignore[valid-type]
    return create_model("TopicsReply", __config__=ConfigDict(extra="forbid"), topics=(words, Field(max_length=most)))
