"""Which deceptions a judge sees, and whether it also lets what is real pass.

The share of fakes that are called fake, type by type, is what papers print; a judge that always says fake scores 100
there. So real recall stands beside it, and what is asked of the types themselves: is this one among those used?
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from folkmoot.evaluation.bootstrap import Interval
from folkmoot.evaluation.calibration import wilson_interval
from folkmoot.evaluation.ranking import average_precision
from folkmoot.records import BadInput, Post, Record, Task, Verdict

NAMED = 0.5
"""From this probability on a type counts as named."""


class TypeScores(Record):
    """One type's scores; higher is better, None where undefined.

    `detected` is the share of its posts that got the positive label, whatever type was named (the papers' "per-type
    accuracy"). `precision`, `recall` and `f1` are of naming the type, `average_precision` of ranking by its
    probability, over all gold posts that have a verdict.
    """

    support: int
    detected: float | None
    detected95: Interval | None
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None


class AttributionScores(Record):
    """A judge's attribution against gold types.

    `mean_detected` is the unweighted mean over types, `real_recall` the share of negative posts that got the negative
    label, `balanced` the mean of fake recall and real recall: an always-fake judge has 1, 0 and 0.5. `first_named` is
    the share of positive posts whose most probable type is one of the gold ones. A post without a verdict or a label
    is a miss everywhere.
    """

    per_type: dict[str, TypeScores]
    mean_detected: float | None
    fake_recall: float | None
    real_recall: float | None
    real_recall95: Interval | None
    balanced: float | None
    macro_f1_of_types: float | None
    first_named: float | None


def score_attribution(verdicts: Sequence[Verdict], gold: Sequence[Post], task: Task) -> AttributionScores:
    """The scores of the verdicts' attributions against `post.attribution`.

    Raises:
        BadInput: the task is not binary or has no attribution tree, or no gold post has a label.
    """
    if task.positive is None or len(task.labels) != 2:
        raise BadInput(f"attribution is scored on binary tasks; '{task.name}' has {len(task.labels)} labels")
    by_id = {verdict.id: verdict for verdict in verdicts}
    posts = [post for post in gold if post.label is not None]
    if not posts:
        raise BadInput("no gold post has a label, so attribution cannot be scored")
    known = [name for names in task.attribution.values() for name in names]
    types = known or sorted({name for post in posts for name in post.attribution})
    if not types:
        raise BadInput(f"task '{task.name}' has no types and no gold post names one")
    said = [by_id.get(post.id) for post in posts]
    is_fake = np.array([post.label == task.positive for post in posts])
    called_fake = np.array([verdict is not None and verdict.label == task.positive for verdict in said])
    called_real = np.array([verdict is not None and verdict.label == task.negative for verdict in said])
    probability = np.array([[v.attribution.get(t, 0.0) if v is not None else 0.0 for t in types] for v in said])
    holds = np.array([[t in post.attribution for t in types] for post in posts])
    per_type = {}
    for column, name in enumerate(types):
        has, named = holds[:, column], probability[:, column] >= NAMED
        support, hits = int(has.sum()), int((has & named).sum())
        detected = int((has & called_fake).sum())
        precision = hits / int(named.sum()) if named.any() else None
        recall = hits / support if support else None
        per_type[name] = TypeScores(
            support=support,
            detected=detected / support if support else None,
            detected95=wilson_interval(detected, support) if support else None,
            precision=precision,
            recall=recall,
            f1=2 * hits / (support + int(named.sum())) if support or named.any() else None,
            average_precision=average_precision(probability[:, column], has) if 0 < support < len(posts) else None,
        )
    fakes, reals = int(is_fake.sum()), int((~is_fake).sum())
    fake_recall = int((is_fake & called_fake).sum()) / fakes if fakes else None
    real_hits = int((~is_fake & called_real).sum())
    real_recall = real_hits / reals if reals else None
    typed = [n for n in np.flatnonzero(is_fake) if holds[n].any()]
    return AttributionScores(
        per_type=per_type,
        mean_detected=_mean([scores.detected for scores in per_type.values()]),
        fake_recall=fake_recall,
        real_recall=real_recall,
        real_recall95=wilson_interval(real_hits, reals) if reals else None,
        balanced=(fake_recall + real_recall) / 2 if fake_recall is not None and real_recall is not None else None,
        macro_f1_of_types=_mean([scores.f1 for scores in per_type.values() if scores.support]),
        first_named=_mean([float(probability[n].max() > 0 and holds[n, int(probability[n].argmax())]) for n in typed]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
