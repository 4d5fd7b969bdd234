"""Metrics of a judge: its verdicts against gold labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.bootstrap import RESAMPLES, Interval, percentile_interval, resample_counts
from folkmoot.evaluation.calibration import brier_score, calibration_error, reliability_bins
from folkmoot.evaluation.classification import LabelScores, score_labels
from folkmoot.evaluation.pairing import NO_LABEL, ClusterKey, Pairing, pair
from folkmoot.evaluation.ranking import mean_over_labels
from folkmoot.records import Outcome, Post, Record, Task, Verdict


class ClassScores(Record):
    """One label's scores, higher is better; None where the label neither occurs nor is predicted."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


class Confusion(Record):
    """Counts of posts: a row a gold label, a column a predicted one. `unlabelled` counts those without a label."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    unlabelled: tuple[int, ...]


class Selective(Record):
    """The scores over labelled posts alone; `coverage` is their share of all. None where no post has a label."""

    coverage: float
    n: int
    accuracy: float | None
    macro_f1: float | None


class Metrics(Record):
    """What a judge is worth on gold posts.

    `n` counts all posts with a gold label, and `accuracy`, `macro_f1` and `balanced_accuracy` divide by all of
    them: no label is wrong. `outcomes` counts how the verdicts ended, `missing` the posts without a verdict; the
    two add up to `n`. `extra` counts verdicts on posts without gold, which enter nothing, `repeated` verdicts that a
    later one on the same post replaced, `without_gold` posts left out. `roc_auc` and
    `average_precision` are those of the positive label over the `with_probabilities` posts that have a
    distribution; `ece`, `ece_equal_mass` and `brier` (lower is better) say how far its probabilities can be
    trusted, `ece` over the `with_confidence` posts. None stands for undefined.
    """

    n: int
    labels: tuple[str, ...]
    positive: str | None
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    outcomes: dict[str, int]
    interval95: dict[str, Interval]
    selective: Selective
    per_class: dict[str, ClassScores]
    confusion: Confusion
    majority_share: float
    """The accuracy of always answering the commonest gold label."""
    with_probabilities: int
    with_confidence: int
    roc_auc: float | None
    average_precision: float | None
    ece: float | None
    ece_equal_mass: float | None
    brier: float | None
    missing: int
    extra: int
    repeated: int
    without_gold: int


def evaluate(
    verdicts: Sequence[Verdict],
    gold: Sequence[Post],
    task: Task | None = None,
    *,
    cluster: ClusterKey | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metrics:
    """The metrics of verdicts against the posts' gold labels; without a task the labels are those that occur.

    Args:
        cluster: the group of posts that a post is not independent of (its author, its thread); intervals are then
            resampled by group.

    Raises:
        BadInput: as `pair`.
    """
    return measure(pair(verdicts, gold, task, cluster=cluster), resamples=resamples, seed=seed)


def measure(pairing: Pairing, *, resamples: int = RESAMPLES, seed: int = 0) -> Metrics:
    """The metrics of verdicts that already lie beside their gold labels."""
    classes = len(pairing.labels)
    cells = pairing.gold * (classes + 1) + pairing.predicted + 1
    kinds, counts = resample_counts(cells, cluster=pairing.cluster, resamples=resamples, seed=seed)
    drawn = score_labels(counts, kinds // (classes + 1), kinds % (classes + 1) - 1, classes=classes)
    scores = _score(pairing, np.ones(len(pairing.ids), dtype=bool))
    labelled = pairing.predicted != NO_LABEL
    selective = _score(pairing, labelled)
    table = np.bincount(cells, minlength=classes * (classes + 1)).reshape(classes, classes + 1)

    distribution = np.isfinite(pairing.probabilities).all(1) & (classes > 1)
    sure = np.isfinite(pairing.confidence)
    confidence, right = pairing.confidence[sure], (pairing.top == pairing.gold)[sure]
    area, precision = mean_over_labels(
        pairing.probabilities[distribution], pairing.gold[distribution], pairing.labels, pairing.positive
    )
    return Metrics(
        n=len(pairing.ids),
        labels=pairing.labels,
        positive=pairing.positive,
        accuracy=float(scores.accuracy[0]),
        macro_f1=float(scores.macro_f1[0]),
        balanced_accuracy=float(scores.balanced_accuracy[0]),
        outcomes={outcome.value: pairing.outcomes[outcome] for outcome in Outcome},
        interval95={
            "accuracy": percentile_interval(drawn.accuracy),
            "macro_f1": percentile_interval(drawn.macro_f1),
            "balanced_accuracy": percentile_interval(drawn.balanced_accuracy),
        },
        selective=Selective(
            coverage=float(labelled.mean()),
            n=int(labelled.sum()),
            accuracy=_number(selective.accuracy[0]),
            macro_f1=_number(selective.macro_f1[0]),
        ),
        per_class={
            label: ClassScores(
                precision=_number(scores.precision[0, c]),
                recall=_number(scores.recall[0, c]),
                f1=_number(scores.f1[0, c]),
                support=int(table[c].sum()),
                predicted=int(table[:, c + 1].sum()),
            )
            for c, label in enumerate(pairing.labels)
        },
        confusion=Confusion(
            labels=pairing.labels,
            counts=tuple(tuple(int(count) for count in row[1:]) for row in table),
            unlabelled=tuple(int(row[0]) for row in table),
        ),
        majority_share=float(np.bincount(pairing.gold).max() / len(pairing.ids)),
        with_probabilities=int(distribution.sum()),
        with_confidence=int(sure.sum()),
        roc_auc=area,
        average_precision=precision,
        ece=calibration_error(reliability_bins(confidence, right)),
        ece_equal_mass=calibration_error(reliability_bins(confidence, right, binning="equal_mass")),
        brier=brier_score(pairing.probabilities[distribution], pairing.gold[distribution]),
        missing=len(pairing.missing),
        extra=len(pairing.extra),
        repeated=pairing.repeated,
        without_gold=pairing.without_gold,
    )


def _score(pairing: Pairing, chosen: NDArray[np.bool_]) -> LabelScores:
    gold, predicted = pairing.gold[chosen], pairing.predicted[chosen]
    return score_labels(np.ones((1, len(gold))), gold, predicted, classes=len(pairing.labels))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
