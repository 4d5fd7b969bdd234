"""Where a verb may write: never over what it reads, never where it would fail after the work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from in_process import folkmoot, refused

from folkmoot.cli.outputs import check_output, check_verdicts
from folkmoot.records import BadInput

POSTS = '{"id":"a","text":"a calm day","label":"ok"}\n{"id":"b","text":"a grey day","label":"offensive"}\n'
OPINIONS = '{"id":"a","agent":"user","round":0,"label":"ok"}\n{"id":"b","agent":"user","round":0,"label":"offensive"}\n'
Capture = pytest.CaptureFixture[str]
JUDGE = ("judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "P.jsonl", "--out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with posts, opinions and an empty folder `d`, which is also the current one."""
    (tmp_path / "P.jsonl").write_text(POSTS)
    (tmp_path / "O.jsonl").write_text(OPINIONS)
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAME = {
    "judge --posts": ([*JUDGE, "P.jsonl"], "--out and --posts name the same file"),
    "judge --opinions": ([*JUDGE, "./d/../O.jsonl"], "--out and --opinions name the same file"),
    "screen": (["screen", "--posts", "P.jsonl", "--validation", "O.jsonl", "--out", "P.jsonl"], "--out and --posts"),
    "synthesize": (["synthesize", "--opinions", "O.jsonl", "--gold", "P.jsonl", "--out", "P.jsonl"], "--out and --gold"),
    "evaluate": (["evaluate", "--verdicts", "O.jsonl", "--gold", "P.jsonl", "--report", "P.jsonl"], "--report and --gold"),
    "report": (["report", "--verdicts", "O.jsonl", "--gold", "P.jsonl", "--task", "offensive", "--out", "P.jsonl"], "--out and --gold"),
    "export posts": (["export", "posts", "--in", "P.jsonl", "--out", "P.jsonl"], "--out and --in"),
    "export opinions": (["export", "opinions", "--in", "O.jsonl", "--out", "O.jsonl"], "--out and --in"),
    "export profiles": (["export", "profiles", "--in", "P.jsonl", "--out", "P.jsonl"], "--out and --in"),
    "export claim-review": (["export", "claim-review", "--verdicts", "O.jsonl", "--posts", "P.jsonl", "--out", "O.jsonl"], "--out and --verdicts"),
    "perceive": (["perceive", "P.jsonl", "--html", "P.jsonl"], "--html and MEDIA"),
    "import": (["import", "hateful_memes", "d", "--out", "d"], "--out and PATH name the same folder"),
    "run": (["run", "P.jsonl", "--data", "d", "--out", "d"], "--out and --data name the same folder"),
}  # fmt: skip


@pytest.mark.parametrize("verb", SAME)
def test_an_output_that_is_an_input_is_refused_and_stays_as_it_is(here: Path, capsys: Capture, verb: str) -> None:
    command, said = SAME[verb]
    refused(folkmoot(capsys, *command), 2, said)
    assert (here / "P.jsonl").read_text() == POSTS
    assert (here / "O.jsonl").read_text() == OPINIONS
    assert sorted(path.name for path in here.iterdir()) == ["O.jsonl", "P.jsonl", "d"]


FILE_FOR_FOLDER = {
    "export pairs": ["export", "pairs", "--in", "P.jsonl"],
    "society": ["society", "--posts", "P.jsonl"],
    "distill": ["distill", "--task", "offensive", "--pairs", "P.jsonl"],
    "adapt": ["adapt", "--posts", "P.jsonl"],
    "selftrain": ["selftrain", "--task", "offensive", "--labelled", "P.jsonl", "--dev", "P.jsonl"],
    "run": ["run", "P.jsonl"],
    "import": ["import", "davidson", "P.jsonl"],
}


@pytest.mark.parametrize("verb", FILE_FOR_FOLDER)
def test_a_file_where_a_folder_is_to_be_written_is_refused(here: Path, capsys: Capture, verb: str) -> None:
    refused(folkmoot(capsys, *FILE_FOR_FOLDER[verb], "--out", "O.jsonl"), 2, "--out O.jsonl is a file; name a folder")
    assert (here / "O.jsonl").read_text() == OPINIONS


def test_an_output_that_cannot_be_written_is_refused_before_the_work(here: Path, capsys: Capture) -> None:
    refused(folkmoot(capsys, *JUDGE, "d"), 2, "--out d is a folder")
    refused(folkmoot(capsys, *JUDGE, "P.jsonl/V.jsonl"), 2, "P.jsonl is a file")
    refused(folkmoot(capsys, *JUDGE, "n" * 300), 2, "--out")
    assert sorted(path.name for path in here.iterdir()) == ["O.jsonl", "P.jsonl", "d"]


