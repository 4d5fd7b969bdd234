"""`judge` without a student: what one process of pytest can see, so that it is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from folkmoot.formats import read_verdicts, write_posts
from folkmoot.records import Post

Said = tuple[int, str, str]
Tell = Callable[..., Said]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with six posts and what two agents said of each; `p5` they see differently."""
    monkeypatch.chdir(tmp_path)
    labels = ["offensive", "ok", "ok", "offensive", "ok", "ok"]
    write_posts([Post(id=f"p{n}", text=f"words {n}", label=label) for n, label in enumerate(labels)], Path("P.jsonl"))
    rows = [
        {"id": f"p{n}", "agent": agent, "round": 0, "label": "offensive" if agent == "user" and n == 5 else label,
         "confidence": 0.9, "rationale": "so"}
        for n, label in enumerate(labels) for agent in ("moderator", "user")
    ]  # fmt: skip
    Path("O.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


RECORDED = ("judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "P.jsonl", "--out", "V.jsonl")


def test_opinions_stand_in_for_a_panels_calls_with_or_without_its_name(tell: Tell, here: Path) -> None:
    code, out, err = tell(*RECORDED, "--json")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert summary["outcomes"] == {"labelled": 5, "abstained": 1}
    assert summary["calls"] == 0
    assert tell(*RECORDED[:-1], "W.jsonl", "--panel", "negotiation")[0] == 0
    assert (here / "W.jsonl").read_bytes() == (here / "V.jsonl").read_bytes()


def test_verdicts_come_in_the_posts_order_over_several_files_whatever_the_order_of_judging(
    tell: Tell, here: Path
) -> None:
    lines = (here / "P.jsonl").read_text().splitlines(keepends=True)
    (here / "one.jsonl").write_text("".join(lines[3:]))
    (here / "two.jsonl").write_text("".join(lines[:3]))
    command = ("judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "one.jsonl", "--posts", "two.jsonl",
               "--out", "V.jsonl")  # fmt: skip
    code, _, err = tell(*command)
    assert code == 0, err
    first = (here / "V.jsonl").read_bytes()
    assert [v.id for v in read_verdicts(here / "V.jsonl")] == ["p3", "p4", "p5", "p0", "p1", "p2"]
    log = here / "V.jsonl.run" / "verdicts.jsonl"  # as if the posts had been answered in another order
    log.write_bytes(b"".join(reversed(log.read_bytes().splitlines(keepends=True))))
    (here / "V.jsonl").unlink()
    assert tell(*command)[0] == 0
    assert (here / "V.jsonl").read_bytes() == first


def test_an_id_in_two_files_is_refused_before_anything_is_judged(tell: Tell, here: Path) -> None:
    code, _, err = tell(*RECORDED, "--posts", "P.jsonl")
    assert code == 2
    assert "p0" in err
    assert not (here / "V.jsonl.run").exists()


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (("--panel", "negotation", "--task", "offensive"), "negotiation"),
        (("--panel", "direct", "--task", "ofensive"), "offensive"),
        (("--panel", "direct", "--task", "offensive", "--model", "openal:m@http://127.0.0.1:9/v1"), "openai"),
        (("--panel", "few_shot", "--task", "offensive"), "--examples"),
    ],
)
def test_a_slip_names_the_nearest_and_leaves_no_run_folder_that_would_refuse_the_corrected_command(
    tell: Tell, here: Path, wrong: tuple[str, ...], hint: str
) -> None:
    code, _, err = tell("judge", *wrong, "--posts", "P.jsonl", "--out", "V.jsonl")
    assert code == 2
    assert hint in err
    assert not (here / "V.jsonl.run").exists()


def test_a_task_that_was_edited_is_another_configuration(tell: Tell, here: Path) -> None:
    toml = (
        'name = "mine"\nquestion = "Is it rude?"\npositive = "offensive"\n'
        '[[labels]]\nname = "offensive"\ndefinition = "Rude."\n[[labels]]\nname = "ok"\ndefinition = "Kind."\n'
    )
    (here / "mine.toml").write_text(toml)
    command = ("judge", "--opinions", "O.jsonl", "--task", "mine.toml", "--posts", "P.jsonl", "--out", "V.jsonl")
    assert tell(*command)[0] == 0
    (here / "mine.toml").write_text(toml.replace("Is it rude?", "Is it loud?"))
    code, _, err = tell(*command)
    assert code == 2
    assert "task" in err
    assert "V.jsonl.run" in err


def test_an_addresss_password_is_written_nowhere(tell: Tell, here: Path) -> None:
    code, out, err = tell("judge", "--panel", "direct", "--task", "offensive", "--posts", "P.jsonl", "--out", "V.jsonl",
                          "--model", "openai:m@http://u:hunter2@127.0.0.1:9/v1")  # fmt: skip
    assert code == 1
    kept = b"".join(path.read_bytes() for path in (here / "V.jsonl.run").iterdir())
    assert "hunter2" not in out + err + kept.decode("latin-1")


