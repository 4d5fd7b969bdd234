"""The command line as people and scripts meet it: real processes, real files, exit codes."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import folkmoot
from mild_posts import TASK, write_files

from folkmoot.formats import load_task, read_posts, read_verdicts, write_posts
from folkmoot.records import Outcome, Post


def refused(code: int, *said: str, by: subprocess.CompletedProcess[str]) -> None:
    """The command failed with this exit code, in words and not with a traceback."""
    assert by.returncode == code, by.stderr
    assert "Traceback" not in by.stderr
    for words in said:
        assert words in by.stderr


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled posts, a pool with opinions, dev posts, and a task."""
    folder = tmp_path_factory.mktemp("files")
    write_posts(write_files(folder), folder / "pool_gold.jsonl")
    return folder


@pytest.fixture(scope="module")
def trained(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `selftrain` run."""
    out = tmp_path_factory.mktemp("runs") / "x"
    done = folkmoot(
        "selftrain", "--task", files / "drinks.toml", "--labelled", files / "labelled.jsonl", "--pool", files / "pool.jsonl",
        "--dev", files / "dev.jsonl", "--opinions", files / "opinions.jsonl", "--out", out, "--batch", "30", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def test_selftrain_leaves_a_student_a_report_and_metrics(trained: Path) -> None:
    for name in ("run.toml", "lessons.jsonl", "student/card.json", "student/model.onnx", "report.html", "metrics.json"):
        assert (trained / name).exists(), name
    page = (trained / "report.html").read_text()
    assert "a warm cup of tea" not in page  # masked until asked


def test_the_student_judges_new_posts_in_their_order_and_evaluate_scores_them(
    trained: Path, files: Path, tmp_path: Path
) -> None:
    out = tmp_path / "V.jsonl"
    assert (
        folkmoot("judge", "--judge", trained / "student", "--posts", files / "dev.jsonl", "--out", out).returncode == 0
    )
    assert [v.id for v in read_verdicts(out)] == [post.id for post in read_posts(files / "dev.jsonl")]
    scored = json.loads(folkmoot("evaluate", "--verdicts", out, "--gold", files / "dev.jsonl", "--json").stdout)
    assert scored["n"] == 40
    assert scored["macro_f1"] > 0.8
    assert scored["outcomes"]["labelled"] == 40
    assert scored["interval95"]["macro_f1"][0] <= scored["macro_f1"] <= scored["interval95"]["macro_f1"][1]


def test_the_same_command_again_writes_the_same_bytes(trained: Path, files: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for out in (first, second):
        folkmoot("judge", "--judge", trained, "--posts", files / "dev.jsonl", "--out", out)
    assert first.read_bytes() == second.read_bytes()


def test_trace_names_the_lessons_and_opinions_behind_a_prediction(trained: Path, files: Path) -> None:
    told = folkmoot("trace", "--judge", trained / "student", "--posts", files / "dev.jsonl", "--id", "d0", "--json")
    assert told.returncode == 0, told.stderr
    trace = json.loads(told.stdout)
    assert trace["lessons_hash_holds"] is True
    assert sum(trace["lessons"].values()) > 8
    assert any(lesson["opinions"] for lesson in trace["nearest"]) or all(
        lesson["lesson"]["source"] == "gold" for lesson in trace["nearest"]
    )
    assert set(trace["inputs"]) == {"labelled", "pool", "dev", "opinions"}


def test_compare_sets_judges_side_by_side(trained: Path, files: Path, tmp_path: Path) -> None:
    for name in ("student", "fast_student"):
        folkmoot(
            "judge", "--judge", trained / name, "--posts", files / "dev.jsonl", "--out", tmp_path / f"{name}.jsonl"
        )
    told = folkmoot("compare", "--gold", files / "dev.jsonl", "--verdicts", tmp_path / "student.jsonl",
                    "--verdicts", tmp_path / "fast_student.jsonl", "--json")  # fmt: skip
    result = json.loads(told.stdout)
    assert set(result["judges"]) == {"student", "fast_student"}
    assert len(result["comparisons"]) == 1


def test_report_masks_until_told_to_reveal(trained: Path, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "V.jsonl"
    folkmoot("judge", "--judge", trained / "student", "--posts", files / "dev.jsonl", "--out", out)
    common = ("report", "--verdicts", out, "--gold", files / "dev.jsonl", "--task", files / "drinks.toml", "--out")
    assert folkmoot(*common, tmp_path / "masked.html").returncode == 0
    assert folkmoot(*common, tmp_path / "open.html", "--reveal").returncode == 0
    assert (tmp_path / "masked.html").read_bytes() != (tmp_path / "open.html").read_bytes()


def test_the_report_of_a_training_run_can_be_revealed(trained: Path, tmp_path: Path) -> None:
    done = folkmoot("report", "--run", trained, "--out", tmp_path / "open.html", "--reveal")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "open.html").read_text()
    masked = (trained / "report.html").read_text()
    assert '<p class="text"><span class="secret shown"' in page
    assert page.count('<p class="text">') == masked.count('<p class="text">')


def test_recorded_opinions_are_a_judge(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "V.jsonl"
    done = folkmoot("judge", "--opinions", files / "opinions.jsonl", "--task", files / "drinks.toml",
                    "--posts", files / "pool.jsonl", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    verdicts = read_verdicts(out)
    assert {v.outcome for v in verdicts} == {Outcome.LABELLED, Outcome.ABSTAINED}
    assert all(len(v.opinions) == 2 for v in verdicts)


def some_posts(path: Path, count: int) -> Path:
    write_posts([Post(id=f"p{n}", text=f"{'rude' if n % 3 == 0 else 'kind'} words {n}") for n in range(count)], path)
    return path


def test_killed_and_started_again_it_ends_with_the_same_bytes_and_sends_no_kept_call_twice(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    model, log = server
    posts = some_posts(tmp_path / "P.jsonl", 60)
    common = ["judge", "--panel", "negotiation", "--task", "offensive", "--model", model, "--posts", str(posts)]
    whole = folkmoot(*common, "--out", tmp_path / "whole.jsonl", "--concurrency", "4", "--json")
    assert whole.returncode == 0, whole.stderr
    sent_whole = len(log.read_text().splitlines())
    log.write_text("")
    command = [sys.executable, "-m", "folkmoot", *common, "--out", str(tmp_path / "V.jsonl"), "--concurrency", "4"]
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ledger = tmp_path / "V.jsonl.run" / "verdicts.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and (not ledger.exists() or ledger.read_bytes().count(b"\n") < 10):
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert ledger.read_bytes().count(b"\n") >= 10
    again = folkmoot(*common, "--out", tmp_path / "V.jsonl", "--concurrency", "4")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "V.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    lines = log.read_text().splitlines()
    assert len(lines) - len(set(lines)) <= 8  # only what was in flight at the kill: 4 posts of two agents
    assert len(set(lines)) == sent_whole


def test_the_budget_stops_it_cleanly_and_a_higher_one_goes_on(server: tuple[str, Path], tmp_path: Path) -> None:
    model, log = server
    posts = some_posts(tmp_path / "P.jsonl", 12)
    common = (
        "judge",
        "--panel",
        "direct",
        "--task",
        "offensive",
        "--model",
        model,
        "--posts",
        posts,
        "--out",
        tmp_path / "V.jsonl",
    )
    refused(3, "5", by=folkmoot(*common, "--max-calls", "5"))
    assert len(log.read_text().splitlines()) == 5
    assert folkmoot(*common, "--max-calls", "12").returncode == 0
    assert len(log.read_text().splitlines()) == 12


def test_a_dry_run_calls_nothing_and_names_calls_and_price(server: tuple[str, Path], tmp_path: Path) -> None:
    model, log = server
    told = folkmoot("judge", "--panel", "negotiation", "--task", "offensive", "--model", model, "--price-in", "1",
                    "--posts", some_posts(tmp_path / "P.jsonl", 7), "--out", tmp_path / "V.jsonl", "--dry-run", "--json")  # fmt: skip
    plan = json.loads(told.stdout)
    assert (plan["posts"], plan["calls_min"], plan["calls_max"]) == (7, 14, 28)
    assert plan["cost_usd"] > 0
    assert not log.exists()
    assert not (tmp_path / "V.jsonl.run").exists()


def test_a_dead_endpoint_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = folkmoot("judge", "--panel", "direct", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9/v1",
                    "--posts", some_posts(tmp_path / "P.jsonl", 3), "--out", tmp_path / "V.jsonl")  # fmt: skip
    refused(1, "127.0.0.1:9", by=done)


def test_a_corrupt_ledger_is_said_in_a_sentence(server: tuple[str, Path], tmp_path: Path) -> None:
    common = ("judge", "--panel", "direct", "--task", "offensive", "--model", server[0], "--posts",
              some_posts(tmp_path / "P.jsonl", 3), "--out", tmp_path / "V.jsonl")  # fmt: skip
    assert folkmoot(*common).returncode == 0
    ledger = tmp_path / "V.jsonl.run" / "ledger.sqlite"
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for extra in tmp_path.glob("V.jsonl.run/ledger.sqlite-*"):
        extra.unlink()
    ledger.write_bytes(b"this is no database" * 400)
    refused(1, "ledger.sqlite", by=folkmoot(*common))


def test_another_configuration_in_the_same_run_folder_is_refused(trained: Path, files: Path, tmp_path: Path) -> None:
    common = ("judge", "--posts", files / "dev.jsonl", "--out", tmp_path / "V.jsonl", "--judge")
    assert folkmoot(*common, trained / "student").returncode == 0
    refused(2, "student", by=folkmoot(*common, trained / "fast_student"))


BAD_POSTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("bad.jsonl",)),
    "duplicate ids": (b'{"id":"a","text":"x"}\n{"id":"a","text":"y"}\n', ("line 2", "id")),
    "invalid UTF-8": (b'{"id":"a","text":"x"}\n{"id":"b","text":"\xff"}\n', ("line 2",)),
    "no JSON": (b'{"id":"a","text":"x"}\nnot json\n', ("line 2",)),
    "a 10 MB line": (b'{"id":"a","text":"' + b"x" * 10_000_000 + b'"}\n', ("line 1",)),
    "no id": (b'{"text":"x"}\n', ("line 1", "id")),
}


@pytest.mark.parametrize("fault", BAD_POSTS)
def test_bad_posts_are_refused_with_file_line_and_field(trained: Path, tmp_path: Path, fault: str) -> None:
    content, said = BAD_POSTS[fault]
    (tmp_path / "bad.jsonl").write_bytes(content)
    done = folkmoot("judge", "--judge", trained, "--posts", tmp_path / "bad.jsonl", "--out", tmp_path / "V.jsonl")
    refused(2, "bad.jsonl", *said, by=done)


def selftrain_with(files: Path, out: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    given = {"task": files / "drinks.toml", "labelled": files / "labelled.jsonl", "pool": files / "pool.jsonl",
             "dev": files / "dev.jsonl", "opinions": files / "opinions.jsonl", "out": out, **changes}  # fmt: skip
    return folkmoot(
        "selftrain", *(part for name, value in given.items() if value is not None for part in (f"--{name}", value))
    )


def test_selftrain_refuses_what_it_cannot_learn_from(files: Path, tmp_path: Path) -> None:
    one_class = tmp_path / "one.jsonl"
    write_posts([post for post in read_posts(files / "labelled.jsonl") if post.label == "tea"], one_class)
    refused(2, "'rain'", by=selftrain_with(files, tmp_path / "a", labelled=one_class))
    refused(2, "pool", by=selftrain_with(files, tmp_path / "b", pool=None))
    unknown = tmp_path / "unknown.jsonl"
    unknown.write_text('{"id":"l0","text":"tea","label":"milk"}\n')
    refused(2, "unknown.jsonl", "line 1", "milk", by=selftrain_with(files, tmp_path / "c", labelled=unknown))
    strangers = tmp_path / "strangers.jsonl"
    strangers.write_text('{"id":"nobody","agent":"user","round":0,"label":"tea"}\n')
    refused(2, "strangers.jsonl", "line 1", by=selftrain_with(files, tmp_path / "d", opinions=strangers))
    refused(2, "offensive", by=selftrain_with(files, tmp_path / "e", task="ofensive"))


def test_bad_usage_is_exit_2(trained: Path, tmp_path: Path) -> None:
    posts = some_posts(tmp_path / "P.jsonl", 1)
    refused(2, "exactly one judge", by=folkmoot("judge", "--posts", posts, "--out", tmp_path / "V.jsonl"))
    both = folkmoot("judge", "--judge", trained, "--panel", "direct", "--posts", posts, "--out", tmp_path / "V.jsonl")
    refused(2, "exactly one judge", by=both)
    refused(2, "task", by=folkmoot("judge", "--panel", "direct", "--posts", posts, "--out", tmp_path / "V.jsonl"))
    assert folkmoot("judge", "--colour").returncode == 2


def test_posts_and_opinions_are_exported_and_doctor_tells_what_is_there(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert folkmoot("export", "posts", "--in", files / "dev.jsonl", "--out", tmp_path / "d.parquet").returncode == 0
    assert read_posts(tmp_path / "d.parquet") == read_posts(files / "dev.jsonl")
    found = json.loads(folkmoot("doctor", "--json").stdout)
    assert found["extras"]["serve"]["tokenizers"]
    broken = folkmoot("doctor", "--model", "openai:m@http://127.0.0.1:9/v1", "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["model"]["problem"]


@pytest.mark.slow
def test_on_ray_the_student_writes_the_bytes_of_one_process(trained: Path, files: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    posts = read_posts(files / "dev.jsonl")
    for number in range(3):
        write_posts(posts[number::3], tmp_path / f"shard_{number}.jsonl")
    shards = [part for number in range(3) for part in ("--posts", tmp_path / f"shard_{number}.jsonl")]
    assert folkmoot("judge", "--judge", trained, *shards, "--out", tmp_path / "V.jsonl").returncode == 0
    done = folkmoot("judge", "--judge", trained, *shards, "--out", tmp_path / "out", "--on", "ray", "--json")
    assert done.returncode == 0, done.stderr
    elsewhere = [line for path in (tmp_path / "out").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert sorted(elsewhere) == sorted((tmp_path / "V.jsonl").read_bytes().splitlines())


def test_the_task_of_the_invented_posts_is_the_toml_files(files: Path) -> None:
    assert load_task(str(files / "drinks.toml")) == TASK


def test_help_is_quick_and_every_verb_has_an_example() -> None:
    for verb in ("judge", "selftrain", "run", "evaluate", "compare", "report", "trace", "import", "doctor"):
        told = folkmoot(verb, "--help")
        assert told.returncode == 0
        assert "Example" in told.stdout, verb
