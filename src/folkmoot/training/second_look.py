"""A student's second look: its shallow student decides what it is sure of, and every tower reads only the rest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import Post
from folkmoot.runs.atomic import atomic_folder, write_atomically
from folkmoot.students import TextStudent
from folkmoot.students.card import SHALLOW_FOLDER, FirstLook, SecondLook
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.runtimes import ONNX_FILES
from folkmoot.students.text import normalise_text
from folkmoot.students.text_student import READERS
from folkmoot.training.calibration import choose_abstention, choose_first_look
from folkmoot.training.scores import macro_f1
from folkmoot.training.student import model_card


def choose_second_look(said: NDArray[np.floating], *, deep_posts: int) -> SecondLook | None:
    """How sure the shallow student must be for its word to stand, so that the `deep_posts` most doubtful posts go on.

    Args:
        said: its P(positive) of the posts on which n-grams are not sure, [B].

    Returns:
        None where every one of them would go on.
    """
    sureness = np.sort(np.maximum(said, 1 - said))
    return SecondLook(sure_from=float(sureness[deep_posts])) if deep_posts < len(sureness) else None


def take_second_look(
    folder: Path,
    shallow: Path,
    *,
    dev: Sequence[Post],
    deep_share: float,
    first_look: float | None = None,
    abstain_accuracy: float | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> TextStudent:
    """The student of `folder`, whose encoder from now on reads only what the shallow student leaves in doubt.

    How sure the shallow student must be is chosen on dev's posts, not their labels: on the pool, which taught it, it is surer
    than on others. How sure the n-grams must be, which the two share, is chosen again, now that others decide what they
    leave.

    Args:
        shallow: the shallow student's folder, which is copied into the student's.
        deep_share: the share of dev posts that every tower reads.
        first_look, abstain_accuracy: as for `write_student`.
        lineage: where the shallow student's lessons are.
    """
    student, reader = TextStudent.load(folder), TextStudent.load(shallow)
    card, deep_posts = student.card, round(deep_share * len(dev))
    gold = np.array([post.label == card.task.positive for post in dev])
    quick, whole = reader.by_every_tower(dev), student.by_every_tower(dev)
    first, second = card.first_look, choose_second_look(quick, deep_posts=deep_posts)
    if first is not None and second is not None:
        alone = by_n_grams(folder, first, dev)
        if first_look is not None:
            rest = np.where(second.is_sure(quick), quick, whole)
            sure_from = choose_first_look(alone, rest, gold, agreement=first_look)
            first = None if sure_from is None else first.model_copy(update={"sure_from": sure_from})
        left = quick if first is None else quick[~first.is_sure(alone)]
        second = choose_second_look(left, deep_posts=deep_posts)
    if second is None:
        return student
    with atomic_folder(folder / SHALLOW_FOLDER) as draft:
        for path in files_that_serve(shallow):
            shutil.copyfile(path, draft / path.name)
    looking = card.model_copy(update={"first_look": first, "second_look": second})
    looking.save(folder)
    student = TextStudent.load(folder)
    found, by = student.read(dev)
    margin = choose_abstention(found, gold, accuracy=abstain_accuracy) if abstain_accuracy else 0.0
    shares = {name: round(float((by == place).mean()), 4) for place, name in enumerate(READERS)}
    student.card = looking.model_copy(
        update={
            "calibration": card.calibration.model_copy(update={"abstain_within": margin}),
            "dev": {
                **card.dev,
                "macro_f1": macro_f1(gold, found >= 0.5),
                "accuracy": float(((found >= 0.5) == gold).mean()),
                "first_look_share": shares["n-grams"] if first is not None else None,
                "deep_share": shares["every tower"],
                "thorough_macro_f1": macro_f1(gold, whole >= 0.5),
            },
            "lineage": {**card.lineage, "second_look": dict(lineage or {})},
        }
    )
    student.card.save(folder)
    write_atomically(folder / "README.md", model_card(student.card))
    return student


def by_n_grams(folder: Path, look: FirstLook, posts: Sequence[Post]) -> NDArray[np.float64]:
    """P(positive) of posts by the n-gram tower of a student's folder alone, [B]."""
    texts = [normalise_text(post.text) for post in posts]
    return look.calibration.of_towers(None, LexicalTower.load(folder).logits(texts))


def files_that_serve(folder: Path) -> list[Path]:
    """A student's files without its README, and of its exports only the fastest."""
    exports = [folder / name for name in ONNX_FILES if (folder / name).exists()]
    return [path for path in sorted(folder.iterdir()) if path.name != "README.md" and path not in exports[1:]]
