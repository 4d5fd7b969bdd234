"""The text student: a Judge from a folder, whatever runs it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mild_posts import TASK, make_posts
from mild_students import both_towers

from folkmoot.records import BadInput, Judge, Outcome, Post, Verdict
from folkmoot.students import Calibration, StudentCard, TextStudent
from folkmoot.students.card import FirstLook
from folkmoot.students.lexical import (
    LexicalTower,
    counted_together,
    hashed_counts,
    inverse_frequencies,
    lexical_features,
    ngrams,
)
from folkmoot.students.text import normalise_text
from folkmoot.supervision import gold_lessons
from folkmoot.training.distillation import fit_lexical, fit_student
from folkmoot.training.learner import TunedLearner
from folkmoot.training.lexical import LexicalTable
from folkmoot.training.student import write_student

TAUGHT = make_posts(60, seed=1, prefix="t")
DEV = make_posts(40, seed=2, prefix="d")
NEW = make_posts(30, seed=3, prefix="n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of both towers, exported."""
    path = tmp_path_factory.mktemp("student")
    write_student(path, name="drinks", **both_towers(TAUGHT, DEV))
    return path


async def judge_together(student: TextStudent, posts: Sequence[Post]) -> list[Verdict]:
    return await asyncio.gather(*(student.judge(post) for post in posts))


def test_it_is_a_judge_that_learned_its_task(folder: Path) -> None:
    student = TextStudent.load(folder)
    assert isinstance(student, Judge)
    assert student.name == "drinks:v1"
    verdicts = asyncio.run(judge_together(student, NEW))
    assert [v.id for v in verdicts] == [post.id for post in NEW]
    assert np.mean([v.label == post.label for v, post in zip(verdicts, NEW, strict=True)]) > 0.9


def test_a_post_gets_the_same_bytes_alone_and_among_others(folder: Path) -> None:
    student = TextStudent.load(folder)
    together = student.verdicts(NEW)
    alone = [student.verdicts([post])[0] for post in reversed(NEW)][::-1]
    assert [v.to_line() for v in together] == [v.to_line() for v in alone]
    assert [v.to_line() for v in asyncio.run(judge_together(student, NEW))] == [v.to_line() for v in together]


def test_onnx_and_torch_agree(folder: Path) -> None:
    plain = TextStudent.load(folder, runtime="model.onnx").probabilities(NEW)
    torch = TextStudent.load(folder, runtime="torch").probabilities(NEW)
    assert np.abs(plain - torch).max() < 1e-4


def test_it_runs_where_torch_cannot_be_imported(folder: Path) -> None:
    program = f"""
import sys, json
class NoTorch:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "transformers", "sklearn", "scipy"):
            raise ImportError(name)
sys.meta_path.insert(0, NoTorch())
from folkmoot.records import Post
from folkmoot.students import TextStudent
student = TextStudent.load({str(folder)!r})
print(json.dumps([student.runtime, student.verdicts([Post(id="a", text="a warm cup of tea")])[0].label]))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    runtime, label = json.loads(printed)
    assert runtime.startswith("onnxruntime:")
    assert label == "tea"


def test_within_its_margin_it_abstains_and_keeps_the_probabilities(folder: Path) -> None:
    student = TextStudent.load(folder)
    doubtful = {"scale": 0.0, "lexical_scale": 0.0, "shift": 0.2, "abstain_within": 0.1}  # P(positive) = 0.55
    calibration = student.card.calibration.model_copy(update=doubtful)
    student.card = student.card.model_copy(update={"calibration": calibration})
    verdict = student.verdicts([NEW[0]])[0]
    assert verdict.outcome is Outcome.ABSTAINED
    assert verdict.label is None
    assert verdict.probabilities == {"tea": 0.5498, "rain": 0.4502}


@pytest.fixture(scope="module")
def looking(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same student, whose encoder is spared where its n-gram tower is sure."""
    path = tmp_path_factory.mktemp("looking")
    shutil.copytree(folder, path, dirs_exist_ok=True)
    card = StudentCard.load(folder)
    look = FirstLook(calibration=Calibration(scale=0.0, lexical_scale=1.0), sure_from=0.65)
    card.model_copy(update={"first_look": look}).save(path)
    return path


def test_the_encoder_reads_only_what_the_n_grams_are_not_sure_of(
    looking: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, whole = TextStudent.load(looking), TextStudent.load(folder)
    tower = LexicalTower.load(looking)
    alone = 1 / (1 + np.exp(-tower.logits([normalise_text(post.text) for post in NEW])))
    sure = np.maximum(alone, 1 - alone) >= 0.65
    assert 0 < sure.sum() < len(NEW), "some of each, or this test tells nothing"
    read: list[int] = []
    runtime: Any = student._runtime
    monkeypatch.setattr(student, "_runtime", counting(runtime, read))
    found = student.probabilities(NEW)
    assert read == [int((~sure).sum())]
    np.testing.assert_allclose(found[sure], alone[sure], atol=1e-6)
    np.testing.assert_array_equal(found[~sure], whole.probabilities(NEW)[~sure])


def test_a_first_look_gives_the_same_bytes_alone_and_among_others(looking: Path) -> None:
    student = TextStudent.load(looking)
    together = [verdict.to_line() for verdict in student.verdicts(NEW)]
    assert [student.verdicts([post])[0].to_line() for post in NEW] == together


def test_a_student_chooses_its_first_look_on_dev(tmp_path: Path) -> None:
    student = write_student(tmp_path, name="drinks", **both_towers(TAUGHT, DEV), first_look=0.9, export=False)
    look = student.card.first_look
    assert look is not None
    assert student.card.dev["first_look_share"] > 0.5
    assert "decides those where it is sure" in (tmp_path / "README.md").read_text()
    labels = [verdict.label for verdict in student.verdicts(DEV)]
    both = student.card.model_copy(update={"first_look": None})
    student.card = both
    assert np.mean([one == v.label for one, v in zip(labels, student.verdicts(DEV), strict=True)]) >= 0.9


def counting(runtime: Any, read: list[int]) -> Any:
    """A runtime that also notes how many posts it was asked about."""

    class Counting:
        name = runtime.name

        def logits(self, ids: list[list[int]]) -> Any:
            read.append(len(ids))
            return runtime.logits(ids)

    return Counting()


def test_a_post_without_text_is_an_outcome_not_a_label(folder: Path) -> None:
    verdict = TextStudent.load(folder).verdicts([Post(id="e", text="  ")])[0]
    assert verdict.outcome is Outcome.MEDIA_MISSING
    assert verdict.label is None


def test_a_damaged_card_is_named_by_file_and_field(folder: Path, tmp_path: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["max_tokens"] = "many"
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadInput, match=r"card\.json, field 'max_tokens'"):
        TextStudent.load(tmp_path)


def test_a_folder_without_a_card_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="folkmoot selftrain"):
        StudentCard.load(tmp_path)


