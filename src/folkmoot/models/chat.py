"""The one door to a language model: `ChatModel.complete(messages, schema, sampling) -> Completion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from folkmoot.records import Record, canonical_json, text_hash

Message = dict[str, Any]
"""A message in the OpenAI convention: `role`, and `content` as a string or a list of content parts
(`{"type": "text"}`, `{"type": "image_url", "image_url": {"url": "data:..."}}`, `input_audio`, `video_url`)."""

Schema = dict[str, Any]
"""A JSON schema that the reply must satisfy."""


class Sampling(Record):
    """How a reply is drawn. Part of a call's identity: another seed is another call."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = Field(default=512, gt=0)
    seed: int = 0
    frequency_penalty: float = 0.0
    """What a token loses in log-odds each time that it was said before (OpenAI's); small models repeat themselves."""


class Usage(Record):
    """Tokens as the model's server counted them; 0 where it did not."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(Record):
    """A model's reply. `refusal` is set where the model declined; `call` is the key under which the ledger holds it.

    `finish_reason` is `stop`, `length` (the reply was cut at `max_tokens`), or `content_filter`.
    """

    text: str = ""
    model: str
    finish_reason: str = "stop"
    refusal: str | None = None
    usage: Usage = Usage()
    call: str = ""


def call_key(model: str, messages: Sequence[Message], schema: Schema | None, sampling: Sampling) -> str:
    """The identity of a call: SHA-256 over model, messages (media included), schema and sampling."""
    return text_hash(call_text(model, messages, schema, sampling))


def call_text(model: str, messages: Sequence[Message], schema: Schema | None, sampling: Sampling) -> str:
    """All that makes up a call, as the canonical JSON that `call_key` is the hash of."""
    return canonical_json({"model": model, **call_content(messages, schema, sampling)})


def call_content(messages: Sequence[Message], schema: Schema | None, sampling: Sampling) -> dict[str, Any]:
    """What a call sends, whoever the model is."""
    drawn = sampling.model_dump()
    if sampling.frequency_penalty == 0:
        del drawn["frequency_penalty"]  # calls from before it was there keep their identity
    return {"messages": list(messages), "schema": schema, "sampling": drawn}


@runtime_checkable
class ChatModel(Protocol):
    """Completes a conversation.

    Raises `CallFailed` when this call failed for good, `EndpointDown` when nobody answers, `BudgetReached` when the
    run may not spend more. A refusal or an ill-formed reply is not an error: it comes back as a `Completion`.
    """

    @property
    def name(self) -> str:
        """The model's identity in every call key, such as `smollm2-135m-instruct-q4_1`."""
        ...

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = ...
    ) -> Completion: ...

    async def aclose(self) -> None: ...
