"""The nouns: they round-trip, and they refuse a label without an outcome and an outcome without a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from folkmoot.records import (
    Evidence,
    Label,
    Lesson,
    Media,
    Membership,
    Observation,
    Opinion,
    Outcome,
    Post,
    Sentence,
    Span,
    Task,
    Verdict,
    canonical_json,
    content_hash,
)

text = st.text(st.characters(codec="utf-8"), max_size=20)
name = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
unit = st.floats(0, 1)
opinions = st.one_of(
    st.builds(Opinion, agent=name, round=st.integers(0, 3), outcome=st.just(Outcome.LABELLED), label=name,
              confidence=st.none() | unit, rationale=text, calls=st.tuples(name)),
    st.builds(Opinion, agent=name, outcome=st.sampled_from([o for o in Outcome if o is not Outcome.LABELLED])),
)  # fmt: skip
posts = st.builds(
    Post, id=name, text=text, media=st.lists(st.builds(Media, path=name), max_size=2).map(tuple), label=st.none() | name,
    meta=st.dictionaries(name, st.none() | st.booleans() | st.integers(-9, 9) | text, max_size=3),
)  # fmt: skip
verdicts = st.one_of(
    st.builds(Verdict, id=name, outcome=st.just(Outcome.LABELLED), label=name, probability=unit, task=name, judge=name,
              opinions=st.lists(opinions, max_size=3).map(tuple), quorum=st.integers(0, 3),
              evidence=st.lists(st.builds(Evidence, id=name, passage=text, score=st.none() | unit), max_size=1).map(tuple),
              explanation=st.lists(st.builds(Sentence, sentence=text), max_size=2).map(tuple),
              spans=st.lists(st.builds(Span, start=unit, end=unit), max_size=1).map(tuple)),
    st.builds(Verdict, id=name, outcome=st.just(Outcome.REFUSED), task=name, judge=name, problem=st.none() | text),
)  # fmt: skip
lessons = st.one_of(
    st.builds(Lesson, post=name, membership=st.just(Membership.AGREED_POSITIVE), target=unit, weight=unit),
    st.builds(Lesson, post=name, membership=st.just(Membership.DISAGREED)),
)
records = st.one_of(
    posts, opinions, verdicts, lessons, st.builds(Observation, kind=name, text=text, confidence=st.none() | unit)
)


@given(records)
def test_a_record_survives_its_line_and_keeps_its_hash(record: Post | Opinion | Verdict | Lesson | Observation) -> None:
    line = record.to_line()
    assert "\n" not in line
    again = type(record).from_line(line)
    assert again == record
    assert again.hash == record.hash


def test_a_label_without_the_outcome_labelled_is_refused_and_the_other_way_round() -> None:
    for kind, rest in ((Opinion, {"agent": "a"}), (Verdict, {"id": "p", "task": "t", "judge": "j"})):
        with pytest.raises(ValidationError, match="if and only if"):
            kind.model_validate({**rest, "outcome": "refused", "label": "ok"})
        with pytest.raises(ValidationError, match="if and only if"):
            kind.model_validate({**rest, "outcome": "labelled", "label": None})


def test_only_labels_and_abstentions_are_no_failure() -> None:
    assert [o for o in Outcome if not o.is_failure] == [Outcome.LABELLED, Outcome.ABSTAINED]


def test_a_disagreed_lesson_has_no_target_and_every_other_has_one() -> None:
    with pytest.raises(ValidationError, match="target"):
        Lesson(post="p", membership=Membership.DISAGREED, target=0.5)
    with pytest.raises(ValidationError, match="target"):
        Lesson(post="p", membership=Membership.AGREED_POSITIVE)


def test_a_blind_post_hides_whatever_could_give_the_answer_away() -> None:
    post = Post(id="p", text="tea", label="ok", attribution=("x",), split="dev", meta={"gold": 1})
    assert post.blind() == Post(id="p", text="tea")


def test_records_cannot_be_changed_and_refuse_unknown_fields() -> None:
    post = Post(id="p")
    with pytest.raises(ValidationError):
        post.id = "q"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="colour"):
        Post.model_validate({"id": "p", "colour": "red"})


def test_a_binary_task_names_its_positive_label() -> None:
    labels = (Label(name="a"), Label(name="b"))
    with pytest.raises(ValidationError, match="positive"):
        Task(name="t", question="?", labels=labels)
    with pytest.raises(ValidationError, match="'c' is not one of"):
        Task(name="t", question="?", labels=labels, positive="c")
    assert Task(name="t", question="?", labels=labels, positive="a").negative == "b"


def test_hashes_do_not_depend_on_the_order_of_keys_and_nan_is_no_json() -> None:
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1})
    assert canonical_json({"b": "ü", "a": 1}) == '{"a":1,"b":"ü"}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
