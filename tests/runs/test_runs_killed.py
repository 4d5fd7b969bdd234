"""A run killed at any moment ends, on the same command, as if it had never been killed."""

import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from judges_for_runs import posts, verdict_on

from folkmoot.runs import RunFolder

PROGRAM = Path(__file__).with_name("judges_for_runs.py")
POSTS, SECONDS = 300, 0.004
EXPECTED = "".join(verdict_on(p, calls=(f"{p.id}/0", f"{p.id}/1")).to_line() + "\n" for p in posts(POSTS))


def start(folder: Path, **limits) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(folder), str(POSTS), str(SECONDS)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **limits)


def sent(folder: Path) -> Counter[str]:
    path = folder / "sent.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.mark.parametrize("seed", range(2))
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kills = 0
    for _ in range(4):
        process = start(tmp_path)
        already = sum(sent(tmp_path).values())
        target = already + chance.randrange(1, 120)
        while process.poll() is None and sum(sent(tmp_path).values()) < target:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.01)
        process.kill()
        _, problem = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), problem.decode()
        kills += process.returncode == -signal.SIGKILL
    last = start(tmp_path)
    _, problem = last.communicate(timeout=300)
    assert last.returncode == 0, problem.decode()
    assert kills >= 2, "the kills came too late to test anything"

    assert (tmp_path / "verdicts.jsonl").read_text() == EXPECTED
    with RunFolder.read(tmp_path / "run") as run:
        totals = run.ledger.totals()
    calls = sent(tmp_path)
    assert totals.calls == len(calls) == 2 * POSTS
    # A call is sent again only where the kill lost it in flight, and the ledger counts each of those. A kill between
    # the ledger's line and the sending counts one that was not sent.
    repeated = sum(calls.values()) - len(calls)
    assert repeated <= totals.lost_in_flight <= repeated + kills
    assert totals.attempts == totals.calls + totals.lost_in_flight
    assert totals.lost_in_flight <= 8 * kills, "no more than were in flight"


def test_a_finished_run_given_again_sends_nothing(tmp_path: Path) -> None:
    assert start(tmp_path).wait(300) == 0
    before = sent(tmp_path)
    assert start(tmp_path).wait(300) == 0
    assert sent(tmp_path) == before
    assert (tmp_path / "verdicts.jsonl").read_text() == EXPECTED


def test_a_run_that_meets_a_full_disk_stops_with_a_sentence_and_goes_on_later(tmp_path: Path) -> None:
    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    process = start(tmp_path, preexec_fn=small_disk)
    _, problem = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "StorageFailed" in problem.decode().splitlines()[-1]
    assert "What was written before is kept" in problem.decode()
    assert start(tmp_path).wait(300) == 0
    assert (tmp_path / "verdicts.jsonl").read_text() == EXPECTED
    with RunFolder.read(tmp_path / "run") as run:
        assert run.ledger.totals().calls == 2 * POSTS
    assert sum(sent(tmp_path).values()) <= 2 * POSTS + 16
