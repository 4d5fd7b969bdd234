"""`folkmoot judge` on recorded opinions and models that replay: what it refuses, keeps and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import folkmoot, refused

from folkmoot.formats import read_verdicts
from folkmoot.records import Outcome

POSTS = '{"id":"a","text":"a calm day"}\n{"id":"b","text":"a grey day"}\n{"id":"c","text":"a short day"}\n'
OPINIONS = (
    '{"id":"a","agent":"moderator","round":0,"label":"ok"}\n{"id":"a","agent":"user","round":0,"label":"ok"}\n'
    '{"id":"b","agent":"moderator","round":0,"label":"offensive"}\n{"id":"b","agent":"user","round":0,"label":"ok"}\n'
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with posts and opinions, which is also the current one."""
    (tmp_path / "P.jsonl").write_text(POSTS)
    (tmp_path / "O.jsonl").write_text(OPINIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


RECORDED = ("judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "P.jsonl", "--out", "V.jsonl")


def test_a_judge_s_recipe_is_a_judge_wherever_it_is_called_from(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "judge.toml").write_text('kind = "judge"\nopinions = "O.jsonl"\ntask = "offensive"\n')
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    ended = folkmoot(capsys, "judge", "--judge", here / "judge.toml", "--posts", here / "P.jsonl", "--out", "V.jsonl")
    assert ended.code == 0, ended.err
    assert read_verdicts(here / "elsewhere" / "V.jsonl")[0].label == "ok"


def test_a_student_takes_no_options_of_a_panel(here: Path, capsys: Capture) -> None:
    (here / "student").mkdir()
    (here / "student" / "card.json").write_text("{}")
    mine = ("judge", "--judge", "student", "--posts", "P.jsonl", "--out", "V.jsonl")
    ended = folkmoot(capsys, *mine, "--model", "embedded", "--as-of", "2020-05-01", "--source", "wikipedia")
    refused(ended, 2, "student is a student, which takes no --model, --source, --as-of")


@pytest.mark.parametrize("option", [("--corpus", "."), ("--gate", "never"), ("--as-of", "2020-05-01")])
def test_a_panel_that_looks_for_no_evidence_takes_none(here: Path, capsys: Capture, option: tuple[str, str]) -> None:
    mine = ("judge", "--panel", "direct", "--task", "offensive", "--posts", "P.jsonl", "--out", "V.jsonl")
    refused(folkmoot(capsys, *mine, *option), 2, "panel 'direct' looks for no evidence", option[0], "delphi")


@pytest.mark.parametrize("address", ["notaurl", "http://", "http://[bad"])
def test_a_search_engine_s_address_is_checked(here: Path, capsys: Capture, address: str) -> None:
    mine = (
        "judge",
        "--panel",
        "delphi",
        "--task",
        "micro_video",
        "--posts",
        "P.jsonl",
        "--out",
        "V.jsonl",
        "--dry-run",
    )
    refused(folkmoot(capsys, *mine, "--source", f"searxng:{address}"), 2, "http://127.0.0.1:8888")


def test_posts_are_read_through_a_column_map(here: Path, capsys: Capture) -> None:
    (here / "T.csv").write_text("tweet,user\nhello there,x\ngood night,y\n")
    (here / "O1.jsonl").write_text('{"id":"1","agent":"user","label":"ok"}\n')
    ended = folkmoot(capsys, "judge", "--opinions", "O1.jsonl", "--task", "offensive", "--posts", "T.csv", "--out",
                     "V.jsonl", "--column", "text=tweet", "--column", "id=#")  # fmt: skip
    assert ended.code == 0, ended.err
    assert [v.id for v in read_verdicts(here / "V.jsonl")] == ["1", "2"]


def test_a_price_may_change_between_two_starts_of_a_run(here: Path, capsys: Capture) -> None:
    assert folkmoot(capsys, *RECORDED).code == 0
    again = folkmoot(capsys, *RECORDED, "--price-in", "2", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["skipped"] == 2 + 1


def test_a_run_is_known_by_its_model_s_name_and_not_by_its_address(here: Path, capsys: Capture) -> None:
    model = "openai:tiny@http://127.0.0.1:9/v1"
    ended = folkmoot(capsys, "judge", "--panel", "direct", "--task", "offensive", "--model", model, "--posts",
                     "P.jsonl", "--out", "V.jsonl")  # fmt: skip
    refused(ended, 1, "127.0.0.1:9")
    kept = (here / "V.jsonl.run" / "run.toml").read_text()
    assert 'model = "tiny"' in kept
    assert ":9/v1" not in kept.split("[packages]")[0]


BAD_USAGE = {
    "no judge": ([], "exactly one judge"),
    "two judges": (["--judge", "direct", "--panel", "direct"], "exactly one judge"),
    "a panel without a task": (["--panel", "direct"], "--task"),
    "an unknown panel": (["--panel", "negociation", "--task", "offensive"], "did you mean 'negotiation'"),
    "an unknown judge": (["--judge", "direkt"], "did you mean 'direct'"),
    "an unknown task": (["--panel", "direct", "--task", "ofensive"], "offensive"),
    "an unknown model": (["--panel", "direct", "--task", "offensive", "--model", "embeded"], "embedded"),
    "few_shot without examples": (["--panel", "few_shot", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9"], "--examples"),
    "a limit without a price": (["--panel", "direct", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9", "--max-cost", "1"], "--price-in"),
    "a column map without a column": (["--opinions", "O.jsonl", "--task", "offensive", "--column", "text"], "FIELD=COLUMN"),
    "a column map of no field": (["--opinions", "O.jsonl", "--task", "offensive", "--column", "txt=a"], "text"),
    "opinions with labels of another task": (["--opinions", "O.jsonl", "--task", "sentiment"], "O.jsonl, line 1, field 'label'"),
    "a replay of nothing": (["--panel", "direct", "--task", "offensive", "--model", "replay:nowhere"], "nowhere"),
    "an address without a run folder": (["--opinions", "O.jsonl", "--task", "offensive", "--out", "s3://bucket/v"], "--run"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_USAGE)
def test_bad_usage_is_refused_before_a_run_folder_is_made(here: Path, capsys: Capture, fault: str) -> None:
    options, said = BAD_USAGE[fault]
    out = [] if "--out" in options else ["--out", "V.jsonl"]
    refused(folkmoot(capsys, "judge", "--posts", "P.jsonl", *out, *options), 2, said)
    assert sorted(path.name for path in here.iterdir()) == ["O.jsonl", "P.jsonl"]


def test_a_recipe_that_is_not_a_judge_s_is_refused_with_the_field(here: Path, capsys: Capture) -> None:
    common = ("judge", "--posts", "P.jsonl", "--out", "V.jsonl", "--judge")
    (here / "loop.toml").write_text('kind = "selftrain"\n')
    refused(folkmoot(capsys, *common, "loop.toml"), 2, "loop.toml", "folkmoot run")
    (here / "slip.toml").write_text('kind = "judge"\npannel = "direct"\n')
    refused(folkmoot(capsys, *common, "slip.toml"), 2, "slip.toml, field 'pannel'", "did you mean 'panel'")
    refused(folkmoot(capsys, *common, "none.toml"), 2, "none.toml")


def test_a_missing_picture_is_an_outcome_or_is_refused_when_asked(here: Path, capsys: Capture) -> None:
    (here / "M.jsonl").write_text('{"id":"m","text":"look","media":[{"path":"gone.png","type":"image"}]}\n')
    mine = ("judge", "--panel", "direct", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9", "--posts",
            "M.jsonl", "--out", "V.jsonl")  # fmt: skip
    refused(folkmoot(capsys, *mine, "--check-media"), 2, "M.jsonl, line 1, field 'media.0.path'", "gone.png")
    assert not (here / "V.jsonl.run").exists()
    ended = folkmoot(capsys, *mine)
    assert ended.code == 1
    assert "1 of 1 posts failed" in ended.err
    assert read_verdicts(here / "V.jsonl")[0].outcome is Outcome.MEDIA_MISSING


def test_failures_up_to_the_accepted_share_are_exit_0(here: Path, capsys: Capture) -> None:
    (here / "M.jsonl").write_text('{"id":"m","text":"look","media":[{"path":"gone.png","type":"image"}]}\n')
    ended = folkmoot(capsys, "judge", "--panel", "direct", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9",
                     "--posts", "M.jsonl", "--out", "V.jsonl", "--max-failures", "1", "--json")  # fmt: skip
    assert ended.code == 0
    assert json.loads(ended.out)["failed"] == 1


def test_a_dry_run_counts_what_the_run_holds_as_done(here: Path, capsys: Capture) -> None:
    assert folkmoot(capsys, *RECORDED).code == 0
    assert json.loads(folkmoot(capsys, *RECORDED, "--dry-run", "--json").out)["skipped"] == 3


def test_a_folder_that_is_no_run_s_is_left_alone(here: Path, capsys: Capture) -> None:
    (here / "V.jsonl.run").mkdir()
    (here / "V.jsonl.run" / "holiday.txt").write_text("sea")
    refused(folkmoot(capsys, *RECORDED), 2, "holiday.txt")


def test_an_error_that_nobody_foresaw_is_told_without_its_message(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a calm day")

    monkeypatch.setattr("folkmoot.recipes.judging.judge_posts", fails)
    ended = folkmoot(capsys, *RECORDED)
    refused(ended, 1, "RuntimeError")
    assert "a calm day" not in ended.err


def test_a_run_of_one_process_is_not_gone_on_with_on_ray(here: Path, capsys: Capture) -> None:
    pytest.importorskip("fsspec")
    assert folkmoot(capsys, *RECORDED).code == 0
    refused(folkmoot(capsys, *RECORDED[:-1], "out", "--run", "V.jsonl.run", "--on", "ray"), 2, "V.jsonl.run", "differs")


def test_an_interrupted_run_says_that_it_can_go_on(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("folkmoot.recipes.judging.judge_posts", interrupted)
    refused(folkmoot(capsys, *RECORDED), 130, "the same command goes on")
