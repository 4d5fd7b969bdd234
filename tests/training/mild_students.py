"""Small students of mild posts, by both towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mild_posts import TASK

from folkmoot.records import Post
from folkmoot.students.text import normalise_text
from folkmoot.supervision import gold_lessons
from folkmoot.training.distillation import fit_lexical, fit_student
from folkmoot.training.frozen import FrozenSettings
from folkmoot.training.learner import FrozenLearner
from folkmoot.training.lexical import LexicalTable


def both_towers(taught: Sequence[Post], dev: Sequence[Post], *, steps: int = 60) -> dict[str, Any]:
    """What `write_student` takes of a student with a frozen encoder and an n-gram tower, taught by gold labels.

    Args:
        steps: of the encoder's head.
    """
    table, lessons = [*taught, *dev], gold_lessons(taught, TASK)
    learner = FrozenLearner(table, settings=FrozenSettings(steps=steps))
    rows = {post.id: row for row, post in enumerate(table)}
    tower = fit_lexical(LexicalTable([normalise_text(post.text) for post in table]), rows, lessons)
    return {
        "task": TASK, "learner": learner, "pupil": fit_student(learner, lessons, seed=0), "lexical": tower, "dev": dev,
        "lessons": lessons,
    }  # fmt: skip
