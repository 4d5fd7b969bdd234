import os
from pathlib import Path

import pytest
from judges_for_runs import posts, verdict_on

from folkmoot.records import BadRecord, Outcome, Post, StorageFailed
from folkmoot.runs import VerdictLog


def test_a_verdict_is_on_the_disk_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    with VerdictLog(tmp_path / "v.jsonl") as log:
        verdict = verdict_on(posts(1)[0])
        log.append(verdict)
        assert (tmp_path / "v.jsonl").read_text() == verdict.to_line() + "\n"


def test_the_last_verdict_on_a_post_counts_and_its_place_stays(tmp_path: Path) -> None:
    first, second = posts(2)
    with VerdictLog(tmp_path / "v.jsonl") as log:
        for verdict in (verdict_on(first, Outcome.CALL_FAILED), verdict_on(second), verdict_on(first)):
            log.append(verdict)
        assert list(log.verdicts()) == [first.id, second.id]
    with VerdictLog(tmp_path / "v.jsonl") as log:
        assert log.outcome(first.id) is Outcome.LABELLED
        assert log.outcome("never judged") is None
        assert log.verdicts()[first.id] == verdict_on(first)
        assert len(log) == 2
        assert list(log.lines([second.id, "never judged", first.id])) == [
            verdict_on(second).to_line().encode(), verdict_on(first).to_line().encode(),
        ]  # fmt: skip


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_survives_reopening(tmp_path: Path, outcome: Outcome) -> None:
    with VerdictLog(tmp_path / "v.jsonl") as log:
        log.append(verdict_on(posts(1)[0], outcome))
    assert VerdictLog(tmp_path / "v.jsonl", read_only=True).outcome("p0") is outcome


def test_a_line_torn_anywhere_is_cut_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    whole = verdict_on(posts(1)[0]).to_line().encode() + b"\n"
    torn = verdict_on(posts(2)[1]).to_line().encode()
    for length in range(1, len(torn) + 1):
        path.write_bytes(whole + torn[:length])
        with VerdictLog(path, read_only=True) as reader:
            assert len(reader) == 1
        assert path.stat().st_size == len(whole) + length, "reading changes nothing"
        with VerdictLog(path) as log:
            assert list(log.verdicts()) == ["p0"]
        assert path.read_bytes() == whole


def test_a_line_longer_than_a_read_is_found_whole(tmp_path: Path) -> None:
    verdict = verdict_on(posts(1)[0]).model_copy(update={"problem": "x" * 100_000})
    with VerdictLog(tmp_path / "v.jsonl") as log:
        log.append(verdict)
        log.append(verdict_on(posts(2)[1]))
        assert log.verdicts()["p0"] == verdict


@pytest.mark.parametrize("bad", ["not json", '{"id": "p9"}', '{"id": "p9", "outcome": "fine"}', "[]"])
def test_a_line_that_is_no_verdict_is_named(tmp_path: Path, bad: str) -> None:
    (tmp_path / "v.jsonl").write_text(verdict_on(posts(1)[0]).to_line() + "\n" + bad + "\n")
    with pytest.raises(BadRecord, match=r"v\.jsonl, line 2: this line is not a verdict"):
        VerdictLog(tmp_path / "v.jsonl")


def test_a_full_disk_cuts_the_half_line_so_that_the_log_goes_on(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "v.jsonl"
    log = VerdictLog(path)
    log.append(verdict_on(posts(1)[0]))
    write, wrote = os.write, []

    def full(descriptor: int, line: bytes) -> int:
        if wrote:
            raise OSError(28, "No space left on device")
        wrote.append(True)
        return write(descriptor, line[:20])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageFailed, match="No space left on device"):
            log.append(verdict_on(posts(2)[1]))
    assert path.read_text() == verdict_on(posts(1)[0]).to_line() + "\n"
    assert log.outcome("p1") is None
    log.append(verdict_on(posts(2)[1]))
    assert list(VerdictLog(path, read_only=True).verdicts()) == ["p0", "p1"]


def test_a_log_that_is_not_there_reads_as_empty_and_is_not_made(tmp_path: Path) -> None:
    with VerdictLog(tmp_path / "v.jsonl", read_only=True) as log:
        assert log.verdicts() == {}
    assert not list(tmp_path.iterdir())
    with pytest.raises(StorageFailed, match="closed"):
        log.append(verdict_on(Post(id="p0")))
