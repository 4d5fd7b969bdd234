"""A student's second look: who decides what, and how that is chosen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mild_posts import make_posts
from mild_students import both_towers

from folkmoot.formats import write_posts
from folkmoot.students import Calibration, StudentCard, TextStudent
from folkmoot.students.card import FirstLook, SecondLook
from folkmoot.students.text_student import READERS
from folkmoot.training.second_look import by_n_grams, choose_second_look, take_second_look
from folkmoot.training.student import write_student

TAUGHT = make_posts(60, seed=1, prefix="t")
DEV = make_posts(40, seed=2, prefix="d")
NEW = make_posts(30, seed=3, prefix="n")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two students that share an n-gram tower, of which `shallow` was taught by fewer steps."""
    path = tmp_path_factory.mktemp("pair")
    for kind, steps in (("student", 60), ("shallow", 3)):
        write_student(path / kind, name=kind, **both_towers(TAUGHT, DEV, steps=steps))
    card = StudentCard.load(path / "student")
    look = FirstLook(calibration=Calibration(scale=0.0, lexical_scale=1.0), sure_from=0.5)
    alone = by_n_grams(path / "student", look, DEV)
    look = look.model_copy(update={"sure_from": float(np.median(np.maximum(alone, 1 - alone)))})
    card.model_copy(update={"first_look": look, "dev": {**card.dev, "first_look_share": 0.5}}).save(path / "student")
    return path


@pytest.fixture
def copied(pair: Path, tmp_path: Path) -> Callable[[], Path]:
    def copy() -> Path:
        shutil.copytree(pair, tmp_path / "pair")
        return tmp_path / "pair"

    return copy


def test_the_most_doubtful_posts_go_on() -> None:
    said = np.array([0.9, 0.45, 0.2, 0.6, 0.01])  # as sure as .9, .55, .8, .6, .99
    look = choose_second_look(said, deep_posts=2)
    assert look == SecondLook(sure_from=0.8)
    assert look.is_sure(said).tolist() == [True, False, True, False, True]
    assert choose_second_look(said, deep_posts=0) == SecondLook(sure_from=0.55)
    assert choose_second_look(said, deep_posts=5) is None


def test_each_reader_decides_what_it_is_sure_of(copied: Callable[[], Path]) -> None:
    folder = copied()
    whole = TextStudent.load(folder / "student", thorough=True)
    student = take_second_look(folder / "student", folder / "shallow", dev=DEV, deep_share=0.2)
    assert student.card.first_look is not None
    found, by = student.read(DEV)
    counts = {name: int((by == place).sum()) for place, name in enumerate(READERS)}
    assert counts["every tower"] <= 8, "a fifth of 40, or fewer where some are equally sure"
    assert min(counts.values()) > 0, "some of each, or this test tells nothing"
    for name, said in (
        ("n-grams", by_n_grams(folder / "student", student.card.first_look, DEV)),
        ("shallow student", TextStudent.load(folder / "shallow").by_every_tower(DEV)),
        ("every tower", whole.probabilities(DEV)),
    ):
        rows = by == READERS.index(name)
        np.testing.assert_allclose(found[rows], said[rows], atol=1e-7, err_msg=name)
    assert np.array_equal(
        TextStudent.load(folder / "student", thorough=True).probabilities(NEW), whole.probabilities(NEW)
    )
    together = [verdict.to_line() for verdict in student.verdicts(NEW)]
    assert [student.verdicts([post])[0].to_line() for post in NEW] == together


def test_its_card_tells_what_the_looks_spare_and_cost(copied: Callable[[], Path]) -> None:
    folder = copied()
    before = StudentCard.load(folder / "student")
    origin = {"lessons": "hash", "distilled_file": "shallow_distilled.jsonl"}
    student = take_second_look(
        folder / "student", folder / "shallow", dev=DEV, deep_share=0.2, first_look=0.9, abstain_accuracy=0.9,
        lineage=origin,
    )  # fmt: skip
    card = StudentCard.load(folder / "student")
    assert card == student.card
    assert card.lineage["second_look"] == origin
    assert 0 < card.dev["deep_share"] <= 0.2
    assert card.dev["thorough_macro_f1"] == pytest.approx(before.dev["macro_f1"])
    kept = {path.name for path in (folder / "student" / "shallow").iterdir()}
    assert kept == {
        "card.json",
        "encoder.json",
        "lexical.npz",
        "model.int8.onnx",
        "model.safetensors",
        "tokenizer.json",
    }
    assert "the whole encoder reads the rest, " in (folder / "student" / "README.md").read_text().replace("\n", " ")
    assert card.first_look != before.first_look, "chosen again, for what now decides the rest"


def test_where_all_posts_would_go_on_nothing_changes(copied: Callable[[], Path]) -> None:
    folder = copied()
    before = (folder / "student" / "card.json").read_bytes()
    student = take_second_look(folder / "student", folder / "shallow", dev=DEV, deep_share=0.99)
    assert student.card.second_look is None
    assert (folder / "student" / "card.json").read_bytes() == before
    assert not (folder / "student" / "shallow").exists()


def test_export_writes_the_student_and_the_shallow_one_within(copied: Callable[[], Path], tell: Any) -> None:
    folder = copied() / "student"
    take_second_look(folder, folder.parent / "shallow", dev=DEV, deep_share=0.2)
    exports = [folder / "model.int8.onnx", folder / "shallow" / "model.int8.onnx"]
    for path in exports:
        path.unlink()
    write_posts(DEV, folder.parent / "dev.jsonl")
    code, out, err = tell("export", "student", folder, "--dev", folder.parent / "dev.jsonl", "--json")
    assert code == 0, err
    told = json.loads(out)
    for path, written in zip(exports, (told, told["shallow"]), strict=True):
        assert written["int8_kept"] == path.exists()
    assert exports[1].exists()
    assert (folder / "shallow" / "model.onnx").exists()