def test_a_damaged_lexical_tower_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lexical.npz").write_bytes((folder / "lexical.npz").read_bytes()[:100])
    with pytest.raises(BadInput, match=r"lexical\.npz cannot be read"):
        LexicalTower.load(tmp_path)


def test_the_lexical_tower_alone_needs_no_runtime(folder: Path, tmp_path: Path) -> None:
    table = LexicalTable([normalise_text(post.text) for post in [*TAUGHT, *DEV]])
    rows = {post.id: row for row, post in enumerate([*TAUGHT, *DEV])}
    lessons = gold_lessons(TAUGHT, TASK)
    tower = fit_lexical(table, rows, lessons)
    student = write_student(
        tmp_path, name="fast", task=TASK, learner=None, pupil=None, lexical=tower, dev=DEV, lessons=lessons
    )
    assert student.runtime == "numpy"
    assert not (tmp_path / "model.safetensors").exists()
    assert np.mean([v.label == post.label for v, post in zip(student.verdicts(NEW), NEW, strict=True)]) > 0.9


@pytest.mark.slow
def test_a_tuned_student_learns_and_repeats_itself(tmp_path: Path) -> None:
    lessons = gold_lessons(TAUGHT[:32], TASK)
    posts = [*TAUGHT, *DEV]
    logits: list[Any] = []
    for _ in range(2):
        pupil = fit_student(TunedLearner(posts), lessons, seed=5)
        logits.append(pupil.logits([post.id for post in DEV]))
    assert np.array_equal(logits[0], logits[1])
    gold = np.array([post.label == "tea" for post in DEV])
    assert ((logits[0] > 0) == gold).mean() > 0.8


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=80))
def test_any_text_has_finite_features_of_length_one_a_kind(text: str) -> None:
    normal = normalise_text(text)
    idf = inverse_frequencies([normal, normal])
    buckets, values = lexical_features(normal, idf)
    assert len(buckets) == len(values)
    assert np.isfinite(values).all()
    words, runs = ngrams(normal)
    assert float((values**2).sum()) == pytest.approx(bool(words) + bool(runs), abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=40), max_size=5))
def test_many_texts_are_counted_as_one_by_one(texts: list[str]) -> None:
    expected = {
        (position, kind, int(bucket)): count
        for position, text in enumerate(texts)
        for kind, (buckets, counts) in enumerate(hashed_counts(text))
        for bucket, count in zip(buckets, counts, strict=True)
    }
    owner, kind, bucket, count = counted_together(texts)
    keys = zip(owner.tolist(), kind.tolist(), bucket.tolist(), strict=True)
    found = dict(zip(keys, (1 + np.log(count)).tolist(), strict=True))
    assert found == pytest.approx(expected)


def test_a_tower_reads_a_text_alone_as_among_others() -> None:
    texts = [post.text for post in TAUGHT] * 10 + ["", "naïve café ☕ 𝕏", "\ud800 lone"]
    table = LexicalTable([post.text for post in TAUGHT])
    tower = table.fit(list(range(60)), np.array([float(post.label == "tea") for post in TAUGHT]))
    together = tower.logits(texts)
    assert np.array_equal(together, np.array([tower.logits([text])[0] for text in texts]))
    slow = [float(np.dot(tower.weights[b], v)) + tower.bias for b, v in (lexical_features(t, tower.idf) for t in texts)]
    assert together == pytest.approx(slow, abs=1e-5)
    assert len(tower.logits([])) == 0


def test_a_saved_tower_says_the_same(tmp_path: Path) -> None:
    table = LexicalTable([post.text for post in TAUGHT])
    tower = table.fit(list(range(60)), np.array([float(post.label == "tea") for post in TAUGHT]))
    tower.save(tmp_path)
    texts = [post.text for post in NEW]
    assert np.allclose(LexicalTower.load(tmp_path).logits(texts), tower.logits(texts), atol=1e-6)
    assert np.allclose(table.logits(tower)[:5], tower.logits([post.text for post in TAUGHT[:5]]), atol=1e-5)


def test_a_damaged_export_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "student")
    for name in ("model.int8.onnx", "model.onnx"):
        file = tmp_path / "student" / name
        if file.exists():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BadInput, match=r"model\.(int8\.)?onnx cannot be read"):
        TextStudent.load(tmp_path / "student")
