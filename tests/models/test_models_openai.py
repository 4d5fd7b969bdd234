"""OpenAIModel against a server that misbehaves in each way that endpoints do."""

import asyncio
import logging
import random
import socket
import traceback
from typing import Any

import pytest
from loopback import (
    Behaviour,
    Loopback,
    hangs_up,
    loopback,
    raw,
    says,
    stalls,
    stalls_half_way,
    status,
    truncates,
)

from folkmoot.models import Limits, Retries, Sampling
from folkmoot.models.chat import Message
from folkmoot.models.openai import OpenAIModel, completions_url, is_strict
from folkmoot.records import BadInput, CallFailed, EndpointDown

QUICK = Retries(first_seconds=0.01, longest_seconds=0.02)
STALLING = (stalls, stalls_half_way)
SECRET = "sk-a-secret-of-the-tests"
POST = "a lighthouse keeper's private words"
ASKED: list[Message] = [{"role": "user", "content": POST}]


def model_at(url: str, **options: Any) -> OpenAIModel:
    return OpenAIModel("judge-1", url, **({"api_key": SECRET, "retries": QUICK, "timeout_seconds": 30} | options))


async def complete(server: Loopback, **options: Any) -> Any:
    model = model_at(server.url, **options)
    try:
        return await model.complete(ASKED)
    finally:
        await model.aclose()


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_a_request_carries_what_was_asked_in_the_openai_convention() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"], "additionalProperties": False}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages: list[Message] = [{"role": "user", "content": [{"type": "text", "text": "look"}, picture]}]
    async with loopback(says()) as server:
        model = model_at(server.url)
        completion = await model.complete(messages, schema, Sampling(temperature=0.5, max_tokens=9, seed=3))
        await model.aclose()
    assert server.bodies == [
        {
            "model": "judge-1", "messages": messages, "temperature": 0.5, "top_p": 1.0, "max_tokens": 9, "seed": 3,
            "response_format": {
                "type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema},
            },
        }
    ]  # fmt: skip
    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert completion.model == "judge-1"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (11, 7)


@pytest.mark.parametrize(
    "fault",
    [
        status(500), status(502, "<html>bad gateway</html>"), status(503), status(408), status(429), stalls,
        stalls_half_way, truncates, hangs_up, raw("not json"), raw('{"choices": ['), raw("[]"), raw('{"choices": []}'),
        raw('{"error": {"code": "busy"}}'), raw('{"choices":[{"message":{"content": 7}}]}'), raw(""),
        raw("[" * 100_000),
    ],
    ids=lambda f: getattr(f, "__qualname__", "").split(".")[0],
)  # fmt: skip
async def test_a_passing_fault_is_retried_until_the_reply_comes(fault: Behaviour) -> None:
    # Where only the clock ends a try, a busy machine may end one before the server has seen it: more tries, no count.
    patient = {"timeout_seconds": 0.3, "retries": QUICK.model_copy(update={"tries": 50})} if fault in STALLING else {}
    async with loopback(fault, fault, says("fine")) as server:
        assert (await complete(server, **patient)).text == "fine"
        if not patient:
            assert len(server.bodies) == 3


@pytest.mark.parametrize("fault", [status(500), stalls, truncates, raw("not json"), status(429)])
async def test_a_lasting_fault_is_call_failed_and_not_a_reply(fault: Behaviour) -> None:
    patient = {"timeout_seconds": 0.5} if fault in STALLING else {}
    async with loopback(fault) as server:
        with pytest.raises(CallFailed) as failed:
            await complete(server, **patient)
    expected = QUICK.overload_tries if "HTTP 429" in str(failed.value) else QUICK.tries
    if not patient:
        assert len(server.bodies) == expected
    assert f"{expected} tries" in str(failed.value)


async def test_retry_after_is_waited_out_in_full_by_every_call() -> None:
    async with loopback(status(429, Retry_After="0.3"), says()) as server:
        model = model_at(server.url, limits=Limits(max_concurrency=1))
        await asyncio.gather(*(model.complete(ASKED) for _ in range(3)))
        await model.aclose()
    assert min(t - server.times[0] for t in server.times[1:]) >= 0.29


async def test_a_wait_beyond_the_limit_is_refused_rather_than_slept_through() -> None:
    async with loopback(status(429, Retry_After="9999"), says()) as server:
        with pytest.raises(CallFailed, match="9999 seconds"):
            await asyncio.wait_for(complete(server), 60)


@pytest.mark.parametrize("code", [400, 413, 422, 403])
async def test_a_request_that_is_not_accepted_is_sent_once(code: int) -> None:
    async with loopback(status(code, {"error": {"message": f"bad: {POST}", "code": "too_long"}})) as server:
        with pytest.raises(CallFailed, match=f"HTTP {code}, too_long"):
            await complete(server)
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("behaviour", "finish_reason"),
    [
        (says(None, refusal="I'd rather not."), "stop"),
        (says('{"label": "normal"}', refusal="I'd rather not."), "stop"),
        (says("", finish_reason="content_filter"), "content_filter"),
        (status(400, {"error": {"code": "content_filter", "message": POST}}), "content_filter"),
    ],
)
async def test_a_refusal_comes_back_as_a_completion(behaviour: Behaviour, finish_reason: str) -> None:
    async with loopback(behaviour) as server:
        completion = await complete(server)
    assert completion.finish_reason == finish_reason
    assert completion.refusal is not None or finish_reason == "content_filter"
    assert len(server.bodies) == 1


async def test_a_port_where_nobody_listens_is_endpoint_down() -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    model = model_at(url)
    with pytest.raises(EndpointDown, match=r"nobody answers at http://127.0.0.1:\d+/v1/chat/completions \(connection "
                       r"refused; 3 tries\)"):  # fmt: skip
        await model.complete(ASKED)
    await model.aclose()


