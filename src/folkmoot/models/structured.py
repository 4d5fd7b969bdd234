"""A reply that is a value: schema, parsing, validation, a re-ask, and outcomes that are never labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from folkmoot.models.chat import ChatModel, Completion, Message, Sampling, Schema
from folkmoot.models.refusals import is_refusal
from folkmoot.models.untrusted import harmless
from folkmoot.records import CallFailed, Outcome

Reply = TypeVar("Reply", bound=BaseModel)

CORRECTION = (
    "Your reply could not be used: {problem}. "
    "Reply again, with nothing but one JSON object that has the fields asked for."
)
LONGEST_QUOTE_CHARACTERS = 2000
"""How much of a bad reply is shown to the model again (chosen)."""

THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
FENCED = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?\s*```\Z", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Answer(Generic[Reply]):
    """What came of asking. `value` is there if and only if the outcome is `labelled`.

    `text` is the last reply as it came, `calls` the ledger keys of all of them, and `problem` says in a sentence
    without the post's text why there is no value.
    """

    outcome: Outcome
    value: Reply | None
    text: str
    calls: tuple[str, ...] = ()
    problem: str | None = None


async def ask(
    model: ChatModel,
    messages: Sequence[Message],
    reply: type[Reply],
    *,
    sampling: Sampling = Sampling(),
    reasks: int = 1,
    correction: str = CORRECTION,
) -> Answer[Reply]:
    """The model's answer as a `reply`, or the outcome that stands in its place.

    A reply counts only if the whole of it is one JSON object that validates; an object quoted in prose does not. An
    ill-formed reply is shown to the model again with what is wrong, `reasks` times. A refusal (the server's field, a
    content filter, or a declining sentence where a value should be) is `refused` and not asked again.

    Args:
        correction: what is said with a bad reply, in the prompt's language; `{problem}` is filled in.

    Raises:
        EndpointDown, BudgetReached, StorageFailed: no further call can be made.
    """
    schema = reply_schema(reply)
    conversation = list(messages)
    calls: list[str] = []
    for tries_left in range(reasks, -1, -1):
        try:
            completion = await model.complete(conversation, schema, sampling)
        except CallFailed as error:
            return Answer(Outcome.CALL_FAILED, None, "", (*calls, *error.calls), str(error))
        if completion.call:
            calls.append(completion.call)
        if completion.refusal is not None or completion.finish_reason == "content_filter":
            why = "the endpoint's content filter" if completion.finish_reason == "content_filter" else "the model"
            return Answer(Outcome.REFUSED, None, completion.text, tuple(calls), f"{why} declined to answer")
        try:
            value = parsed(completion, reply)
        except ValueError as error:
            problem = str(error)
        else:
            if any(is_refusal(text) for text in strings(value.model_dump())):
                return Answer(Outcome.REFUSED, None, completion.text, tuple(calls), "the model declined in its reply")
            return Answer(Outcome.LABELLED, value, completion.text, tuple(calls))
        if tries_left:
            quote = harmless(completion.text)[:LONGEST_QUOTE_CHARACTERS] or "(an empty reply)"
            conversation = [
                *messages,
                {"role": "assistant", "content": quote},
                {"role": "user", "content": correction.format(problem=problem)},
            ]
    if is_refusal(completion.text):
        return Answer(Outcome.REFUSED, None, completion.text, tuple(calls), "the model declined in prose")
    return Answer(Outcome.UNPARSABLE, None, completion.text, tuple(calls), problem)


def parsed(completion: Completion, reply: type[Reply]) -> Reply:
    """The value in a completion; see `ask` for what counts.

    Raises:
        ValueError: there is none. The message quotes nothing of the reply.
    """
    text = THOUGHTS.sub("", completion.text).strip()
    fenced = FENCED.match(text)
    cut = " (it was cut at the limit of tokens; be shorter)" if completion.finish_reason == "length" else ""
    try:
        value = json.loads(fenced.group(1) if fenced else text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON at character {error.pos}{cut}") from None
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    try:
        return reply.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(_complaints(error))) from None


def _complaints(error: ValidationError) -> Iterator[str]:
    for complaint in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        if complaint["type"] == "extra_forbidden":  # the field's name is the model's own words
            yield "it has a field that was not asked for"
        else:
            field = ".".join(str(part) for part in complaint["loc"])
            yield f"field '{field}': {complaint['msg']}" if field else complaint["msg"]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):  # which of two labels would it be?
        raise ValueError("it names a field twice")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not JSON")


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON-like value, depth first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


@lru_cache(maxsize=256)
def reply_schema(reply: type[BaseModel]) -> Schema:
    """The JSON schema that a reply must satisfy, in the strict form that every endpoint takes.

    References are written out, every field is required, no other is allowed, and a label field (an `Enum` or a
    `Literal`) carries its `enum` in place. Titles and defaults are left out. The same object each time: do not change
    it.

    Raises:
        ValueError: the model contains itself.
    """
    schema = reply.model_json_schema()
    definitions = schema.pop("$defs", {})
    plain = _plain(schema, definitions, ())
    assert isinstance(plain, dict)
    return plain


def _plain(schema: Any, definitions: dict[str, Any], within: tuple[str, ...]) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        if name in within:
            raise ValueError(f"the reply '{name}' contains itself; a reply's schema must be finite")
        rest = {key: part for key, part in schema.items() if key != "$ref"}
        return _plain({**definitions[name], **rest}, definitions, (*within, name))
    plain: dict[str, Any] = {}
    for key, part in schema.items():
        if key in ("title", "default"):
            continue
        if key == "const":
            plain["enum"] = [part]
        elif key == "properties":
            plain[key] = {name: _plain(field, definitions, within) for name, field in part.items()}
        elif isinstance(part, list) and key != "enum":
            plain[key] = [_plain(item, definitions, within) for item in part]
        else:
            plain[key] = _plain(part, definitions, within)
    if "properties" in plain:
        plain["required"] = list(plain["properties"])
        plain["additionalProperties"] = False
    return plain