def test_a_folder_without_permission_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "d")  # a superuser may write anywhere
    with pytest.raises(BadInput, match=r"no permission to write in .*d;"):
        check_output("d/new/V.jsonl")
    with pytest.raises(BadInput, match="no permission"):
        check_output("d", folder=True)
    check_output("V.jsonl")


def test_a_link_to_an_input_is_the_input(here: Path) -> None:
    (here / "link.jsonl").symlink_to("P.jsonl")
    with pytest.raises(BadInput, match="--out and --posts name the same file"):
        check_output("link.jsonl", inputs={"--posts": ["O.jsonl", "P.jsonl"]})


def test_a_device_is_no_file_to_replace() -> None:
    with pytest.raises(BadInput, match="a device or a pipe"):
        check_output(os.devnull)


def test_addresses_shipped_names_and_files_of_an_earlier_start_pass(here: Path) -> None:
    (here / "world").write_text("{}\n")
    check_output("s3://bucket/P.jsonl", inputs={"--posts": "s3://bucket/P.jsonl"})
    check_output("world", inputs={"--profiles": "world", "--plan": None})
    check_output("O.jsonl", inputs={"--posts": [Path("P.jsonl")]})
    check_output("d", folder=True)


def test_a_strangers_file_is_not_replaced_by_verdicts(here: Path, capsys: Capture) -> None:
    (here / "V.jsonl").write_text("my diary\n")
    refused(folkmoot(capsys, *JUDGE, "V.jsonl"), 2, "V.jsonl", "move it, or name another")
    assert (here / "V.jsonl").read_text() == "my diary\n"
    (here / "V.jsonl").write_text('{"id":"a","text":"x"}\n')
    refused(folkmoot(capsys, *JUDGE, "V.jsonl"), 2, "holds no verdicts")
    (here / "V.jsonl").write_text("")
    assert folkmoot(capsys, *JUDGE, "V.jsonl").code == 0
    assert folkmoot(capsys, *JUDGE, "V.jsonl").code == 0
    assert folkmoot(capsys, *JUDGE, "V.jsonl", "--run", "another").code == 0


@pytest.mark.parametrize("name", ["v.parquet", "v.csv", "v.jsonl.gz"])
def test_one_process_promises_no_other_format_than_jsonl(here: Path, capsys: Capture, name: str) -> None:
    refused(folkmoot(capsys, *JUDGE, name), 2, "one process writes JSONL", "--on ray --format parquet")
    assert not (here / f"{name}.run").exists()


def test_the_endings_of_jsonl_and_none_at_all_are_accepted(here: Path) -> None:
    for name in ("V", "V.jsonl", "V.JSON", "V.ndjson"):
        check_verdicts(name, here / "none")
    with pytest.raises(BadInput, match="--out and --run name the same path"):
        check_verdicts("V", here / "V")
    with pytest.raises(BadInput, match="--on ray"):
        check_verdicts("s3://bucket/V.jsonl", here / "none")


def test_too_many_failures_are_told_with_the_summary_the_reason_and_the_file(here: Path, capsys: Capture) -> None:
    (here / "M.jsonl").write_text('{"id":"m","text":"look","media":[{"path":"gone.png","type":"image"}]}\n')
    mine = ("judge", "--panel", "direct", "--task", "offensive", "--model", "openai:m@http://127.0.0.1:9", "--posts",
            "M.jsonl", "--out", "V.jsonl")  # fmt: skip
    ended = folkmoot(capsys, *mine, "--json")
    assert ended.code == 1
    summary = json.loads(ended.out)
    assert (summary["posts"], summary["failed"], summary["out"]) == (1, 1, "V.jsonl")
    assert "1 of 1 posts failed" in ended.err
    assert "Most often (1): media_missing" in ended.err
    assert "in V.jsonl say why" in ended.err
    plain = folkmoot(capsys, *mine)
    assert plain.code == 1
    assert "failed 1" in plain.out


def test_the_budget_s_end_is_told_with_the_summary_and_the_verdicts_so_far(
    server: tuple[str, Path], here: Path, capsys: Capture
) -> None:
    mine = ("judge", "--panel", "direct", "--task", "offensive", "--model", server[0], "--posts", "P.jsonl", "--out",
            "V.jsonl", "--max-calls", "1", "--json")  # fmt: skip
    ended = folkmoot(capsys, *mine)
    assert ended.code == 3, ended.err
    summary = json.loads(ended.out)
    assert (summary["posts"], summary["judged"], summary["ledger"]["attempts"]) == (2, 1, 1)
    assert "The verdicts so far are in V.jsonl" in ended.err
    assert len((here / "V.jsonl").read_text().splitlines()) == 1


def test_a_society_s_end_is_told_with_the_summary(server: tuple[str, Path], here: Path, capsys: Capture) -> None:
    mine = ("society", "--task", "offensive", "--posts", "P.jsonl", "--users", "1", "--model", server[0], "--out", "r",
            "--max-calls", "0", "--json")  # fmt: skip
    ended = folkmoot(capsys, *mine)
    assert ended.code == 3, ended.err
    assert json.loads(ended.out)["judged"] == 0


