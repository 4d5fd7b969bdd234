"""How far a feedback judge can be trusted: its assessments beside a second annotator's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby

import numpy as np

from folkmoot.evaluation import krippendorff_alpha
from folkmoot.records import BadInput, Record
from folkmoot.supervision.assessment import Assessment
from folkmoot.supervision.correction import social_correction

Assessments = Mapping[tuple[str, str], Assessment]
"""By post and user."""


class JudgeAudit(Record):
    """The judge beside a second annotator on what both assessed.

    `agreement` is the share alike, `kappa` Cohen's, `alpha` Krippendorff's (nominal): 1 is perfect, 0 chance; higher is
    better. `confusion` counts "judge > annotator". `sc_shift_mean` and `sc_shift_largest` say by how much sc(x) would
    move in absolute value were the second annotator right; `sc_posts` posts are compared, those on which both assessed
    the same users.
    """

    both: int
    agreement: float
    kappa: float | None
    alpha: float | None
    confusion: dict[str, int]
    only_judge: int
    only_annotator: int
    sc_posts: int
    sc_shift_mean: float | None = None
    sc_shift_largest: float | None = None


def audit_judge(judge: Assessments, annotator: Assessments) -> JudgeAudit:
    """The judge beside the annotator.

    Raises:
        BadInput: they have no post and user in common.
    """
    shared = sorted(judge.keys() & annotator.keys())
    if not shared:
        raise BadInput("the audit file and the judge have no post and user in common; check the ids and the user names")
    pairs = [(judge[key], annotator[key]) for key in shared]
    same = sum(first is second for first, second in pairs) / len(pairs)
    chance = sum(
        (sum(one is kind for one, _ in pairs) / len(pairs)) * (sum(two is kind for _, two in pairs) / len(pairs))
        for kind in Assessment
    )
    judged = Counter(post for post, _ in judge)
    shifts = []
    for post, group in groupby(shared, key=lambda key: key[0]):
        users = list(group)
        if judged[post] == len(users):
            shifts.append(abs(sc_of([judge[key] for key in users]) - sc_of([annotator[key] for key in users])))
    return JudgeAudit(
        both=len(shared),
        agreement=same,
        kappa=(same - chance) / (1 - chance) if chance < 1 else None,
        alpha=krippendorff_alpha([[first.value, second.value] for first, second in pairs]),
        confusion=dict(sorted(Counter(f"{first.value} > {second.value}" for first, second in pairs).items())),
        only_judge=len(judge.keys() - annotator.keys()),
        only_annotator=len(annotator.keys() - judge.keys()),
        sc_posts=len(shifts),
        sc_shift_mean=float(np.mean(shifts)) if shifts else None,
        sc_shift_largest=max(shifts) if shifts else None,
    )


def sc_of(assessments: list[Assessment]) -> float:
    """sc(x) of one post's assessments."""
    count = Counter(assessments)
    return social_correction(len(assessments), count[Assessment.CORRECT], count[Assessment.PARTIALLY_CORRECT])
