"""A double that says what it is told to, for tests and demonstrations."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from folkmoot.models.chat import Completion, Message, Sampling, Schema, Usage
from folkmoot.records import BadInput

Line = str | Completion | Exception
Script = Sequence[Line] | Callable[[Sequence[Message], Schema | None], Line | Awaitable[Line]]


@dataclass(frozen=True)
class Request:
    """One call as the scripted model received it."""

    messages: tuple[Message, ...]
    schema: Schema | None
    sampling: Sampling


class ScriptedModel:
    """A ChatModel that answers from a list, in order, or from a function of the messages and the schema.

    An exception in the script is raised. Tokens are counted as a quarter of the characters.

    Example:
        >>> import asyncio
        >>> model = ScriptedModel(["yes"])
        >>> asyncio.run(model.complete([{"role": "user", "content": "Is it?"}])).text
        'yes'
    """

    def __init__(self, replies: Script, name: str = "scripted") -> None:
        self._replies = replies
        self._name = name
        self.requests: list[Request] = []
        """What was asked so far."""

    @property
    def name(self) -> str:
        return self._name

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The next line of the script.

        Raises:
            BadInput: the script has no more lines.
        """
        index = len(self.requests)
        self.requests.append(Request(tuple(messages), schema, sampling))
        line: Line
        if callable(self._replies):
            said = self._replies(messages, schema)
            line = await said if inspect.isawaitable(said) else said
        elif index < len(self._replies):
            line = self._replies[index]
        else:
            raise BadInput(
                f"The scripted model '{self._name}' has {len(self._replies)} replies and was asked for another. "
                "Give it a longer script, or a function."
            )
        if isinstance(line, Exception):
            raise line
        if isinstance(line, Completion):
            return line
        characters = sum(len(str(message.get("content", ""))) for message in messages)
        usage = Usage(prompt_tokens=characters // 4, completion_tokens=len(line) // 4)
        return Completion(text=line, model=self._name, usage=usage)

    async def aclose(self) -> None:
        """Nothing; there is nothing to close."""
