"""Tasks: shipped ones are usable, a user's own is their equal, a slip is named."""

from pathlib import Path

import pytest

from folkmoot.formats import load_task, shipped_tasks
from folkmoot.records import BadInput, BadRecord

MINE = """\
name = "kindness"
question = "Is this post kind?"
positive = "kind"

[[labels]]
name = "kind"
definition = "It does somebody good."

[[labels]]
name = "unkind"
"""


def mine(folder: Path, text: str = MINE) -> Path:
    path = folder / "kindness.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "labels", "positive"),
    [
        ("offensive", ("offensive", "ok"), "offensive"),
        ("hateful_meme", ("hateful", "not_hateful"), "hateful"),
        ("misogyny", ("misogynous", "not_misogynous"), "misogynous"),
        ("sentiment", ("positive", "negative"), "positive"),
    ],
)
def test_a_shipped_task_has_its_labels_and_a_policy(name: str, labels: tuple[str, str], positive: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert task.label_names == labels
    assert task.positive == positive
    assert len(task.policy) > 300
    assert task.question.endswith("?")
    assert all(label.definition for label in task.labels)


def test_the_four_tasks_are_shipped() -> None:
    assert {"offensive", "hateful_meme", "misogyny", "sentiment"} <= set(shipped_tasks())


def test_a_users_own_task_loads_from_a_path_or_a_string(tmp_path: Path) -> None:
    task = load_task(mine(tmp_path))
    assert task == load_task(str(tmp_path / "kindness.toml"))
    assert task.label_names == ("kind", "unkind")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(BadInput, match="Did you mean 'sentiment'"):
        load_task("sentimnt")


@pytest.mark.parametrize(
    ("before", "after", "line", "field", "says"),
    [
        ("question =", "qestion =", 2, "qestion", "Did you mean 'question'?"),
        ('definition =', 'definiton =', 7, "labels.0.definiton", "Did you mean 'definition'?"),
        ('positive = "kind"', 'positive = "kid"', None, "labels", "positive label 'kid' is not one of"),
        ('name = "unkind"', 'name = "kind"', None, "labels", "labels must differ"),
        ('name = "kindness"', "name = kindness", 1, None, "not valid TOML"),
        ('name = "kindness"', "name = 3", 1, "name", "3 arrived"),
    ],
)  # fmt: skip
def test_a_slip_in_a_task_is_named_by_line_and_key(
    tmp_path: Path, before: str, after: str, line: int | None, field: str | None, says: str
) -> None:
    with pytest.raises(BadRecord) as caught:
        load_task(mine(tmp_path, MINE.replace(before, after)))
    if line is not None:
        assert caught.value.line == line
    assert says in str(caught.value)
    assert caught.value.field == field


def test_a_missing_task_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_task(tmp_path / "none.toml")
