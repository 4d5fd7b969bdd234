"""The other verbs in process, the reference page, and how quickly help comes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import folkmoot, refused

from folkmoot.formats import LAYOUTS, read_opinions
from folkmoot.panels import PANELS

ROOT = Path(__file__).parent.parent.parent
GOLD = '{"id":"a","text":"x","label":"ok"}\n{"id":"b","text":"y","label":"offensive"}\n{"id":"c","text":"z","label":"ok"}\n'
OPINIONS = "".join(
    f'{{"id":"{post}","agent":"{agent}","label":"{label}","confidence":0.75}}\n'
    for post, label in (("a", "ok"), ("b", "offensive"), ("c", "offensive"))
    for agent in ("moderator", "user")
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """Gold posts G.jsonl, opinions O.jsonl and verdicts V.jsonl, right on two of three."""
    (tmp_path / "G.jsonl").write_text(GOLD)
    (tmp_path / "O.jsonl").write_text(OPINIONS)
    monkeypatch.chdir(tmp_path)
    ended = folkmoot(capsys, "judge", "--opinions", "O.jsonl", "--task", "offensive", "--posts", "G.jsonl", "--out",
                     "V.jsonl")  # fmt: skip
    assert ended.code == 0, ended.err
    return tmp_path


def test_evaluate_refuses_gold_that_is_not_the_task_s(judged: Path, capsys: Capture) -> None:
    mine = ("evaluate", "--verdicts", "V.jsonl", "--gold", "G.jsonl", "--task")
    refused(folkmoot(capsys, *mine, "sentiment"), 2, "G.jsonl, line 1, field 'label'", "'ok'")
    (judged / "G.jsonl").write_text('{"id":"a","text":"x"}\n')
    refused(folkmoot(capsys, *mine, "offensive"), 2, "G.jsonl", "no post has a label")


def test_gold_posts_without_a_verdict_are_told_and_none_at_all_is_refused(judged: Path, capsys: Capture) -> None:
    lines = (judged / "V.jsonl").read_text().splitlines(keepends=True)
    (judged / "few.jsonl").write_text(lines[0])
    ended = folkmoot(capsys, "evaluate", "--verdicts", "few.jsonl", "--gold", "G.jsonl")
    assert ended.code == 0
    assert "few.jsonl: 2 of 3 gold posts have no verdict" in ended.err
    ended = folkmoot(capsys, "compare", "--verdicts", "V.jsonl", "--verdicts", "few.jsonl", "--gold", "G.jsonl")
    assert "few: 2 of 3 gold posts have no verdict" in ended.err
    (judged / "others.jsonl").write_text(GOLD.replace('"id":"', '"id":"other-'))
    refused(
        folkmoot(capsys, "evaluate", "--verdicts", "V.jsonl", "--gold", "others.jsonl"), 2, "V.jsonl", "3 gold posts"
    )


def test_a_folder_of_shards_is_scored_as_one_file(judged: Path, capsys: Capture) -> None:
    lines = (judged / "V.jsonl").read_text().splitlines(keepends=True)
    (judged / "shards").mkdir()
    refused(folkmoot(capsys, "evaluate", "--verdicts", "shards", "--gold", "G.jsonl"), 2, "shards is a folder without")
    (judged / "shards" / "a.jsonl").write_text(lines[0])
    (judged / "shards" / "b.jsonl").write_text("".join(lines[1:]))
    whole = folkmoot(capsys, "evaluate", "--verdicts", "V.jsonl", "--gold", "G.jsonl", "--json")
    assert folkmoot(capsys, "evaluate", "--verdicts", "shards", "--gold", "G.jsonl", "--json").out == whole.out
    (judged / "shards" / "c.jsonl").write_text(lines[0])
    refused(
        folkmoot(capsys, "evaluate", "--verdicts", "shards", "--gold", "G.jsonl"), 2, "c.jsonl", "line 1 of a.jsonl"
    )


def test_profiles_are_written_as_jsonl_alone(judged: Path, capsys: Capture) -> None:
    refused(folkmoot(capsys, "export", "profiles", "--in", "world", "--out", "p.csv"), 2, "p.csv", ".jsonl")


def test_an_import_that_finds_no_post_is_refused(judged: Path, capsys: Capture) -> None:
    (judged / "list.json").write_text("[]")
    refused(folkmoot(capsys, "import", "averitec", "list.json", "--out", "z"), 2, "list.json", "averitec")
    assert not (judged / "z").exists()


def test_compare_names_the_file_without_labels(judged: Path, capsys: Capture) -> None:
    (judged / "bare.jsonl").write_text('{"id":"a","text":"x"}\n')
    refused(
        folkmoot(capsys, "compare", "--verdicts", "V.jsonl", "--verdicts", "O.jsonl", "--gold", "bare.jsonl"), 2,
        "bare.jsonl: no post has a label",
    )  # fmt: skip


def test_claim_reviews_want_the_verdicts_own_task_and_posts(judged: Path, capsys: Capture) -> None:
    mine = ("export", "claim-review", "--verdicts", "V.jsonl", "--out", "reviews.json")
    refused(folkmoot(capsys, *mine, "--posts", "G.jsonl"), 2, "'ok'", "micro_video")
    offensive = (*mine, "--task", "offensive")
    refused(folkmoot(capsys, *offensive, "--posts", "G.jsonl", "--published", "yesterday"), 2, "'yesterday'")
    (judged / "others.jsonl").write_text(GOLD.replace('"id":"', '"id":"other-'))
    refused(folkmoot(capsys, *offensive, "--posts", "others.jsonl"), 2, "V.jsonl", "others.jsonl")
    assert not (judged / "reviews.json").exists()
    assert folkmoot(capsys, *offensive, "--posts", "G.jsonl", "--published", "2026-01-01").code == 0


def test_opinions_of_verdicts_are_exported_in_every_format(judged: Path, capsys: Capture) -> None:
    common = ("export", "opinions", "--verdicts", "V.jsonl", "--out")
    assert folkmoot(capsys, *common, "O2.jsonl").code == 0
    assert read_opinions(judged / "O2.jsonl") == read_opinions(judged / "O.jsonl")
    assert folkmoot(capsys, *common, "O2.csv").code == 0
    assert (judged / "O2.csv").read_text().splitlines()[1] == "a,moderator,0,labelled,ok,0.75,,"
    refused(folkmoot(capsys, *common, "O2.xlsx"), 2, ".parquet")
    parquet = pytest.importorskip("pyarrow.parquet")
    assert folkmoot(capsys, *common, "O2.parquet").code == 0
    rows = parquet.read_table(judged / "O2.parquet").to_pylist()
    assert [row["confidence"] for row in rows] == [0.75] * 6
    assert rows[0]["round"] == 0


def test_posts_of_a_csv_are_exported_through_a_column_map(judged: Path, capsys: Capture) -> None:
    (judged / "T.csv").write_text("tweet,class\nhello,ok\n")
    columns = ("--column", "text=tweet", "--column", "label=class", "--column", "id=#")
    assert folkmoot(capsys, "export", "posts", "--in", "T.csv", "--out", "T.jsonl", *columns).code == 0
    assert json.loads((judged / "T.jsonl").read_text()) == {"id": "1", "text": "hello", "label": "ok"}


def test_the_reference_page_is_current() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_cli_reference.py"), "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    page = (ROOT / "docs" / "cli.md").read_text()
    for name in (*LAYOUTS, *PANELS):
        assert name in page, f"no help page names {name}"


def test_every_verb_has_json_and_an_example() -> None:
    sections = (ROOT / "docs" / "cli.md").read_text().split("\n## ")[1:]
    assert len(sections) >= 12
    for section in sections:
        assert "| `--json` |" in section, section.splitlines()[0]
        assert "```\nfolkmoot " in section, section.splitlines()[0]


def test_help_imports_nothing_that_is_slow() -> None:
    heavy = ("numpy", "pydantic", "aiohttp", "torch", "jinja2", "asyncio")
    script = (
        "import sys; sys.argv = ['folkmoot', '--help']\nfrom folkmoot.cli import main\n"
        f"try:\n    main()\nexcept SystemExit:\n    print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert told.stderr.strip() == "[]"
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime)
    assert min(seconds) < 0.5  # seconds of CPU, the best of three, so that a busy machine does not count


def test_the_version_is_told(capsys: Capture) -> None:
    ended = folkmoot(capsys, "--version")
    assert ended.code == 0
    assert ended.out.startswith("folkmoot 0.")
