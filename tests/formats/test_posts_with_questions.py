"""Posts that bring a question: read, checked and written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.formats import load_task, read_posts, write_posts
from folkmoot.formats.posts import bare_option
from folkmoot.records import BadRecord, Post, Question, Task

TASK = load_task("social_intent")


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_question_of_its_own_and_one_in_meta_are_read_alike(tmp_path: Path) -> None:
    own = {
        "id": "1",
        "text": "seen",
        "question": {"kind": "choice", "text": "Why?", "options": ["x", "y"]},
        "label": "b",
    }
    meta = {"id": "2", "text": "Why?", "label": "A", "meta": {"options": ["A. x", "B. y"], "gold": {"note": 1}}}
    several = {"id": "3", "text": "Who?", "label": "C, a", "meta": {"options": ["x", "y", "z"]}}
    one, two, three = read_posts(write(tmp_path / "q.jsonl", own, meta, several), task=TASK)
    assert one.question is not None
    assert one.question == two.question == Question(text="Why?", options=("x", "y"))
    assert (one.text, two.text) == ("seen", "")
    assert (one.label, two.label, three.label) == ("B", "A", "A,C")
    assert three.question is not None
    assert three.question.kind == "choices"
    assert two.blind().question == two.question
    assert two.blind().meta == {}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"id": "1", "text": "no options"}, "question"),
        ({"id": "1", "text": "Why?", "label": "E", "meta": {"options": ["x", "y"]}}, "label"),
        ({"id": "1", "question": {"kind": "choice", "text": "Why?", "options": ["x"]}}, "question"),
        ({"id": "1", "question": {"kind": "yes_no", "text": "Is it?", "options": ["x", "y"]}}, "question"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_line_and_field(tmp_path: Path, row: object, field: str) -> None:
    good = {"id": "0", "text": "Why?", "label": "A", "meta": {"options": ["x", "y"]}}
    with pytest.raises(BadRecord) as caught:
        read_posts(write(tmp_path / "q.jsonl", good, row), task=TASK)
    assert caught.value.line == 2
    assert (caught.value.field or "").startswith(field)


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.parquet"])
def test_they_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    posts = [
        Post(id="1", text="t", question=Question(text="Why, then?", options=('a "b"', "c,d")), label="A"),
        Post(id="2", question=Question(kind="free", text="What?"), label="tea"),
        Post(id="3", question=Question(kind="yes_no", text="Is it?"), label="no"),
    ]
    write_posts(posts, tmp_path / name)
    assert read_posts(tmp_path / name, task=TASK) == posts


def test_a_column_of_that_name_that_holds_words_stays_in_meta(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,text,question\n1,hello,is it so?\n")
    (post,) = read_posts(tmp_path / "p.csv")
    assert post.question is None
    assert post.meta["question"] == "is it so?"


def test_other_tasks_keep_their_hash_and_need_labels() -> None:
    assert "answers" not in load_task("offensive").model_dump(mode="json")
    assert "question" not in Post(id="1").model_dump(mode="json")
    with pytest.raises(ValueError, match="two labels"):
        Task(name="x", question="?")
    with pytest.raises(ValueError, match="no labels of its own"):
        Task(name="x", question="?", answers="question", labels=load_task("offensive").labels)


def test_options_lose_their_letters_and_nothing_else() -> None:
    assert bare_option("(C) Ann left.") == "Ann left."
    assert bare_option("C) Ann left.") == "Ann left."
    assert bare_option("A man left.") == "A man left."


def test_an_initial_is_no_letter_of_an_option(tmp_path: Path) -> None:
    row = {"id": "1", "text": "Who?", "meta": {"options": ["J. Marsh", "B. Stone"]}}
    (post,) = read_posts(write(tmp_path / "q.jsonl", row), task=TASK)
    assert post.question is not None
    assert post.question.options == ("J. Marsh", "B. Stone")


@given(st.lists(st.sampled_from("ABCD"), min_size=1), st.sampled_from([",", ", ", " ", ";"]), st.booleans())
def test_letters_have_one_form(letters: list[str], between: str, lower: bool) -> None:
    question = Question(kind="choices", text="?", options=("w", "x", "y", "z"))
    text = between.join(letters)
    found = question.canonical(text.lower() if lower else text)
    assert found == ",".join(sorted(set(letters)))
    assert question.canonical(str(found)) == found
