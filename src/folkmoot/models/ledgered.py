"""A model whose every call goes through the ledger, so that none is paid for twice, and through the budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from pydantic import ValidationError

from folkmoot.models.chat import ChatModel, Completion, Message, Sampling, Schema, Usage, call_content, call_text
from folkmoot.models.lane import Lane
from folkmoot.models.token_estimate import dearest_usage
from folkmoot.models.witness import WitnessedModel
from folkmoot.records import BudgetReached, CallFailed, StorageFailed, text_hash
from folkmoot.runs.budget import Budget, Price, Spending
from folkmoot.runs.ledger import CallRecord, Ledger

SETTLING_SECONDS = 0.05
"""How often a call that finds the budget reserved by others looks again (chosen)."""


class LedgeredModel:
    """A ChatModel around another one: answers from the ledger what it holds, sends and keeps the rest.

    The same call asked for twice at once is sent once. Each try is in the ledger before it leaves, so that a killed
    run knows what was lost in flight. A call is admitted to the budget at its dearest (its prompt and `max_tokens`),
    so the limit is never passed; where only the reservations of calls in flight stand in the way, it waits for them.
    """

    def __init__(
        self, model: ChatModel, ledger: Ledger, *, budget: Budget | None = None, price: Price = Price()
    ) -> None:
        self._model = model
        self._witnessed = model if isinstance(model, WitnessedModel) else None
        self._ledger = ledger
        self._budget = budget
        self._price = price
        self._is_free = not (price.input_usd_per_million or price.output_usd_per_million)
        self._in_flight: dict[str, asyncio.Future[Completion]] = {}
        self._lane = Lane()

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The reply, with `call` set to its ledger key.

        Raises:
            BudgetReached: the call is not in the ledger and may not be sent.
            CallFailed, EndpointDown: as the model; `calls` holds the key.
        """
        text = call_text(self._model.name, messages, schema, sampling)
        key = text_hash(text)
        while (pending := self._in_flight.get(key)) is not None:
            try:
                return await asyncio.shield(pending)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not pending.cancelled() or (task is not None and task.cancelling()):
                    raise  # we were cancelled, not the one who sends
        record = self._ledger.get(key)
        if record is not None:
            return recorded_completion(record, self._ledger)
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = answer
        try:
            request = text if holds_text_alone(messages, text) else call_content(messages, schema, sampling)
            entry = _Entry(self._ledger, key, request, self._model.name)
            completion = await self._admit_and_send(entry, messages, schema, sampling)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except BaseException as error:
            answer.set_exception(error)
            answer.exception()  # looked at, so that nobody is warned where nobody else waited
            raise
        else:
            answer.set_result(completion)
        finally:
            del self._in_flight[key]
        await self._lane.wait()  # the reply is kept; what is made of it may wait for the calls that can leave
        return completion

    async def aclose(self) -> None:
        """Nothing; the model is closed, the ledger belongs to the run."""
        await self._model.aclose()

    async def _admit_and_send(
        self, entry: _Entry, messages: Sequence[Message], schema: Schema | None, sampling: Sampling
    ) -> Completion:
        budget = self._budget
        if budget is None:
            return await self._send(entry, messages, schema, sampling, Spending())
        expected = 0.0 if self._is_free else self._price.of(dearest_usage(messages, schema, sampling))
        with ExitStack() as reservation:
            while True:
                try:
                    spending = reservation.enter_context(budget.reserve(expected))
                    break
                except BudgetReached:
                    out_of_calls = budget.max_calls is not None and budget.calls >= budget.max_calls
                    if out_of_calls or budget.reserved_usd < 1e-12:  # a rounding residue is no call in flight
                        raise
                await asyncio.sleep(SETTLING_SECONDS)
            return await self._send(entry, messages, schema, sampling, spending)

    async def _send(
        self, entry: _Entry, messages: Sequence[Message], schema: Schema | None, sampling: Sampling, spending: Spending
    ) -> Completion:
        try:
            if self._witnessed is not None:
                completion = await self._witnessed.complete_witnessed(messages, schema, sampling, entry)
            else:
                entry.sent()
                completion = await self._model.complete(messages, schema, sampling)
        except CallFailed as error:
            entry.failed(str(error))
            raise CallFailed(str(error), calls=(entry.key,)) from error
        except asyncio.CancelledError:
            entry.failed("cancelled in flight; the endpoint may have counted it")
            raise
        except Exception as error:
            entry.failed(str(error))
            raise
        completion = completion.model_copy(update={"call": entry.key})
        usage = completion.usage
        spending.cost_usd = 0.0 if self._is_free else self._price.of(usage)
        entry.finished(completion, usage, spending.cost_usd)
        return completion


class _Entry:
    """One call's rows in the ledger: a Witness."""

    __slots__ = ("_attempt", "_ledger", "_model", "_request", "_started", "key")

    def __init__(self, ledger: Ledger, key: str, request: dict[str, Any] | str, model: str) -> None:
        self._ledger, self.key, self._request, self._model = ledger, key, request, model
        self._attempt: int | None = None
        self._started = 0.0

    def sent(self) -> None:
        self._attempt = self._ledger.begin(self.key, self._request, self._model)
        self._started = time.perf_counter()

    def failed(self, error: str) -> None:
        if self._attempt is not None:
            self._ledger.fail(self._attempt, error, time.perf_counter() - self._started)
            self._attempt = None

    def finished(self, completion: Completion, usage: Usage, cost_usd: float) -> None:
        if self._attempt is None:
            self.sent()
        assert self._attempt is not None
        self._ledger.finish(
            self._attempt,
            self.key,
            reply=completion.model_dump(),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            seconds=time.perf_counter() - self._started,
            cost_usd=cost_usd,
        )


def holds_text_alone(messages: Sequence[Message], text: str) -> bool:
    """Whether a call can be kept as it was hashed: no content parts, which may be media, and no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return all(isinstance(message.get("content"), str) for message in messages)


def recorded_completion(record: CallRecord, ledger: Ledger) -> Completion:
    """The reply as the ledger holds it.

    Raises:
        StorageFailed: what is there is not a reply.
    """
    try:
        return Completion.model_validate({**record.reply, "call": record.key})
    except ValidationError:
        raise StorageFailed(f"Reading call {record.key[:12]} from {ledger.path}: its reply has another form. Was it "
                            "written by another version? Move the file away to ask anew.") from None  # fmt: skip
