"""Verdicts laid beside gold labels, as arrays: what every metric of the room reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, Outcome, Post, Task, Verdict

NO_LABEL = -1
SUM_TOLERANCE = 0.05
"""Chosen: what ten probabilities rounded to two decimals can be off by. Within it they are rescaled to sum to 1."""

ClusterKey = Callable[[Post], Hashable]


@dataclass(frozen=True)
class Pairing:
    """Gold posts (B) beside a judge's verdicts, in the gold's order; C labels.

    `gold` (B) and `predicted` (B) index `labels`; `predicted` is -1 where there is no label. `probabilities` (B, C)
    is NaN in the rows of posts without a distribution. `top` (B) is the label that `confidence` (B) belongs to:
    the verdict's own, or the most probable one of an abstention; -1 and NaN where there is none. `cluster` (B)
    numbers the groups of posts that are not independent of each other.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    positive: str | None
    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    top: NDArray[np.int64]
    confidence: NDArray[np.float64]
    cluster: NDArray[np.int64] | None
    outcomes: dict[Outcome, int]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    without_gold: int
    repeated: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each post (B) got its gold label; a post without a label did not."""
        return np.asarray(self.predicted == self.gold)


def pair(
    verdicts: Sequence[Verdict],
    gold: Sequence[Post],
    task: Task | None = None,
    *,
    cluster: ClusterKey | None = None,
    labels: Sequence[str] | None = None,
) -> Pairing:
    """Verdicts laid beside the gold labels of the same posts.

    A post without a gold label is left out and counted in `without_gold`; a verdict for such a post, or for an
    unknown one, goes to `extra`. Of several verdicts for one post the last one stands, as in the verdict log.

    Args:
        cluster: the group that a post belongs to, where posts of one group are not independent.
        labels: the labels, where no task names them; those that occur by default.

    Raises:
        BadInput: no post has a gold label, an id stands twice in the gold, a label is not one of the task's, or
            probabilities are not a distribution.
    """
    known = [post for post in gold if post.label is not None]
    if not known:
        raise BadInput(
            f"evaluating needs gold labels; none of the {len(gold)} posts given as gold has one. "
            "Give posts with a 'label'."
        )
    ids = tuple(post.id for post in known)
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise BadInput(f"evaluating: gold post '{twice}' is given twice; ids must differ. Remove one of the two.")
    by_id = {verdict.id: verdict for verdict in verdicts}
    if task is not None:
        labels = task.label_names
    elif labels is None:
        labels = _labels_that_occur(known, [by_id[id_] for id_ in ids if id_ in by_id])
    column = {label: index for index, label in enumerate(labels)}
    B, C = len(known), len(labels)
    predicted, top = np.full(B, NO_LABEL), np.full(B, NO_LABEL)
    probabilities, confidence = np.full((B, C), np.nan), np.full(B, np.nan)
    outcomes = dict.fromkeys(Outcome, 0)
    for row, post in enumerate(known):
        if str(post.label) not in column:
            raise _unknown_label(f"gold post '{post.id}'", str(post.label), labels)
        if (verdict := by_id.get(post.id)) is None:
            continue
        outcomes[verdict.outcome] += 1
        if verdict.label is not None:
            if verdict.label not in column:
                raise _unknown_label(f"the verdict on post '{post.id}'", verdict.label, labels)
            predicted[row] = column[verdict.label]
        probabilities[row] = _distribution(verdict, column)
        top[row], confidence[row] = _confidence(verdict, predicted[row], probabilities[row])
    numbers: dict[Hashable, int] = {}
    return Pairing(
        ids=ids,
        labels=tuple(labels),
        positive=task.positive if task else None,
        gold=np.array([column[str(post.label)] for post in known]),
        predicted=predicted,
        probabilities=probabilities,
        top=top,
        confidence=confidence,
        cluster=np.array([numbers.setdefault(cluster(post), len(numbers)) for post in known]) if cluster else None,
        outcomes=outcomes,
        missing=tuple(id_ for id_ in ids if id_ not in by_id),
        extra=tuple(sorted(by_id.keys() - set(ids))),
        without_gold=len(gold) - B,
        repeated=len(verdicts) - len(by_id),
    )


def strangers(verdicts: Sequence[Verdict], gold: Sequence[Post]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The gold labels that no verdict gives, and the verdicts' labels that no gold post has, both sorted.

    Raises:
        BadInput: both sides name labels and share none, so they belong to two tasks.
    """
    meant = {str(post.label) for post in gold if post.label is not None}
    given = {verdict.label for verdict in verdicts if verdict.label is not None}
    if meant and given and not meant & given:
        raise BadInput(
            f"evaluating: the verdicts give {_listed(given)} and the gold posts have {_listed(meant)}, so no verdict "
            "could be right. Give the verdicts and the gold posts of one task."
        )
    return tuple(sorted(meant - given)), tuple(sorted(given - meant))


def _listed(labels: set[str]) -> str:
    return ", ".join(f"'{label[:80]}'" for label in sorted(labels)[:5]) + (" and others" if len(labels) > 5 else "")


def _labels_that_occur(gold: Sequence[Post], verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    named = {post.label for post in gold if post.label is not None}
    named.update(verdict.label for verdict in verdicts if verdict.label is not None)
    return tuple(sorted(named.union(*(verdict.probabilities for verdict in verdicts))))


def _unknown_label(where: str, label: str, labels: Sequence[str]) -> BadInput:
    return BadInput(
        f"evaluating: {where} has the label '{label[:80]}'; the task's labels are {list(labels)}. "
        "Give the task that these labels belong to, or mend the file."
    )


def _distribution(verdict: Verdict, column: dict[str, int]) -> NDArray[np.float64]:
    """The probabilities (C) of a verdict, NaN where it gives no full distribution."""
    row = np.full(len(column), np.nan)
    if verdict.probabilities:
        if unknown := next((name for name in verdict.probabilities if name not in column), None):
            raise _unknown_label(f"the verdict on post '{verdict.id}' (probabilities)", unknown, list(column))
        row[:] = 0.0
        for label, probability in verdict.probabilities.items():
            row[column[label]] = probability
        total = row.sum()
        if not (np.isfinite(total) and abs(total - 1) <= SUM_TOLERANCE and (row >= 0).all()):
            raise BadInput(
                f"evaluating: the probabilities of the verdict on post '{verdict.id}' sum to {total:.3g}; they must be "
                "between 0 and 1 and sum to 1 over the task's labels. Leave them out where the judge has none."
            )
        return np.asarray(row / total)
    if verdict.label is not None and verdict.probability is not None and len(column) == 2:
        row[:] = 1 - verdict.probability
        row[column[verdict.label]] = verdict.probability
    return row


def _confidence(verdict: Verdict, predicted: int, probabilities: NDArray[np.float64]) -> tuple[int, float]:
    if predicted != NO_LABEL:
        own = verdict.probability if verdict.probability is not None else float(probabilities[predicted])
        return (predicted, own) if np.isfinite(own) else (NO_LABEL, float("nan"))
    if np.isfinite(probabilities).all():
        return int(probabilities.argmax()), float(probabilities.max())
    return NO_LABEL, float("nan")