async def test_a_host_that_does_not_resolve_is_endpoint_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    model = model_at("http://no-such-host.invalid/v1")
    with pytest.raises(EndpointDown, match="does not resolve"):
        await model.complete(ASKED)
    await model.aclose()


async def test_an_endpoint_that_answered_before_and_is_gone_is_call_failed() -> None:
    async with loopback(says()) as server:
        model = model_at(server.url)
        await model.complete(ASKED)
    with pytest.raises(CallFailed, match="connection refused"):
        await model.complete(ASKED)
    await model.aclose()


@pytest.mark.parametrize(
    ("behaviour", "remedy"),
    [
        (status(401, {"error": {"message": f"Incorrect key {SECRET}", "code": "invalid_api_key"}}), "FOLKMOOT_API_KEY"),
        (status(404, {"error": {"message": "no model"}}), "no such model"),
        (status(429, {"error": {"code": "insufficient_quota"}}), "quota"),
    ],
)
async def test_an_endpoint_that_refuses_every_call_stops_the_run_at_once(behaviour: Behaviour, remedy: str) -> None:
    async with loopback(behaviour) as server:
        with pytest.raises(EndpointDown, match=remedy):
            await complete(server)
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "fault",
    [
        status(401, {"error": {"message": f"{SECRET} {POST}"}}),
        status(400, {"error": {"message": POST, "code": f"{POST} {SECRET}"}}),
        status(500, f"{POST} {SECRET}"),
        raw(f"{POST} {SECRET}"),
        truncates,
    ],
)
async def test_no_error_or_log_line_holds_the_key_or_the_post(
    fault: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with loopback(fault) as server:
        try:
            await complete(server)
        except (CallFailed, EndpointDown) as error:
            said = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)
        else:
            pytest.fail("the call went through")
    said += caplog.text + repr(model_at(server.url))
    assert SECRET not in said
    assert POST not in said


async def test_a_field_that_a_newer_model_refuses_is_said_in_another_way() -> None:
    def refuses(field: str) -> Behaviour:
        return status(400, {"error": {"code": "unsupported_parameter", "param": field}})

    async with loopback(refuses("max_tokens"), refuses("temperature"), says()) as server:
        model = model_at(server.url)
        await model.complete(ASKED)
        await model.complete(ASKED)
        await model.aclose()
    assert len(server.bodies) == 4
    assert server.bodies[-1]["max_completion_tokens"] == 512
    assert not {"max_tokens", "temperature"} & set(server.bodies[-1])


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    async with loopback(says(latency_seconds=0.01)) as server:
        model = model_at(server.url, limits=Limits(max_concurrency=3))
        await asyncio.gather(*(model.complete(ASKED) for _ in range(20)))
        await model.aclose()
    assert server.most_in_flight == 3


async def test_concurrency_shrinks_under_overload_and_grows_back() -> None:
    async with loopback(*[status(429)] * 8, says()) as server:
        model = model_at(server.url, limits=Limits(max_concurrency=8))
        await asyncio.gather(*(model.complete(ASKED) for _ in range(8)))
        assert model.allowed_concurrency < 8
        for _ in range(60):
            await model.complete(ASKED)
        assert model.allowed_concurrency == 8
        await model.aclose()


async def test_a_cancelled_call_gives_its_place_back() -> None:
    async with loopback(stalls, says()) as server:
        model = model_at(server.url, limits=Limits(max_concurrency=1))
        stalled = asyncio.create_task(model.complete(ASKED))
        waiting = asyncio.create_task(model.complete(ASKED))
        await asyncio.sleep(0.05)
        stalled.cancel()
        assert (await asyncio.wait_for(waiting, 60)).text
        await model.aclose()


def test_a_model_can_be_used_in_one_event_loop_after_another() -> None:
    model = model_at("http://127.0.0.1:1/v1")

    async def once() -> str:
        async with loopback(says("again")) as server:
            model._url = completions_url(server.url)
            try:
                return (await model.complete(ASKED)).text
            finally:
                await model.aclose()

    assert [asyncio.run(once()) for _ in range(2)] == ["again", "again"]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://h:1", "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/", "http://h:1/v1/chat/completions"),
        ("https://h/api/v3", "https://h/api/v3/chat/completions"),
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
        ("https://h/openai?api-version=2", "https://h/openai/chat/completions?api-version=2"),
    ],
)
def test_an_address_is_completed_as_its_owner_means_it(given: str, asked: str) -> None:
    assert str(completions_url(given)) == asked


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://h/v1", "http://", "http://[::1/"])
def test_an_address_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="http"):
        model_at(url)


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"FOLKMOOT_API_KEY": "one", "OPENAI_API_KEY": "two"}, "Bearer one"),
        ({"OPENAI_API_KEY": "two"}, "Bearer two"),
        ({}, None),
    ],
)
async def test_the_key_comes_from_the_environment_where_none_is_given(
    variables: dict[str, str], key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOLKMOOT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with loopback(says()) as server:
        await complete(server, api_key=None)
    assert server.headers[0].get("Authorization") == key


def test_a_schema_is_called_strict_only_where_every_object_is_closed() -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    open_inside = {**closed, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}
    assert is_strict(closed)
    assert not is_strict({**closed, "required": []})
    assert not is_strict({key: value for key, value in closed.items() if key != "additionalProperties"})
    assert not is_strict(open_inside)


def test_the_drawing_of_waits_does_not_touch_the_global_generator() -> None:
    random.seed(1)
    before = random.getstate()
    Retries().wait_seconds(1, chance=random.Random())
    assert random.getstate() == before
