"""A committee of pupils teaches one student: soft targets for the whole pool, and the student that learns them.

After the rounds, several pupils that differ in their seed, and a lexical tower, learn the accepted lessons. What they
say together about every pool post, also those without an opinion, becomes the student's targets (source: classifier).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from folkmoot.records import Lesson, Membership, Post, Record, Task
from folkmoot.runs.atomic import atomic_file
from folkmoot.supervision import Source
from folkmoot.supervision.agreement import round_digits
from folkmoot.training.language_member import LanguageMemberSettings, language_logits
from folkmoot.training.learner import Learner, Pupil, Step
from folkmoot.training.lexical import LexicalTable
from folkmoot.training.losses import ClassWeighting, PnuSettings
from folkmoot.training.scores import sigmoid
from folkmoot.training.self_training import seed_of
from folkmoot.training.tuned import TunedSettings


class EncoderMember(Record):
    """A pupil of another encoder in the committee, tuned by its own settings; `share` is its word's weight."""

    base: str = "embedded"
    share: float = Field(default=1.0, gt=0)
    tuned: TunedSettings = TunedSettings()


class DistillationSettings(Record):
    """`members` pupils (the best round's is one) make up the committee, with one of each other encoder in `encoders`, a
    lexical tower where `lexical_share` > 0 and a language model where `language` is given.

    The committee's score is the mean of the members' logits, plus the others', the tower's and the language model's
    logits, each over its own spread and times its share, and the sum once more over its spread; a target is
    sigmoid(`sharpness` * score). Chosen on dev; see docs/log.md.
    """

    members: int = Field(default=3, ge=1)
    encoders: tuple[EncoderMember, ...] = ()
    lexical_share: float = Field(default=0.5, ge=0)
    language: LanguageMemberSettings | None = None
    sharpness: float = Field(default=1.4, gt=0)


@dataclass(frozen=True)
class Committee:
    """What the committee says about every pool post: `scores` [N], in units of their spread; 0 is undecided."""

    scores: NDArray[np.float64]

    def targets(self, sharpness: float) -> NDArray[np.float64]:
        """Each post's probability of the positive label, [N]."""
        return sigmoid(sharpness * self.scores)


def ask_committee(
    *,
    lessons: Sequence[Lesson],
    pool: Sequence[Post],
    learner: Learner,
    others: Sequence[Learner] = (),
    lexical: LexicalTable | None,
    lexical_rows: Mapping[str, int],
    loss: PnuSettings,
    settings: DistillationSettings,
    first: Callable[[], NDArray[np.float32]],
    texts: Mapping[str, str],
    task: Task,
    folder: Path,
    seed: int,
    on_step: Step | None = None,
    on_member: Callable[[int, int], None] | None = None,
) -> Committee:
    """The committee's scores on the pool. Each member's logits are kept in `folder`, so a killed run goes on.

    Args:
        others: the learners of `settings.encoders`, in their order.
        first: says what the best round's pupil, the first member, makes of the pool: its logits, [N].
        texts: the text of every post, by id; what a language model reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = [post.id for post in pool]
    everyone = settings.members + len(others)

    def asked(name: str, order: int, answer: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        path = folder / f"{name}.npy"
        if not path.exists():
            with atomic_file(path) as stream:
                np.save(stream, answer())
        if on_member:
            on_member(order, everyone)
        return np.asarray(np.load(path), dtype=np.float32)

    def taught(pupils: Learner, *name: object) -> NDArray[np.float32]:
        return pupils.fit(lessons, loss=loss, seed=seed_of(seed, *name), on_step=on_step).logits(ids)

    logits = [asked("member_00", 1, first)]
    for member in range(1, settings.members):
        logits.append(asked(f"member_{member:02}", member + 1, partial(taught, learner, "member", member)))
    scores = over_spread(np.mean(logits, axis=0, dtype=np.float64))
    for number, (other, its) in enumerate(zip(others, settings.encoders, strict=True)):
        order = settings.members + number + 1
        said = asked(f"encoder_{number:02}", order, partial(taught, other, "encoder", number))
        scores = scores + its.share * over_spread(said)
    if lexical is not None and settings.lexical_share > 0:
        tower = fit_lexical(lexical, lexical_rows, lessons)
        spoken = lexical.logits(tower)[[lexical_rows[post] for post in ids]].astype(np.float64)
        scores = scores + settings.lexical_share * over_spread(spoken)
    if settings.language is not None:
        path = folder / "language.npy"
        if not path.exists():
            said = language_logits(
                pool, lessons, texts, task, settings.language, loss, seed=seed_of(seed, "language"), on_step=on_step
            )
            with atomic_file(path) as stream:
                np.save(stream, said)
        scores = scores + settings.language.share * over_spread(np.load(path))
    return Committee(over_spread(scores))


def over_spread(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores [N] in units of their standard deviation."""
    return np.asarray(scores / max(float(scores.std()), 1e-9), dtype=np.float64)


def distilled_lessons(
    committee: Committee, pool: Sequence[Post], gold: Sequence[Lesson], settings: DistillationSettings, *, round: int
) -> list[Lesson]:
    """The gold lessons, and one for every pool post with the committee's target."""
    return soft_lessons(committee.targets(settings.sharpness).tolist(), pool, gold, round=round)


def soft_lessons(targets: Sequence[float], pool: Sequence[Post], gold: Sequence[Lesson], *, round: int) -> list[Lesson]:
    """The gold lessons, and one for every pool post with its target: a classifier's probability of the positive label."""
    lessons = list(gold)
    for post, target in zip(pool, targets, strict=True):
        target = round_digits(target)
        lessons.append(
            Lesson(
                post=post.id,
                membership=Membership.AGREED_POSITIVE if target >= 0.5 else Membership.AGREED_NEGATIVE,
                target=target,
                source=Source.CLASSIFIER.value,
                round=round,
                classifier_probability=target,
            )
        )
    return lessons


def fit_lexical(table: LexicalTable, rows: Mapping[str, int], lessons: Sequence[Lesson]) -> Any:
    """A lexical tower of the lessons that have a target; which side of 1/2 it lies on is what the tower learns."""
    taught = [lesson for lesson in lessons if lesson.target is not None]
    sides = np.array([float((lesson.target or 0.0) >= 0.5) for lesson in taught])
    return table.fit([rows[lesson.post] for lesson in taught], sides)


def fit_student(learner: Learner, lessons: Sequence[Lesson], *, seed: int, on_step: Step | None = None) -> Pupil:
    """The student of distilled lessons: cross-entropy against their targets, no unlabelled part."""
    return learner.fit(lessons, loss=CROSS_ENTROPY, seed=seed_of(seed, "student"), on_step=on_step)


CROSS_ENTROPY = PnuSettings(gamma=0.0, weighting=ClassWeighting.POOLED)
