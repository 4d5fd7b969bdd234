"""Who watches a call being sent, so that every try is on record before it leaves the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from folkmoot.models.chat import Completion, Message, Sampling, Schema


class Witness(Protocol):
    """Told of each try of one call: `sent` right before it leaves, `failed` when that try brought no reply."""

    def sent(self) -> None: ...

    def failed(self, error: str) -> None: ...


@runtime_checkable
class WitnessedModel(Protocol):
    """A ChatModel that queues and retries, and so knows better than its caller when something is sent."""

    async def complete_witnessed(
        self, messages: Sequence[Message], schema: Schema | None, sampling: Sampling, witness: Witness
    ) -> Completion: ...


class NoWitness:
    """A witness that keeps nothing."""

    def sent(self) -> None:
        return None

    def failed(self, error: str) -> None:
        return None
