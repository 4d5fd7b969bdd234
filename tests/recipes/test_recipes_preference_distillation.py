"""Preference pairs -> a student that judges, on a tiny language model of the real architecture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from launching import launch
from tiny_models import save_llama

from folkmoot.formats import load_task, read_pairs, read_verdicts, write_pairs, write_posts
from folkmoot.models.instruction import Instruction
from folkmoot.records import Media, Post, PreferencePair

Said = tuple[int, str, str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base model, twelve pairs about invented posts, and dev posts."""
    monkeypatch.chdir(tmp_path)
    save_llama(Path("base"), context=1024)
    told = Instruction(load_task("misinformation"))
    posts = [Post(id=f"p{n}", text=f"tea {n} cures rain" if n % 2 else f"the tea house opens at {n}",
                  label="fake" if n % 2 else "real") for n in range(20)]  # fmt: skip
    pairs = [
        PreferencePair(
            id=post.id, prompt=tuple(told.turns(post)), label=post.label, sc=0.5, n=2, n_correct=1,
            chosen=({"role": "assistant", "content": f"so\nVerdict: {post.label}"},),
            rejected=({"role": "assistant", "content": f"no\nVerdict: {'real' if post.label == 'fake' else 'fake'}"},),
            flags=("gold_doubtful",) if number == 0 else (), opinions=("0123456789abcdef",),
        )
        for number, post in enumerate(posts[:12])
    ]  # fmt: skip
    write_pairs(pairs, Path("pairs.jsonl"))
    write_posts(posts[12:], Path("dev.jsonl"))
    return tmp_path


COMMAND = ("distill", "--task", "misinformation", "--pairs", "pairs.jsonl", "--base", "base", "--dev", "dev.jsonl",
           "--learning-rate", "0.005", "--lora-rank", "4", "--epochs", "2", "--threads", "1")  # fmt: skip


def test_pairs_become_a_student_that_judges_and_a_report(tell: Any, here: Path) -> None:
    code, out, err = tell(*COMMAND, "--out", "run", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["steps"], result["pairs"]["used"], result["pairs"]["verdicts"]) == (12, 12, 12)
    assert "12 of 12 preference pairs" in Path("run/report.html").read_text()
    card = json.loads(Path("run/student/language_card.json").read_text())
    assert card["lineage"]["settings"]["loss"] == "scpo"
    assert len(card["lineage"]["pair_hashes"]) == 12

    code, _, err = tell("judge", "--judge", "run", "--posts", "dev.jsonl", "--out", "V.jsonl")
    assert code == 0, err
    verdicts = read_verdicts("V.jsonl")
    assert verdicts == read_verdicts("run/dev_verdicts.jsonl"), "as a Judge from its folder it says what it said"
    assert all(set(v.probabilities) == {"real", "fake"} for v in verdicts)
    code, out, err = tell("evaluate", "--verdicts", "V.jsonl", "--gold", "dev.jsonl", "--json")
    assert json.loads(out)["n"] == 8

    code, out, err = tell("trace", "--judge", "run", "--posts", "dev.jsonl", "--id", "p12", "--json")
    assert code == 0, err
    trace = json.loads(out)
    assert trace["lessons_hash_holds"] is True
    assert sum(trace["lessons"].values()) == 12
    assert trace["nearest_pairs"][0]["likeness"] >= trace["nearest_pairs"][-1]["likeness"]
    assert trace["verdict"]["label"] == verdicts[0].label
    assert "opinions 0123456789ab\n" in tell("trace", "--judge", "run", "--posts", "dev.jsonl", "--id", "p12")[1]

    before = {path: path.stat().st_mtime_ns for path in Path("run/training_0").rglob("*") if path.is_file()}
    code, again, _ = tell(*COMMAND, "--out", "run", "--json")
    assert json.loads(again)["metrics"] == result["metrics"]
    trained = {path: stamp for path, stamp in before.items() if path.name in ("weights.pt", "optimiser.pt")}
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in trained.items()), "nothing was trained again"


def test_two_processes_leave_the_one_student_that_one_leaves(tell: Any, here: Path) -> None:
    code, out, err = tell(*COMMAND, "--out", "alone", "--json")
    assert code == 0, err
    ended = launch("-m", "folkmoot", *COMMAND, "--out", "run", "--json", cwd=here)
    assert ended.returncode == 0, ended.stderr[-4000:]
    (said,) = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    alone, together = json.loads(out), json.loads(said)
    assert (together["steps"], together["pairs"]) == (alone["steps"], alone["pairs"])
    assert together["last_loss"] == pytest.approx(alone["last_loss"], abs=1e-4)
    for one, other in zip(
        read_verdicts("alone/dev_verdicts.jsonl"), read_verdicts("run/dev_verdicts.jsonl"), strict=True
    ):
        assert one.id == other.id
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    code, _, err = tell("judge", "--judge", "run", "--posts", "dev.jsonl", "--out", "V.jsonl")
    assert code == 0, err