def test_a_synthesis_s_end_is_told_with_where_it_stood(server: tuple[str, Path], here: Path, capsys: Capture) -> None:
    mine = ("synthesize", "--task", "offensive", "--opinions", "O.jsonl", "--gold", "P.jsonl", "--model", server[0], "--out",
            "pairs.jsonl", "--max-calls", "1")  # fmt: skip
    ended = folkmoot(capsys, *mine, "--json")
    assert ended.code == 3, ended.err
    assert json.loads(ended.out) == {"posts": 2, "decided": 0, "calls": 1, "cost_usd": 0.0}
    assert folkmoot(capsys, *mine).out == "posts 2  decided 0  calls 1  cost_usd 0\n"
    assert not (here / "pairs.jsonl").exists()


def test_self_training_s_end_is_told_with_the_panel_s_summary(
    server: tuple[str, Path], here: Path, capsys: Capture
) -> None:
    (here / "pool.jsonl").write_text('{"id":"c","text":"a wet day"}\n{"id":"d","text":"a dry day"}\n')
    (here / "dev.jsonl").write_text(POSTS.replace('"a"', '"e"').replace('"b"', '"f"'))
    ended = folkmoot(
        capsys, "selftrain", "--task", "offensive", "--labelled", "P.jsonl", "--pool", "pool.jsonl", "--dev", "dev.jsonl",
        "--panel", "direct", "--model", server[0], "--max-calls", "1", "--out", "r", "--json",
    )  # fmt: skip
    assert ended.code == 3, ended.err
    summary = json.loads(ended.out)
    assert (summary["posts"], summary["judged"], summary["calls"]) == (2, 1, 1)


def test_a_run_s_case_needs_no_posts_and_its_page_replaces_no_file_of_the_run(here: Path, capsys: Capture) -> None:
    assert folkmoot(capsys, *JUDGE, "V.jsonl", "--run", "r").code == 0
    log = next(path for path in (here / "r").iterdir() if path.suffix == ".jsonl")
    held = log.read_bytes()
    refused(
        folkmoot(capsys, "report", "--run", "r", "--out", str(log)), 2, "the run has written that file and needs it"
    )
    assert log.read_bytes() == held
    mine = ("report", "--run", "r", "--case", "a", "--out", "case.html")
    ended = folkmoot(capsys, *mine, "--reveal")
    assert ended.code == 0, ended.err
    assert "a calm day" in (here / "case.html").read_text()
    (here / "P.jsonl").unlink()
    refused(folkmoot(capsys, *mine), 2, "give --posts")


def test_a_folder_is_no_recipe(here: Path, capsys: Capture) -> None:
    refused(folkmoot(capsys, "run", "d"), 2, "d is a folder; name a recipe's TOML file")


def test_a_table_without_texts_names_its_columns(here: Path, capsys: Capture) -> None:
    (here / "T.csv").write_text("id,tweet\na,hello\nb,bye\n")
    ended = folkmoot(capsys, "judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "T.csv", "--out", "V")
    refused(ended, 2, "T.csv, field 'text'", "there are id, tweet", "--column text=tweet")
    mapped = folkmoot(capsys, "judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "T.csv", "--out", "V",
                      "--column", "text=tweet")  # fmt: skip
    assert mapped.code == 0, mapped.err


def test_gold_labels_need_no_texts(here: Path, capsys: Capture) -> None:
    assert folkmoot(capsys, *JUDGE, "V.jsonl").code == 0
    (here / "G.csv").write_text("id,label,source\na,ok,x\nb,ok,y\n")
    ended = folkmoot(capsys, "evaluate", "--verdicts", "V.jsonl", "--gold", "G.csv", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["accuracy"] == 0.5


@pytest.mark.parametrize("model", ["embedded", "embedded:deterministic", "transformers:x"])
def test_a_model_of_texts_is_not_asked_for_pictures(here: Path, capsys: Capture, model: str) -> None:
    refused(folkmoot(capsys, "perceive", "P.jsonl", "--model", model), 2, "reads text only", "openai:NAME@URL")
    delphi = ("judge", "--panel", "delphi", "--task", "offensive", "--posts", "P.jsonl", "--out", "V", "--captions")
    refused(folkmoot(capsys, *delphi, "--model", model), 2, "reads text only")


def test_a_bank_that_is_not_there_is_named(here: Path, capsys: Capture) -> None:
    refused(folkmoot(capsys, "perceive", "P.jsonl", "--bank", "nosuch"), 2, "--bank nosuch")
    (here / "bank.csv").write_bytes(b"\xff\xfe\x00")
    refused(folkmoot(capsys, "perceive", "P.jsonl", "--bank", "bank.csv"), 2, "bank.csv", "no UTF-8 text")
