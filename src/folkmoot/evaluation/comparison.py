"""Judges side by side on the same gold posts, with paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from folkmoot.evaluation.bootstrap import RESAMPLES, Interval, percentile_interval, resample_counts, two_sided_p
from folkmoot.evaluation.classification import score_labels
from folkmoot.evaluation.mcnemar import McNemar, mcnemar
from folkmoot.evaluation.metrics import Metrics, measure
from folkmoot.evaluation.pairing import ClusterKey, Pairing, pair
from folkmoot.records import BadInput, Post, Record, Task, Verdict


class Difference(Record):
    """A score of the first judge less that of the second; above 0 the first is better. `p` by paired bootstrap."""

    value: float
    interval95: Interval
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval95[0] > 0 or self.interval95[1] < 0


class Comparison(Record):
    """Two judges on the same `n` posts: their differences, and the posts that only one of them got right."""

    first: str
    second: str
    n: int
    accuracy: Difference
    macro_f1: Difference
    mcnemar: McNemar


class SideBySide(Record):
    """Several judges' metrics, in the order given, and each compared with the `reference`."""

    judges: dict[str, Metrics]
    reference: str
    comparisons: tuple[Comparison, ...]


def compare(
    a: Sequence[Verdict],
    b: Sequence[Verdict],
    gold: Sequence[Post],
    *,
    task: Task | None = None,
    names: tuple[str, str] | None = None,
    cluster: ClusterKey | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """The difference a - b between two judges' verdicts on the same posts.

    Both judges are scored on every resample, so that posts which are hard for both do not widen the interval. No
    label counts as wrong. `names` default to the judges' own.
    """
    labels = _shared_labels([a, b], gold) if task is None else None
    first, second = names or (_name(a, "a"), _name(b, "b"))
    pairings = [pair(verdicts, gold, task, cluster=cluster, labels=labels) for verdicts in (a, b)]
    return _compare(*pairings, names=(first, second), resamples=resamples, seed=seed)


def compare_judges(
    judges: Mapping[str, Sequence[Verdict]],
    gold: Sequence[Post],
    *,
    task: Task | None = None,
    reference: str | None = None,
    cluster: ClusterKey | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SideBySide:
    """Every judge's metrics, and each judge compared with `reference` (the first one where none is named).

    Raises:
        BadInput: no judge is given, or the reference is not among them.
    """
    if not judges:
        raise BadInput("comparing needs the verdicts of at least one judge; got none")
    reference = next(iter(judges)) if reference is None else reference
    if reference not in judges:
        raise BadInput(f"comparing: the reference '{reference}' is not among the judges {list(judges)}")
    labels = _shared_labels(list(judges.values()), gold) if task is None else None
    pairings = {name: pair(verdicts, gold, task, cluster=cluster, labels=labels) for name, verdicts in judges.items()}
    return SideBySide(
        judges={name: measure(pairing, resamples=resamples, seed=seed) for name, pairing in pairings.items()},
        reference=reference,
        comparisons=tuple(
            _compare(pairing, pairings[reference], names=(name, reference), resamples=resamples, seed=seed)
            for name, pairing in pairings.items()
            if name != reference
        ),
    )


def _compare(a: Pairing, b: Pairing, *, names: tuple[str, str], resamples: int, seed: int) -> Comparison:
    classes, width = len(a.labels), len(a.labels) + 1
    cells = (a.gold * width + a.predicted + 1) * width + b.predicted + 1
    kinds, drawn = resample_counts(cells, cluster=a.cluster, resamples=resamples, seed=seed)
    seen = np.bincount(np.searchsorted(kinds, cells), minlength=len(kinds))[None].astype(np.float64)
    gold, of_a, of_b = kinds // width**2, kinds // width % width - 1, kinds % width - 1

    differences = {}
    for score in ("accuracy", "macro_f1"):
        value, resampled = (
            getattr(score_labels(counts, gold, of_a, classes=classes), score)
            - getattr(score_labels(counts, gold, of_b, classes=classes), score)
            for counts in (seen, drawn)
        )
        differences[score] = Difference(
            value=float(value[0]), interval95=percentile_interval(resampled), p=two_sided_p(resampled)
        )
    return Comparison(
        first=names[0],
        second=names[1],
        n=len(a.ids),
        mcnemar=mcnemar(int((a.correct & ~b.correct).sum()), int((b.correct & ~a.correct).sum())),
        **differences,
    )


def _shared_labels(judges: Sequence[Sequence[Verdict]], gold: Sequence[Post]) -> tuple[str, ...]:
    """One set of labels for all judges where no task names it: those that any of them or the gold uses."""
    labels = {post.label for post in gold if post.label is not None}
    for verdicts in judges:
        labels.update(verdict.label for verdict in verdicts if verdict.label is not None)
        labels.update(*(verdict.probabilities for verdict in verdicts))
    return tuple(sorted(labels))


def _name(verdicts: Sequence[Verdict], otherwise: str) -> str:
    return verdicts[0].judge if verdicts else otherwise
