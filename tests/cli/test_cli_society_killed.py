"""A live society and the synthesis after it, killed in the middle: the same command ends with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

from commands import folkmoot, kill_once

from folkmoot.formats import write_posts
from folkmoot.records import Post
from folkmoot.runs import RunFolder


def lost(folder: Path) -> int:
    """The calls that were in flight when the run in this folder was killed."""
    with RunFolder.read(folder) as run:
        return run.ledger.totals().lost_in_flight


def counted(log: Path) -> list[str]:
    """The requests that the endpoint has had."""
    return log.read_text().splitlines() if log.exists() else []


def test_killed_and_started_again_nothing_kept_is_asked_twice(server: tuple[str, Path], tmp_path: Path) -> None:
    model, log = server
    hold = log.with_suffix(".hold")
    posts = [Post(id=f"p{n}", text=f"{'a rude' if n % 3 else 'a kind'} word, number {n}",
                  label="offensive" if n % 2 else "ok") for n in range(10)]  # fmt: skip
    write_posts(posts, tmp_path / "P.jsonl")
    society = ("society", "--task", "offensive", "--posts", tmp_path / "P.jsonl", "--users", 4, "--repeats", 1,
               "--model", model)  # fmt: skip
    synthesis = ("synthesize", "--task", "offensive", "--gold", tmp_path / "P.jsonl", "--model", model)

    whole = folkmoot(*society, "--out", tmp_path / "whole", "--json")
    assert whole.returncode == 0, whole.stderr
    sent = counted(log)
    assert len(sent) == json.loads(whole.stdout)["calls"]
    log.write_text("")
    hold.write_text("30")
    kill_once(lambda: len(counted(log)) > 30, *society, "--out", tmp_path / "cut")
    hold.unlink()
    again = folkmoot(*society, "--out", tmp_path / "cut", "--json")
    assert again.returncode == 0, again.stderr
    said = [sorted((tmp_path / name / "verdicts.jsonl").read_text().splitlines()) for name in ("whole", "cut")]
    assert said[0] == said[1], "the same verdicts with the same opinions, in the order in which they came"
    told = [json.loads(ended.stdout) for ended in (whole, again)]
    for name in ("outcomes", "plan", "effect", "scores", "fits"):
        assert told[0][name] == told[1][name], name
    assert sorted(set(counted(log))) == sorted(set(sent))
    assert len(counted(log)) - len(sent) <= lost(tmp_path / "cut"), "only what was in flight is asked again"

    log.write_text("")
    made = ("--run", tmp_path / "whole", "--out")
    first = folkmoot(*synthesis, *made, tmp_path / "pairs.jsonl", "--json")
    assert first.returncode == 0, first.stderr
    sent = counted(log)
    assert json.loads(first.stdout)["pairs"] > 0
    log.write_text("")
    hold.write_text(str(len(sent) // 2))
    kill_once(lambda: len(counted(log)) > len(sent) // 2, *synthesis, *made, tmp_path / "again.jsonl")
    hold.unlink()
    second = folkmoot(*synthesis, *made, tmp_path / "again.jsonl", "--json")
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "pairs.jsonl").read_bytes()
    assert sorted(set(counted(log))) == sorted(set(sent))
    assert len(counted(log)) - len(sent) <= lost(tmp_path / "again.jsonl.run")
