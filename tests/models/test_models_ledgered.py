"""Calls through the ledger and the budget, and their replay."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from loopback import GOOD, loopback, says, status

from folkmoot.models import (
    Completion,
    LedgeredModel,
    Limits,
    ReplayedModel,
    Retries,
    Sampling,
    ScriptedModel,
    Usage,
    call_key,
    load_model,
)
from folkmoot.models.chat import Message
from folkmoot.models.openai import OpenAIModel
from folkmoot.records import BadInput, BudgetReached, CallFailed, EndpointDown, MissingExtra, StorageFailed
from folkmoot.runs.budget import Budget, Price
from folkmoot.runs.ledger import Ledger

ASKED: list[Message] = [{"role": "user", "content": "Is it kind?"}]
DOLLAR_A_TOKEN = Price(input_usd_per_million=1e6, output_usd_per_million=1e6)


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def numbered(number: int) -> list[Message]:
    return [{"role": "user", "content": f"{number}"}]


async def test_a_call_that_the_ledger_holds_is_not_sent_again(ledger: Ledger) -> None:
    inner = ScriptedModel([GOOD])
    model = LedgeredModel(inner, ledger)
    first = await model.complete(ASKED)
    again = await LedgeredModel(inner, ledger).complete(ASKED)
    assert first == again
    assert first.call == call_key("scripted", ASKED, None, Sampling())
    assert len(inner.requests) == 1


PICTURE = base64.b64encode(b"a picture of a teapot").decode()


@pytest.mark.parametrize(
    "content", ["Is tea kind? \u2615", "half a pair: \ud83d", [{"type": "text", "text": "Is it kind?"}]]
)
async def test_the_ledger_shows_what_was_sent_and_finds_it_again(ledger: Ledger, content: Any) -> None:
    asked: list[Message] = [{"role": "user", "content": content}]
    completion = await LedgeredModel(ScriptedModel([GOOD]), ledger).complete(asked, {"type": "object"})
    record = ledger.get(str(completion.call))
    assert record is not None
    assert record.request["messages"] == asked
    assert record.request["schema"] == {"type": "object"}
    assert record.request["sampling"] == {k: v for k, v in Sampling().model_dump().items() if k != "frequency_penalty"}


async def test_the_ledger_holds_a_pictures_hash_in_its_place(ledger: Ledger) -> None:
    address = f"data:image/png;base64,{PICTURE}"
    asked: list[Message] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}]
    completion = await LedgeredModel(ScriptedModel([GOOD]), ledger).complete(asked)
    record = ledger.get(str(completion.call))
    assert record is not None
    assert PICTURE not in json.dumps(record.request)
    assert "sha256" in json.dumps(record.request)


@pytest.mark.parametrize(
    "other", [{"messages": numbered(2)}, {"schema": {"type": "object"}}, {"sampling": Sampling(seed=1)}]
)
async def test_another_call_is_sent(ledger: Ledger, other: dict[str, Any]) -> None:
    inner = ScriptedModel([GOOD, GOOD])
    model = LedgeredModel(inner, ledger)
    await model.complete(ASKED)
    await model.complete(**({"messages": ASKED} | other))
    assert len(inner.requests) == 2


async def test_the_same_call_asked_for_twice_at_once_is_sent_once(ledger: Ledger) -> None:
    async def slowly(messages: Any, schema: Any) -> str:
        await asyncio.sleep(0.02)
        return GOOD

    inner = ScriptedModel(slowly)
    model = LedgeredModel(inner, ledger)
    replies = await asyncio.gather(*(model.complete(ASKED) for _ in range(10)))
    assert len(inner.requests) == 1
    assert len(set(replies)) == 1


async def test_who_waits_for_a_call_sends_it_himself_once_its_sender_is_cancelled(ledger: Ledger) -> None:
    async def never_at_first(messages: Any, schema: Any) -> str:
        if len(inner.requests) == 1:
            await asyncio.Event().wait()
        return GOOD

    inner = ScriptedModel(never_at_first)
    model = LedgeredModel(inner, ledger)
    sender, waiter, quitter = (asyncio.create_task(model.complete(ASKED)) for _ in range(3))
    await asyncio.sleep(0.01)
    quitter.cancel()
    await asyncio.sleep(0)
    sender.cancel()
    assert (await waiter).text == GOOD
    assert sender.cancelled()
    assert quitter.cancelled()
    assert len(inner.requests) == 2
    totals = ledger.totals()
    assert (totals.calls, totals.failed) == (1, 1)


async def test_a_failure_reaches_all_who_wait_and_is_not_kept_as_a_reply(ledger: Ledger) -> None:
    async def stalls_once(messages: Any, schema: Any) -> str | Exception:
        first = len(inner.requests) == 1
        await asyncio.sleep(0.01)
        return CallFailed("The endpoint stalled.") if first else GOOD

    inner = ScriptedModel(stalls_once)
    model = LedgeredModel(inner, ledger)
    failed = await asyncio.gather(model.complete(ASKED), model.complete(ASKED), return_exceptions=True)
    assert [type(error) for error in failed] == [CallFailed, CallFailed]
    assert isinstance(failed[0], CallFailed)
    assert failed[0].calls == (call_key("scripted", ASKED, None, Sampling()),)
    assert (await model.complete(ASKED)).text == GOOD


async def test_every_try_is_in_the_ledger(ledger: Ledger) -> None:
    async with loopback(status(500), status(429), says()) as server:
        retries = Retries(first_seconds=0.01)
        model = LedgeredModel(OpenAIModel("m", server.url, retries=retries), ledger, price=DOLLAR_A_TOKEN)
        await model.complete(ASKED)
        await model.aclose()
    totals = ledger.totals()
    assert (totals.attempts, totals.failed, totals.calls, totals.lost_in_flight) == (3, 2, 1, 0)
    assert totals.cost_usd == pytest.approx(11 + 7)


async def test_a_call_that_still_queues_is_not_in_the_ledger_as_sent(ledger: Ledger) -> None:
    arrived, released = asyncio.Barrier(3), asyncio.Event()

    async def once_released(request: web.Request) -> web.StreamResponse:
        if not released.is_set():
            await arrived.wait()
            await released.wait()
        return await says()(request)

    async with loopback(once_released) as server:
        model = LedgeredModel(OpenAIModel("m", server.url, limits=Limits(max_concurrency=2)), ledger)
        calls = [asyncio.create_task(model.complete(numbered(n))) for n in range(8)]
        await arrived.wait()
        assert ledger.totals().attempts == 2
        released.set()
        await asyncio.gather(*calls)
        await model.aclose()
    assert ledger.totals().calls == 8


async def test_max_calls_stops_before_the_call_that_is_too_many(ledger: Ledger) -> None:
    inner = ScriptedModel(lambda messages, schema: GOOD)
    model = LedgeredModel(inner, ledger, budget=Budget(max_calls=3))
    done = await asyncio.gather(*(model.complete(numbered(n)) for n in range(5)), return_exceptions=True)
    assert [type(reply) for reply in done].count(BudgetReached) == 2
    assert len(inner.requests) == 3
    await model.complete(numbered(0))  # the ledger still answers


async def test_parallel_calls_do_not_pass_the_price_limit_together_nor_stop_short_of_it(ledger: Ledger) -> None:
    async def slowly(messages: Any, schema: Any) -> Completion:
        await asyncio.sleep(0.01)
        return Completion(text=GOOD, model="scripted", usage=Usage(prompt_tokens=5, completion_tokens=5))

    budget = Budget(max_cost_usd=200)
    model = LedgeredModel(ScriptedModel(slowly), ledger, budget=budget, price=DOLLAR_A_TOKEN)
    sampling = Sampling(max_tokens=90)  # reserved at about 100 dollars, costs 10
    done = await asyncio.gather(
        *(model.complete(numbered(n), None, sampling) for n in range(40)), return_exceptions=True
    )
    replies = [reply for reply in done if isinstance(reply, Completion)]
    assert {type(reply) for reply in done} == {Completion, BudgetReached}
    assert budget.spent_usd == 10 * len(replies) <= 200
    assert len(replies) >= 10  # as long as one more could be paid for at its dearest
    assert budget.reserved_usd == pytest.approx(0)


async def test_a_reply_of_another_form_is_storage_failed(ledger: Ledger) -> None:
    key = call_key("scripted", ASKED, None, Sampling())
    ledger.finish(ledger.begin(key, {}, "scripted"), key, reply={"answer": 1})
    with pytest.raises(StorageFailed, match="another form"):
        await LedgeredModel(ScriptedModel([GOOD]), ledger).complete(ASKED)


async def test_what_was_recorded_is_replayed_to_the_letter_and_the_rest_is_call_failed(
    ledger: Ledger, tmp_path: Path
) -> None:
    refusal = Completion(text="", model="scripted", refusal="no", usage=Usage(prompt_tokens=1))
    recording = LedgeredModel(ScriptedModel([GOOD, refusal]), ledger)
    recorded = [await recording.complete(numbered(n)) for n in range(2)]
    replayed = ReplayedModel(tmp_path)
    assert replayed.name == "scripted"
    assert [await replayed.complete(numbered(n)) for n in range(2)] == recorded
    with pytest.raises(CallFailed, match="holds no call"):
        await replayed.complete(numbered(2))
    await replayed.aclose()


async def test_a_run_of_two_models_is_replayed_whole(ledger: Ledger, tmp_path: Path) -> None:
    for name in ("b", "a"):
        await LedgeredModel(ScriptedModel([name], name), ledger).complete([{"role": "user", "content": name}])
    replayed = ReplayedModel(tmp_path / "ledger.sqlite")
    assert replayed.name == "a+b"
    assert [(await replayed.complete([{"role": "user", "content": n}])).text for n in ("a", "b")] == ["a", "b"]
    await replayed.aclose()


async def test_a_replay_into_a_new_run_keeps_the_keys_and_costs_nothing(ledger: Ledger, tmp_path: Path) -> None:
    first = await LedgeredModel(ScriptedModel([GOOD]), ledger).complete(ASKED)
    with Ledger(tmp_path / "new" / "ledger.sqlite") as new:
        model = load_model(f"replay:{tmp_path}", ledger=new, budget=Budget(max_calls=0), price=DOLLAR_A_TOKEN)
        assert await model.complete(ASKED) == first
        assert new.totals().cost_usd == 0
        await model.aclose()


def test_a_run_without_a_ledger_or_without_calls_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no ledger"):
        ReplayedModel(tmp_path)
    Ledger(tmp_path / "ledger.sqlite").close()
    with pytest.raises(BadInput, match="no answered call"):
        ReplayedModel(tmp_path)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("embeded", "Did you mean 'embedded'"),
        ("embedded:fast", "Write it as 'embedded:deterministic'"),
        ("openai:gpt", "Write it as 'openai:NAME@URL'"),
        ("openai:@http://h", "Write it as 'openai:NAME@URL'"),
        ("openai:m@h:8000", "Write it as 'openai:NAME@URL'"),
        ("replay:", "Write it as 'replay:RUN'"),
        ("transformers", "Write it as 'transformers:PATH'"),
        ("", "Accepted: embedded"),
        ("http://user:password@host", "Accepted: embedded"),
    ],
)
def test_a_spec_that_names_no_model_is_bad_input_with_the_accepted_forms(spec: str, hint: str) -> None:
    with pytest.raises(BadInput) as bad:
        load_model(spec)
    assert hint in str(bad.value)
    assert "transformers:PATH" in str(bad.value)
    assert "password" not in str(bad.value)


def test_an_endpoints_spec_may_hold_an_at_sign_in_the_model_and_in_the_address() -> None:
    model = load_model("openai:org/judge@v2@https://user:pw@host/v1")
    assert isinstance(model, OpenAIModel)
    assert model.name == "org/judge@v2"
    assert "pw" not in repr(model)


def test_a_folder_without_a_model_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.json"):
        load_model(f"transformers:{tmp_path}")


def test_a_budget_without_a_ledger_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="ledger"):
        load_model("embedded", budget=Budget())


def test_the_embedded_model_without_its_weights_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def none(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", none)
    with pytest.raises(MissingExtra, match=r"folkmoot\[embedded\]"):
        load_model("embedded")


async def test_weights_that_are_missing_or_damaged_are_endpoint_down(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    from folkmoot.models.embedded import EmbeddedModel

    with pytest.raises(EndpointDown, match=r"no file .*none\.gguf"):
        await EmbeddedModel(weights=tmp_path / "none.gguf").complete(ASKED)
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF and then nothing of use")
    with pytest.raises(EndpointDown, match=r"damaged\.gguf failed"):
        await EmbeddedModel(weights=tmp_path / "damaged.gguf").complete(ASKED)


async def test_a_script_that_is_at_its_end_says_so() -> None:
    model = ScriptedModel([])
    with pytest.raises(BadInput, match="longer script"):
        await model.complete(ASKED)
