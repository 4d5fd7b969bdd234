"""The seeing student: it learns from what the picture shows, and says what it judged without."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mild_posts import TASK, TASK_TOML

from folkmoot.formats import write_posts
from folkmoot.records import BadInput, Judge, Media, Outcome, Post
from folkmoot.students import open_student
from folkmoot.students.seeing import SeeingStudent
from folkmoot.students.views import ABSENT, Gauge, Seen, ViewHead, ViewReader
from folkmoot.supervision import gold_lessons
from folkmoot.training.distillation import CROSS_ENTROPY
from folkmoot.training.seeing import SeeingLearner
from folkmoot.training.student import write_student

COLOURS = {"tea": (210, 120, 40), "rain": (60, 90, 200)}


def draw(path: Path, label: str, seed: int, words: str = "") -> Path:
    """A picture whose colour tells the label, with some noise, and words in it."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[label]) + rng.integers(-25, 25, size=(160, 240, 1))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if words:
        ImageDraw.Draw(image).text((12, 60), words, fill="white", font=ImageFont.load_default(size=34))
    image.save(path)
    return path


def posts_of(folder: Path, count: int, *, seed: int, prefix: str) -> list[Post]:
    """Posts whose text says nothing of their label, and whose picture says all."""
    return [
        Post(
            id=f"{prefix}{n}", text="look at this", label=label,
            media=(Media(path=str(draw(folder / f"{prefix}{n}.png", label, seed * 1000 + n))),),
        )
        for n in range(count)
        for label in (("tea", "rain")[n % 2],)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Post]]:
    folder = tmp_path_factory.mktemp("pictures")
    return {
        name: posts_of(folder, count, seed=seed, prefix=name)
        for seed, (name, count) in enumerate({"t": 16, "d": 16, "n": 12}.items())
    }


