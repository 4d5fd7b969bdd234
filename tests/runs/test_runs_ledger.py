import base64
import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.records import StorageFailed
from folkmoot.runs.ledger import Ledger, without_media

REQUEST = {"messages": [{"role": "user", "content": 'Is "tea" 🍵 warm? \ud83d'}], "schema": None}


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def answer(ledger: Ledger, key: str, **costs) -> None:
    ledger.finish(ledger.begin(key, REQUEST, "m"), key, reply={"text": key}, **costs)


def test_a_finished_call_is_found_with_all_that_was_said(ledger: Ledger) -> None:
    before = time.time()
    attempt = ledger.begin("k", REQUEST, "m")
    assert ledger.get("k") is None
    ledger.finish(attempt, "k", reply={"text": "wärm"}, prompt_tokens=5, completion_tokens=2, seconds=0.5, cost_usd=0.1)
    call = ledger.get("k")
    assert call is not None
    assert (call.key, call.model, call.request, call.reply) == ("k", "m", REQUEST, {"text": "wärm"})
    assert (call.prompt_tokens, call.completion_tokens, call.seconds, call.cost_usd) == (5, 2, 0.5, 0.1)
    assert before <= call.created <= time.time()


def test_another_process_finds_what_this_one_wrote_before_it_closes(ledger: Ledger) -> None:
    answer(ledger, "k")
    with Ledger(ledger.path, read_only=True) as reader:
        assert reader.get("k") is not None
        with pytest.raises(StorageFailed, match="readonly"):
            reader.begin("k2", REQUEST, "m")


def test_totals_tell_calls_failures_and_calls_lost_in_flight_apart(ledger: Ledger) -> None:
    answer(ledger, "a", prompt_tokens=10, completion_tokens=1, seconds=1, cost_usd=0.5)
    answer(ledger, "b", prompt_tokens=20, completion_tokens=2, seconds=2, cost_usd=0.25)
    ledger.fail(ledger.begin("c", REQUEST, "m"), "HTTP 500", 4)
    ledger.begin("d", REQUEST, "m")
    totals = ledger.totals()
    assert (totals.calls, totals.attempts, totals.failed, totals.lost_in_flight) == (2, 4, 1, 0)
    assert (totals.prompt_tokens, totals.completion_tokens, totals.seconds, totals.cost_usd) == (30, 3, 7, 0.75)
    ledger.close()
    with Ledger(ledger.path) as reopened:  # as after a kill: nobody waits for 'd' any more
        assert reopened.totals().lost_in_flight == 1
        assert reopened.get("c") is None
        assert reopened.get("d") is None


def test_an_empty_ledger_has_empty_totals(ledger: Ledger) -> None:
    assert set(ledger.totals().model_dump().values()) == {0}


def test_costs_count_each_key_once_and_unknown_ones_not_at_all(ledger: Ledger) -> None:
    answer(ledger, "a", cost_usd=1, prompt_tokens=7)
    answer(ledger, "b", cost_usd=2)
    ledger.fail(ledger.begin("a", REQUEST, "m"), "late", 9)
    assert ledger.cost_of(["a", "a", "unknown"]).model_dump() == {
        "calls": 1, "prompt_tokens": 7, "completion_tokens": 0, "seconds": 0, "cost_usd": 1,
    }  # fmt: skip
    assert ledger.cost_of([]).calls == 0


def test_where_two_answer_the_same_call_the_first_reply_stays(ledger: Ledger) -> None:
    first, second = ledger.begin("k", REQUEST, "m"), ledger.begin("k", REQUEST, "m")
    ledger.finish(first, "k", reply={"text": "first"})
    ledger.finish(second, "k", reply={"text": "second"})
    call = ledger.get("k")
    assert call is not None
    assert call.reply == {"text": "first"}
    assert (ledger.totals().calls, ledger.totals().failed) == (1, 1)


def test_finishing_an_attempt_of_another_call_is_refused(ledger: Ledger) -> None:
    attempt = ledger.begin("k", REQUEST, "m")
    with pytest.raises(StorageFailed, match="no such attempt"):
        ledger.finish(attempt, "other", reply={})


def test_media_are_kept_as_the_hash_of_their_bytes(ledger: Ledger) -> None:
    picture = b"\x89PNG not really" * 100
    encoded = base64.b64encode(picture).decode()
    request = {
        "messages": [
            {"role": "system", "content": "data:;base64,text stays text"},
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
                {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}},
            ]},
        ],
        "schema": {"type": "object"},
    }  # fmt: skip
    ledger.finish(ledger.begin("k", request, "m"), "k", reply={})
    call = ledger.get("k")
    assert call is not None
    sha256 = hashlib.sha256(picture).hexdigest()
    assert call.request["messages"][0] == request["messages"][0]
    _, image, audio = call.request["messages"][1]["content"]
    assert image["image_url"]["url"] == {"sha256": sha256, "media_type": "image/png"}
    assert audio["input_audio"] == {"data": {"sha256": sha256}, "format": "wav"}
    assert call.request["schema"] == {"type": "object"}
    on_disk = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    assert sha256.encode() in on_disk
    assert encoded[:60].encode() not in on_disk
    assert request["messages"][1]["content"][1]["image_url"]["url"].endswith(encoded), (
        "the caller's request is not touched"
    )


@settings(deadline=None, max_examples=50)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_any_request_without_media_survives_as_it_is(value: object) -> None:
    request = {"messages": [{"role": "user", "content": "x"}], "extra": value}
    assert without_media(request) == request


def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"these are not the bytes of a database " * 100)
    before = path.read_bytes()
    with pytest.raises(StorageFailed, match=r"ledger\.sqlite is damaged .* move the file away"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_ledger_with_overwritten_pages_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        for number in range(200):
            answer(ledger, f"key {number}")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(5000))
    with pytest.raises(StorageFailed, match="damaged"):
        Ledger(path)


def test_somebody_elses_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "photos.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos(id)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageFailed, match="another program's"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StorageFailed, match="newer folkmoot"):
        Ledger(path)


def test_a_missing_ledger_is_not_made_by_reading_it(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="no such file"):
        Ledger(tmp_path / "ledger.sqlite", read_only=True)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_stops_the_call_and_keeps_what_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    answer(ledger, "a")
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFailed, match=r"full.*free some space"):
        ledger.begin("b", {"messages": "x" * 50_000}, "m")
    assert ledger.get("a") is not None
    ledger.close()
    with Ledger(tmp_path / "ledger.sqlite") as reopened:
        answer(reopened, "b")
        assert reopened.totals().calls == 2


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(StorageFailed, match="closed"):
        ledger.get("k")


def test_a_call_takes_little_cpu(ledger: Ledger) -> None:
    request = {"messages": [{"role": "system", "content": "p" * 1500}, {"role": "user", "content": "t" * 500}]}
    reply = {"text": "x" * 300, "model": "m"}
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)]
    began = time.process_time()
    for key in keys:
        ledger.finish(ledger.begin(key, request, "m"), key, reply=reply)
    # 0.08 ms measured; the margin is for busy machines.
    assert (time.process_time() - began) / len(keys) < 0.4e-3