def test_a_dry_run_on_ray_judges_nothing(tell: Tell, here: Path) -> None:
    pytest.importorskip("fsspec")
    code, out, err = tell("judge", "--panel", "negotiation", "--task", "offensive", "--posts", "P.jsonl", "--out", "V",
                          "--model", "openai:m@http://127.0.0.1:9/v1", "--on", "ray", "--dry-run", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["calls_max"] == 24
    assert not (here / "V").exists()
    assert not (here / "V.run").exists()


def test_opinions_on_unknown_posts_and_unknown_labels_are_named_by_line(tell: Tell, here: Path) -> None:
    with (here / "O.jsonl").open("a") as file:
        file.write('{"id":"stranger","agent":"user","round":0,"label":"ok"}\n')
    code, _, err = tell(*RECORDED)
    assert code == 2
    assert "O.jsonl, line 13, field 'id'" in err
    (here / "O.jsonl").write_text('{"id":"p0","agent":"user","round":0,"label":"loud"}\n')
    code, _, err = tell(*RECORDED)
    assert code == 2
    assert "line 1, field 'label'" in err


def test_missing_media_are_refused_where_they_are_asked_for(tell: Tell, here: Path) -> None:
    (here / "P.jsonl").write_text('{"id":"p0","text":"x","media":[{"path":"gone.png","type":"image"}]}\n')
    (here / "O.jsonl").write_text('{"id":"p0","agent":"user","round":0,"label":"ok"}\n')
    code, _, err = tell(*RECORDED, "--check-media")
    assert code == 2
    assert "line 1" in err
    assert "gone.png" in err


def test_evaluate_counts_an_abstention_as_wrong_and_leaves_it_out_of_selective(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    code, out, err = tell("evaluate", "--verdicts", "V.jsonl", "--gold", "P.jsonl", "--json")
    assert code == 0, err
    scored = json.loads(out)
    assert scored["n"] == 6
    assert scored["accuracy"] == pytest.approx(5 / 6)
    assert (scored["selective"]["accuracy"], scored["selective"]["n"]) == (1.0, 5)
    assert scored["outcomes"]["abstained"] == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("evaluate", "--gold", "P.jsonl"), "--verdicts"),
        (("evaluate", "--gold", "P.jsonl", "--verdicts", "nowhere.jsonl"), "nowhere.jsonl"),
        (("compare", "--gold", "P.jsonl", "--verdicts", "V.jsonl"), "two"),
        (("compare", "--gold", "P.jsonl", "--verdicts", "V.jsonl", "--verdicts", "V.jsonl"), "twice"),
        (("report", "--verdicts", "V.jsonl"), "--task"),
        (("report", "--verdicts", "V.jsonl", "--task", "offensive"), "--gold"),
        (("report", "--run", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_scored_is_bad_usage(tell: Tell, here: Path, command: tuple[str, ...], said: str) -> None:
    tell(*RECORDED)
    code, _, err = tell(*command)
    assert code == 2
    assert said in err


def test_a_report_of_recorded_opinions_shows_texts_only_when_told_to(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    common = ("report", "--verdicts", "V.jsonl", "--gold", "P.jsonl", "--task", "offensive", "--opinions", "O.jsonl")
    code, out, err = tell(*common, "--out", "masked.html", "--json")
    assert code == 0, err
    assert json.loads(out) == {"report": "masked.html"}
    assert tell(*common, "--out", "open.html", "--reveal")[0] == 0
    assert "words 5" not in (here / "masked.html").read_text()
    assert "words 5" in (here / "open.html").read_text()


def test_a_runs_own_folder_is_enough_for_its_report(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    code, _, err = tell("report", "--run", "V.jsonl.run", "--out", "page.html")
    assert code == 0, err
    assert "words 5" not in (here / "page.html").read_text()
    assert tell("report", "--run", "V.jsonl.run", "--out", "page.html", "--reveal")[0] == 0
    assert "words 5" in (here / "page.html").read_text()


def test_a_report_is_not_made_of_files_that_changed_since_the_run(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    with Path("P.jsonl").open("a") as file:
        file.write('{"id":"p9","text":"words 9","label":"ok"}\n')
    code, _, err = tell("report", "--run", "V.jsonl.run", "--out", "page.html")
    assert code == 2
    assert "P.jsonl ('posts') has changed since the run" in err
    assert not Path("page.html").exists()


def test_evaluate_tells_of_labels_that_one_side_alone_names(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    posts = [Post(id=f"p{n}", text="", label=label) for n, label in enumerate(("offensive", "ok", "fine"))]
    write_posts(posts, Path("G.jsonl"))
    code, out, err = tell("evaluate", "--verdicts", "V.jsonl", "--gold", "G.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["n"] == 3
    assert "no verdict gives: 'fine'" in err


def test_evaluate_refuses_gold_labels_of_which_no_verdict_gives_one(tell: Tell, here: Path) -> None:
    tell(*RECORDED)
    write_posts([Post(id="p1", text="", label="real"), Post(id="p2", text="", label="fake")], Path("G.jsonl"))
    code, _, err = tell("evaluate", "--verdicts", "V.jsonl", "--gold", "G.jsonl")
    assert code == 2
    assert "the verdicts give 'offensive', 'ok' and the gold posts have 'fake', 'real'" in err


def test_a_file_that_cannot_be_used_is_refused_before_torch_is_imported(tell: Tell, here: Path) -> None:
    Path("empty.jsonl").write_text("")
    told = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=600, env={**os.environ, "HOME": str(here)}
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "empty.jsonl" in told.stderr


REFUSED = """
import sys
from folkmoot.cli import main
sys.argv = "folkmoot selftrain --task offensive --labelled empty.jsonl --pool P.jsonl --dev P.jsonl --out run".split()
try:
    main()
except SystemExit as stop:
    assert stop.code == 2, stop.code
heavy = {"torch", "sklearn", "pandas", "scipy", "matplotlib", "transformers"} & sys.modules.keys()
assert not heavy, heavy
"""