@pytest.fixture(scope="module")
def folder(sets: dict[str, list[Post]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student")
    learner = SeeingLearner(
        [*sets["t"], *sets["d"]], reader=ViewReader.open(("text", "image")), taught=sets["t"], cache=path
    )
    lessons = gold_lessons(sets["t"], TASK)
    pupil = learner.fit(lessons, loss=CROSS_ENTROPY, seed=0)
    write_student(
        path / "student", name="drinks", task=TASK, learner=learner, pupil=pupil, lexical=None, dev=sets["d"],
        lessons=lessons,
    )  # fmt: skip
    return path / "student"


def test_it_is_a_judge_that_learned_from_the_pictures(folder: Path, sets: dict[str, list[Post]]) -> None:
    student = open_student(folder)
    assert isinstance(student, SeeingStudent)
    assert isinstance(student, Judge)

    async def together() -> Any:
        return await asyncio.gather(*(student.judge(post.blind()) for post in sets["n"]))

    verdicts = asyncio.run(together())
    assert [v.label for v in verdicts] == [post.label for post in sets["n"]]
    assert all(v.notes == () for v in verdicts)
    assert student.card.views == ("text", "image")
    assert "efficientnet-lite0" in student.card.base


def test_with_the_text_alone_there_is_nothing_to_learn(sets: dict[str, list[Post]]) -> None:
    learner = SeeingLearner([*sets["t"], *sets["d"]], reader=ViewReader.open(("text",)), taught=sets["t"])
    pupil = learner.fit(gold_lessons(sets["t"], TASK), loss=CROSS_ENTROPY, seed=0)
    assert np.ptp(pupil.logits([post.id for post in sets["d"]])) < 1e-4


def test_a_picture_that_is_gone_is_a_note_and_a_post_with_nothing_an_outcome(folder: Path, tmp_path: Path) -> None:
    student = open_student(folder)
    assert isinstance(student, SeeingStudent)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    gone, torn, nothing = student.verdicts(
        [
            Post(id="gone", text="look at this", media=(Media(path=str(tmp_path / "no.png")),)),
            Post(id="torn", text="look at this", media=(Media(path=str(broken)),)),
            Post(id="nothing"),
        ]
    )
    assert gone.outcome is Outcome.LABELLED
    assert "its picture was not seen" in gone.notes[0]
    assert "cannot be decoded" in torn.notes[0]
    assert nothing.outcome is Outcome.MEDIA_MISSING
    assert str(ABSENT["text"]) in str(nothing.problem)
    assert nothing.label is None


def test_a_saved_pupil_says_the_same(sets: dict[str, list[Post]], tmp_path: Path) -> None:
    learner = SeeingLearner([*sets["t"], *sets["d"]], reader=ViewReader.open(("image",)), taught=sets["t"])
    pupil = learner.fit(gold_lessons(sets["t"], TASK), loss=CROSS_ENTROPY, seed=3)
    pupil.save(tmp_path)
    ids = [post.id for post in sets["d"]]
    assert np.array_equal(learner.load(tmp_path).logits(ids), pupil.logits(ids))
    (tmp_path / "views.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match=r"views\.npz"):
        ViewHead.load(tmp_path)


def test_words_in_a_picture_are_a_view(tmp_path: Path) -> None:
    reader = ViewReader.open(("ocr", "observations"), cache=tmp_path / "cache")
    posts = [
        Post(id="a", media=(Media(path=str(draw(tmp_path / "a.png", "tea", 1, "KETTLE"))),)),
        Post(id="b", media=(Media(path=str(draw(tmp_path / "b.png", "tea", 2))),)),
        Post(id="c", text="no media"),
    ]
    seen = reader.read(posts)
    assert seen.present[:, 0].tolist() == [True, False, False]
    assert seen.present[:, 1].tolist() == [True, True, False]  # 'No frontal face.' is something to know
    assert reader.text is not None
    expected = reader.text.encode(["KETTLE"])[0]
    assert np.allclose(seen.vectors[0, reader.slices["ocr"]], expected)
    assert not seen.vectors[2].any()


def test_the_gauge_leaves_absent_views_out() -> None:
    vectors = np.array([[1, 0, 5, 5], [0, 1, 0, 0], [1, 1, 9, 7]], dtype=np.float32)
    present = np.array([[True, True], [True, False], [True, True]])
    slices = [slice(0, 2), slice(2, 4)]
    seen = Seen(vectors, present, ())
    gauge = Gauge.of(seen, slices)
    assert gauge.centre.tolist() == pytest.approx([2 / 3, 2 / 3, 7, 6])
    applied = gauge.apply(seen, slices)
    assert applied[1, 2:].tolist() == [0, 0]
    for column, part in enumerate(slices):
        lengths = np.linalg.norm(applied[present[:, column], part], axis=1)
        assert lengths.mean() == pytest.approx(1, abs=1e-5)


def test_views_are_named_once_each(tell: Any, sets: dict[str, list[Post]], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most once"):
        ViewReader.open(("text", "text"))
    for name in ("t", "d", "n"):
        write_posts(sets[name], tmp_path / f"{name}.jsonl")
    (tmp_path / "task.toml").write_text(TASK_TOML)
    given = ["selftrain", "--task", tmp_path / "task.toml", "--labelled", tmp_path / "t.jsonl", "--dev",
             tmp_path / "d.jsonl", "--pool", tmp_path / "n.jsonl", "--out", tmp_path / "run", "--source", "classifier",
             "--committee", "0", "--json"]  # fmt: skip
    code, _, error = tell(*given, "--views", "text,picture")
    assert code == 2
    assert "view 'picture' is not known" in error
    code, _, error = tell(*given, "--views", "text,image", "--tune-encoder")
    assert code == 2
    assert "frozen encoders" in error
    code, out, error = tell(*given, "--views", "image,ocr", "--no-lexical")
    assert code == 0, error
    assert '"macro_f1":1.0' in out
