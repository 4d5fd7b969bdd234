"""A crowd's opinions -> a label a post, by a model of the whole crowd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from folkmoot.evaluation.dawid_skene import dawid_skene
from folkmoot.evaluation.glad import glad
from folkmoot.evaluation.votes import Votes
from folkmoot.records import Opinion

Aggregation = Literal["dawid_skene", "glad"]


class Aggregated(NamedTuple):
    """One post's probabilities by label, and how many votes there were."""

    probabilities: dict[str, float]
    votes: int


def aggregate(
    opinions: Mapping[str, Sequence[Opinion]], labels: Sequence[str], how: Aggregation
) -> tuple[dict[str, Aggregated], dict[str, float | bool]]:
    """Each post's probabilities, and how the fit went (`steps`, `converged`).

    A post without a vote gets the labels' overall shares and 0 votes: nothing was decided there.
    """
    votes = Votes.of(opinions, labels)
    fit = dawid_skene(votes) if how == "dawid_skene" else glad(votes)
    counts = np.bincount(votes.post, minlength=votes.posts).tolist()
    result = {
        id: Aggregated({label: round(float(p), 6) for label, p in zip(labels, row, strict=True)}, count)
        for id, row, count in zip(votes.ids, fit.probabilities, counts, strict=True)
    }
    return result, {"steps": float(fit.steps), "converged": fit.converged}