def test_a_student_that_reasons_decides_for_a_label_whatever_it_says(tell: Any, here: Path) -> None:
    code, _, err = tell(*COMMAND, "--out", "run", "--loss", "sft", "--reasoning")
    assert code == 0, err
    verdicts = read_verdicts("run/dev_verdicts.jsonl")
    assert {v.label for v in verdicts} <= {"real", "fake"}
    assert all(len(v.opinions) <= 1 for v in verdicts)


def test_a_dry_run_says_what_it_would_take_and_trains_nothing(tell: Any, here: Path) -> None:
    code, out, err = tell(*COMMAND, "--out", "run", "--dry-run", "--json")
    assert code == 0, err
    plan = json.loads(out)
    assert (plan["pairs"], plan["used"], plan["steps"]) == (12, 12, 12)
    assert plan["tokens"] < plan["tokens_in_two_passes"]
    assert not Path("run").exists()


def test_clean_leaves_out_pairs_with_a_flag(tell: Any, here: Path) -> None:
    _, out, _ = tell(*COMMAND, "--out", "run", "--clean", "--dry-run", "--json")
    assert json.loads(out)["pairs"] == 11


def test_a_dev_post_that_is_taught_as_well_is_refused(tell: Any, here: Path) -> None:
    write_posts([Post(id="p1", text="a", label="fake"), Post(id="p2", text="b", label="real")], Path("dev.jsonl"))
    code, _, err = tell(*COMMAND, "--out", "run")
    assert code == 2
    assert "2 posts are both in the pairs and in dev" in err


def test_a_base_that_is_no_model_is_refused_by_name(tell: Any, here: Path) -> None:
    code, _, err = tell("distill", "--task", "misinformation", "--pairs", "pairs.jsonl", "--base", "org/name",
                        "--out", "run")  # fmt: skip
    assert code == 2
    assert "org/name" in err
    assert "Hub names are not looked up" in err


def test_dev_media_that_the_base_does_not_read_are_told_before_anything_is_trained(tell: Any, here: Path) -> None:
    write_posts(
        [Post(id="v", text="look", label="real", media=(Media(type="video", path="c.mp4"),)), Post(id="w", text="x", label="fake")],
        Path("clips.jsonl"),
    )  # fmt: skip
    Path("c.mp4").write_bytes(b"no clip")
    command = [*COMMAND[: COMMAND.index("dev.jsonl")], "clips.jsonl", *COMMAND[COMMAND.index("dev.jsonl") + 1 :]]
    code, _, err = tell(*command, "--out", "run")
    assert code == 2
    assert "reads text only" in err
    assert not Path("run/training_0/steps.jsonl").exists()


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_pairs_that_contradict_themselves_or_teach_another_task_are_refused(
    tell: Any, here: Path, dry: tuple[str, ...]
) -> None:
    pairs = read_pairs("pairs.jsonl")
    write_pairs([pairs[0], pairs[1].model_copy(update={"sc": 0.9})], Path("pairs.jsonl"))
    code, _, err = tell(*COMMAND, "--out", "run", *dry)
    assert code == 2
    assert "field 'sc': pair 'p1' has 0.9, and its n, n_correct and n_partial give 0.5" in err
    write_pairs([pair.model_copy(update={"label": None}) for pair in pairs], Path("pairs.jsonl"))
    command = ["offensive" if part == "misinformation" else part for part in COMMAND]
    del command[command.index("--dev") : command.index("--dev") + 2]
    code, _, err = tell(*command, "--out", "run", *dry)
    assert code == 2
    assert "none of them is a label of task 'offensive' (offensive, ok)" in err
    assert not Path("run").exists()


def test_published_pairs_are_traced_without_what_nobody_knows_and_nothing_but_folkmoot_speaks(here: Path) -> None:
    rows = [json.loads(line) for line in Path("pairs.jsonl").read_text().splitlines()]
    published = [{name: row[name] for name in ("id", "prompt", "chosen", "rejected")} for row in rows]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in published))
    said = [sys.executable, "-m", "folkmoot"]
    ended = subprocess.run([*said, *COMMAND, "--out", "run"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "12 pairs and 12 verdict lines" in ended.stderr
    for noise in ("Loading weights", "Warning"):
        assert noise not in ended.stderr, ended.stderr
    trace = ["trace", "--judge", "run", "--posts", "dev.jsonl", "--id", "p12"]
    ended = subprocess.run([*said, *trace], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    for unknown in ("None", "opinions", "society", "sc 0.000"):
        assert unknown not in ended.stdout, ended.stdout
