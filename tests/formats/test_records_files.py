"""Opinions, verdicts and lessons: round trips, and errors by line and field."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from folkmoot.formats import (
    load_task,
    read_lessons,
    read_opinions,
    read_verdicts,
    write_lessons,
    write_opinion_table,
    write_opinions,
    write_verdicts,
)
from folkmoot.records import BadRecord, Lesson, Membership, Opinion, Outcome, Verdict

SHARED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
keys = st.text("0123456789abcdef", min_size=1, max_size=8)
shares = st.none() | st.floats(0, 1)


@st.composite
def one_opinion(draw: st.DrawFn) -> Opinion:
    outcome = draw(st.sampled_from(Outcome))
    return Opinion(
        agent=draw(st.sampled_from(["moderator", "user"])),
        round=draw(st.integers(0, 2)),
        outcome=outcome,
        label=draw(names) if outcome is Outcome.LABELLED else None,
        confidence=draw(shares),
        rationale=draw(words),
        calls=tuple(draw(st.lists(keys, max_size=2))),
    )


some_opinions = st.lists(one_opinion(), min_size=1, max_size=4, unique_by=lambda one: (one.agent, one.round)).map(
    lambda said: tuple(sorted(said, key=lambda one: one.round))
)


def rows(folder: Path, *lines: str) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@SHARED
@given(opinions=st.dictionaries(names, some_opinions, min_size=1, max_size=3))
def test_opinions_come_back_as_they_were_written(tmp_path: Path, opinions: dict[str, tuple[Opinion, ...]]) -> None:
    write_opinions(opinions, tmp_path / "o.jsonl")
    assert read_opinions(tmp_path / "o.jsonl") == opinions


@SHARED
@given(opinions=some_opinions, ids=st.lists(names, min_size=1, max_size=3, unique=True), probability=shares)
def test_verdicts_come_back_as_they_were_written(
    tmp_path: Path, opinions: tuple[Opinion, ...], ids: list[str], probability: float | None
) -> None:
    verdicts = [
        Verdict(
            id=one, outcome=Outcome.LABELLED, label="ok", probability=probability, task="t", judge="j:v1",
            opinions=opinions, probabilities={"ok": 0.75, "offensive": 0.25},
        )
        for one in ids
    ]  # fmt: skip
    write_verdicts(verdicts, tmp_path / "v.jsonl")
    assert read_verdicts(tmp_path / "v.jsonl") == verdicts


def test_lessons_come_back_as_they_were_written(tmp_path: Path) -> None:
    lessons = [
        Lesson(post="p1", membership=Membership.POSITIVE, target=1.0),
        Lesson(post="p2", membership=Membership.AGREED_NEGATIVE, target=0.33, weight=0.5, round=2, opinions=("ab",)),
        Lesson(post="p3", membership=Membership.DISAGREED, source="both", calls=("cd",)),
    ]
    write_lessons(lessons, tmp_path / "l.jsonl")
    assert read_lessons(tmp_path / "l.jsonl") == lessons


def test_a_plain_opinion_has_the_six_columns_of_the_format(tmp_path: Path) -> None:
    write_opinions({"p1": [Opinion(agent="user", label="ok", confidence=0.5)]}, tmp_path / "o.jsonl")
    assert (tmp_path / "o.jsonl").read_text() == (
        '{"id":"p1","agent":"user","round":0,"label":"ok","confidence":0.5,"rationale":""}\n'
    )


@SHARED
@given(opinions=st.dictionaries(names, some_opinions, min_size=1, max_size=3))
@pytest.mark.parametrize("name", ["o.parquet", "o.csv", "o.tsv"])
def test_a_table_of_opinions_comes_back_as_it_was_written(
    tmp_path: Path, name: str, opinions: dict[str, tuple[Opinion, ...]]
) -> None:
    write_opinion_table(opinions, tmp_path / name)
    assert read_opinions(tmp_path / name) == opinions


def test_a_tables_bad_opinion_is_named_by_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("id,agent,round,label,confidence\np1,user,0,ok,0.5\np2,user,first,ok,\n")
    with pytest.raises(BadRecord, match=r"o\.csv, line 3, field 'round'"):
        read_opinions(path)
    path.write_text("id,agent,label,confidnce\np1,user,ok,0.5\n")
    with pytest.raises(BadRecord, match="confidence"):
        read_opinions(path)


def test_a_failed_opinion_keeps_its_outcome_and_gets_no_label(tmp_path: Path) -> None:
    said = {"p1": (Opinion(agent="user", outcome=Outcome.REFUSED), Opinion(agent="moderator", label="ok"))}
    write_opinions(said, tmp_path / "o.jsonl")
    assert read_opinions(tmp_path / "o.jsonl") == said


def test_opinions_of_a_post_are_in_the_order_of_rounds(tmp_path: Path) -> None:
    path = rows(
        tmp_path,
        '{"id":"p1","agent":"user","round":1,"label":"ok"}',
        '{"id":"p2","agent":"user","label":"ok","saw":"a field of another tool"}',
        '{"id":"p1","agent":"user","round":0,"label":"offensive"}',
    )
    opinions = read_opinions(path)
    assert list(opinions) == ["p1", "p2"]
    assert [one.round for one in opinions["p1"]] == [0, 1]


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ('{"agent":"user","label":"ok"}', "id", "the id of a post is needed"),
        ('{"id":"p2","label":"ok"}', "agent", "the field is missing"),
        ('{"id":"p2","agent":"user"}', "label", "neither a label nor an outcome arrived"),
        ('{"id":"p2","agent":"user","label":"ok","outcome":"refused"}', "label", "if and only if"),
        ('{"id":"p2","agent":"user","outcome":"labelled"}', "label", "if and only if"),
        ('{"id":"p2","agent":"user","outcome":"maybe"}', "outcome", "'maybe' arrived"),
        ('{"id":"p2","agent":"user","label":"normal"}', "label", "not a label of task 'offensive'"),
        ('{"id":"p2","agent":"user","label":"ok","confidence":1.5}', "confidence", "1.5 arrived"),
        ('{"id":"p2","agent":"user","label":"ok","confidense":1.5}', "confidense", "did you mean 'confidence'?"),
        ('{"id":"p2","agent":"user","label":"ok","round":-1}', "round", "-1 arrived"),
        ('{"id":"p1","agent":"user","label":"offensive"}', "agent", "line 1 has this agent's opinion"),
        ('{"id":"p9","agent":"user","label":"ok"}', "id", "'p9', which is not among the posts"),
    ],
)
def test_a_bad_opinion_is_named_by_line_and_field(tmp_path: Path, line: str, field: str, says: str) -> None:
    path = rows(tmp_path, '{"id":"p1","agent":"user","label":"ok","rationale":"mild"}', line)
    with pytest.raises(BadRecord) as caught:
        read_opinions(path, task=load_task("offensive"), known={"p1", "p2"})
    assert (caught.value.line, caught.value.field) == (2, field)
    assert says in str(caught.value)


def test_a_verdict_after_a_failure_takes_its_place_and_a_second_one_is_refused(tmp_path: Path) -> None:
    failed = Verdict(id="p1", outcome=Outcome.CALL_FAILED, task="t", judge="j:v1")
    other = Verdict(id="p2", outcome=Outcome.ABSTAINED, task="t", judge="j:v1")
    again = Verdict(id="p1", outcome=Outcome.LABELLED, label="ok", task="t", judge="j:v1")
    write_verdicts([failed, other, again], tmp_path / "v.jsonl")
    assert read_verdicts(tmp_path / "v.jsonl") == [again, other]
    write_verdicts([again, other, again], tmp_path / "v.jsonl")
    with pytest.raises(BadRecord, match="line 3, field 'id': line 1 has a verdict on 'p1' already"):
        read_verdicts(tmp_path / "v.jsonl")


def test_a_verdict_may_have_fields_of_a_later_version_but_no_label_without_its_outcome(tmp_path: Path) -> None:
    good = '{"id":"p1","outcome":"abstained","task":"t","judge":"j:v1","novelty":1}'
    assert read_verdicts(rows(tmp_path, good))[0].outcome is Outcome.ABSTAINED
    with pytest.raises(BadRecord, match="line 1, field 'label'"):
        read_verdicts(rows(tmp_path, good.replace("abstained", "labelled")))


@pytest.mark.parametrize("read", [read_opinions, read_verdicts, read_lessons])
def test_an_empty_file_is_refused(tmp_path: Path, read: object) -> None:
    with pytest.raises(BadRecord, match="the file is empty"):
        read(rows(tmp_path))  # type: ignore[operator]


def test_a_lesson_without_a_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="line 1, field 'target'"):
        read_lessons(rows(tmp_path, '{"post":"p1","membership":"positive"}'))
