"""Verdicts and a classifier's view -> lessons: who has to agree before a post teaches the student.

Paper: MA-VLM 2026, "agreement" step: unanimous posts become agreed positive or negative, the others disagreed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from folkmoot.records import CLASSIFIER, BadInput, Lesson, Membership, Outcome, Post, Record, Task, Verdict


class Source(StrEnum):
    """Whose word makes a pseudo-label."""

    CLASSIFIER = "classifier"
    PANEL = "panel"
    BOTH = "both"


class Agreement(Record):
    """How agreement becomes a lesson.

    `soft_positive` and `soft_negative` are the targets of agreed posts (the paper: .67 and .33). With `rule`
    `paper`, source `both` wants the panel's label to equal the classifier's; with `reference`, a panel that agreed
    in its first round overrides the classifier, as the released code has it. With `heard` `first`, only what the
    agents said before they heard each other counts: posts that they had to argue about are disagreed.
    """

    source: Source = Source.BOTH
    soft_positive: float = Field(default=0.67, gt=0.5, le=1)
    soft_negative: float = Field(default=0.33, ge=0, lt=0.5)
    rule: Literal["paper", "reference"] = "paper"
    heard: Literal["last", "first"] = "last"


def gold_lessons(posts: Iterable[Post], task: Task) -> list[Lesson]:
    """A lesson for each labelled post.

    Raises:
        BadInput: a post has no label, or one that the task does not know.
    """
    lessons = []
    for post in posts:
        if post.label not in task.label_names:
            raise BadInput(
                f"post '{post.id}' has the label {post.label!r}; task '{task.name}' knows {list(task.label_names)}"
            )
        is_positive = post.label == task.positive
        lessons.append(
            Lesson(
                post=post.id,
                membership=Membership.POSITIVE if is_positive else Membership.NEGATIVE,
                target=1.0 if is_positive else 0.0,
            )
        )
    return lessons


def agreed_in_first_round(verdict: Verdict) -> bool:
    """Whether every agent gave the same label in round 0; the classifier is no agent."""
    first = [opinion for opinion in verdict.opinions if opinion.round == 0 and opinion.agent != CLASSIFIER]
    return bool(first) and all(o.outcome is Outcome.LABELLED for o in first) and len({o.label for o in first}) == 1


def teach(
    post_ids: Sequence[str],
    classifier: Mapping[str, float],
    verdicts: Mapping[str, Verdict],
    task: Task,
    agreement: Agreement,
    *,
    threshold: float = 0.5,
    round: int = 0,
) -> list[Lesson]:
    """The lessons of one batch. A post whose panel failed, or gave no opinion, teaches nothing.

    Args:
        post_ids: the batch, in order.
        classifier: each post's probability of the positive label.
        verdicts: the panel's verdict on each post; not read where the source is the classifier alone.
        threshold: the classifier's own decision threshold.
    """
    lessons = []
    for post_id in post_ids:
        probability = float(classifier[post_id])
        classifier_label = task.positive if probability >= threshold else task.negative
        verdict = verdicts.get(post_id)
        if agreement.source is Source.CLASSIFIER:
            label: str | None = classifier_label
        elif verdict is None or verdict.outcome.is_failure or verdict.quorum == 0:
            continue
        elif agreement.heard == "first" and not agreed_in_first_round(verdict):
            label = None
        elif agreement.source is Source.PANEL or (agreement.rule == "reference" and agreed_in_first_round(verdict)):
            label = verdict.label
        else:
            label = verdict.label if verdict.label == classifier_label else None
        membership = (
            Membership.DISAGREED
            if label is None
            else Membership.AGREED_POSITIVE
            if label == task.positive
            else Membership.AGREED_NEGATIVE
        )
        target = {
            Membership.AGREED_POSITIVE: agreement.soft_positive,
            Membership.AGREED_NEGATIVE: agreement.soft_negative,
        }.get(membership)
        heard = verdict if agreement.source is not Source.CLASSIFIER else None
        lessons.append(
            Lesson(
                post=post_id,
                membership=membership,
                target=target,
                source=agreement.source.value,
                round=round,
                classifier_probability=round_digits(probability),
                opinions=tuple(opinion.hash for opinion in heard.opinions) if heard else (),
                calls=heard.calls if heard else (),
            )
        )
    return lessons


def round_digits(probability: float) -> float:
    """A probability with six digits, so that a lesson is the same bytes on every machine."""
    return float(f"{probability:.6f}")


def audit(lessons: Iterable[Lesson], gold: Mapping[str, str], task: Task) -> dict[str, float | int | None]:
    """How right the agreed lessons are where gold is known: `known` posts and `accuracy` (higher is better)."""
    known = right = 0
    for lesson in lessons:
        if lesson.membership in (Membership.AGREED_POSITIVE, Membership.AGREED_NEGATIVE) and lesson.post in gold:
            known += 1
            right += (gold[lesson.post] == task.positive) == (lesson.membership is Membership.AGREED_POSITIVE)
    return {"known": known, "accuracy": right / known if known else None}
