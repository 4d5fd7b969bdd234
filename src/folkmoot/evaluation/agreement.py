"""Agreement between a panel's agents: Krippendorff's alpha for labels, with missing opinions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.bootstrap import RESAMPLES, Interval, percentile_interval, resample_counts
from folkmoot.records import Opinion, Post, Record


def krippendorff_alpha(units: Sequence[Sequence[str | None]]) -> float | None:
    """Krippendorff's alpha on the nominal scale: 1 for perfect agreement, 0 for chance, below it for less than chance.

    Labels have no order, so that two of them either match or do not. A unit (a post) holds its agents' labels,
    None for a missing one; a unit with fewer than two labels has nothing to compare and is left out. Every ordered
    pair of labels within a unit of m labels adds 1/(m - 1) to the coincidences o_ck; n_c sums a row, n all of them:

        alpha = 1 - D_o / D_e,  D_o = 1 - sum_c o_cc / n,  D_e = 1 - sum_c n_c (n_c - 1) / (n (n - 1))

    None where nothing can be compared or only one label was ever used: without variation agreement means nothing.

    Paper: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    coincidences = _coincidences(units)
    return None if coincidences is None else _number(_alpha(coincidences.sum(0)[None])[0])


def krippendorff_interval(
    units: Sequence[Sequence[str | None]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The bootstrap 95% interval of alpha over units; None where alpha is None."""
    coincidences = _coincidences(units)
    if coincidences is None or not np.isfinite(_alpha(coincidences.sum(0)[None])).all():
        return None
    flat, kind = np.unique(coincidences.reshape(len(coincidences), -1), axis=0, return_inverse=True)
    kinds, counts = resample_counts(kind.reshape(-1), resamples=resamples, seed=seed)
    classes = coincidences.shape[1]
    return percentile_interval(_alpha((counts @ flat[kinds]).reshape(resamples, classes, classes)))


def _coincidences(units: Sequence[Sequence[str | None]]) -> NDArray[np.float64] | None:
    """The coincidences (U, C, C) of the units that have at least two labels."""
    pairable = [present for unit in units if len(present := [label for label in unit if label is not None]) > 1]
    if not pairable:
        return None
    column = {label: c for c, label in enumerate(sorted(set().union(*pairable)))}
    counts = np.zeros((len(pairable), len(column)))
    for row, unit in enumerate(pairable):
        for label, number in Counter(unit).items():
            counts[row, column[label]] = number
    pairs = counts[:, :, None] * counts[:, None, :]
    pairs -= counts[:, :, None] * np.eye(len(column))  # a label makes no pair with itself
    return np.asarray(pairs / (counts.sum(1) - 1)[:, None, None])


def _alpha(coincidences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alpha (R) of R coincidence matrices (R, C, C); NaN where only one label occurs."""
    per_label = coincidences.sum(2)  # R, C
    n = per_label.sum(1)
    observed = 1 - np.trace(coincidences, axis1=1, axis2=2) / n
    expected = 1 - (per_label * (per_label - 1)).sum(1) / (n * (n - 1))
    varied = (per_label > 1e-9).sum(1) > 1
    return np.where(varied, 1 - observed / np.where(varied, expected, 1.0), np.nan)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class RoundAgreement(Record):
    """How far agents agree in one round, or in every agent's last word where `round` is None.

    `posts` have at least one labelled opinion, `comparable` at least two; `unanimous` of those are all alike.
    """

    round: int | None
    agents: tuple[str, ...]
    posts: int
    comparable: int
    unanimous: int
    alpha: float | None
    interval95: Interval | None


class AgentScore(Record):
    """One agent's opinions of one round (None: its last word) on posts whose gold label is known."""

    agent: str
    round: int | None
    n: int
    labelled: int
    correct: int


Labels = dict[str, dict[str, str | None]]
"""Post -> agent -> label."""


def agreement_by_round(
    opinions: Mapping[str, Sequence[Opinion]], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[RoundAgreement, ...]:
    """The agreement in each round, then that of the agents' last words where there are several rounds.

    Only labelled opinions enter. A later round often holds only the posts that agents differed on before, so its
    alpha is not comparable with the first one's; the last words cover all posts.
    """
    found = []
    for number, labels in _rounds(opinions):
        agents = sorted({agent for of_post in labels.values() for agent in of_post})
        units = [[of_post.get(agent) for agent in agents] for of_post in labels.values()]
        present = [[label for label in unit if label is not None] for unit in units]
        found.append(
            RoundAgreement(
                round=number,
                agents=tuple(agents),
                posts=sum(1 for unit in present if unit),
                comparable=sum(1 for unit in present if len(unit) > 1),
                unanimous=sum(1 for unit in present if len(unit) > 1 and len(set(unit)) == 1),
                alpha=krippendorff_alpha(units),
                interval95=krippendorff_interval(units, resamples=resamples, seed=seed),
            )
        )
    return tuple(found)


def score_agents(opinions: Mapping[str, Sequence[Opinion]], gold: Sequence[Post]) -> tuple[AgentScore, ...]:
    """Each agent's opinions against the gold labels, by round; a post without a gold label enters nothing."""
    gold_label = {post.id: post.label for post in gold if post.label is not None}
    found = []
    for number, labels in _rounds({id_: said for id_, said in opinions.items() if id_ in gold_label}):
        for agent in sorted({agent for of_post in labels.values() for agent in of_post}):
            said = {id_: of_post[agent] for id_, of_post in labels.items() if agent in of_post}
            found.append(
                AgentScore(
                    agent=agent,
                    round=number,
                    n=len(said),
                    labelled=sum(1 for label in said.values() if label is not None),
                    correct=sum(1 for id_, label in said.items() if label == gold_label[id_]),
                )
            )
    return tuple(found)


def last_words(opinions: Sequence[Opinion]) -> dict[str, Opinion]:
    """Every agent's opinion of its latest round; of two in one round the later one stands."""
    return {opinion.agent: opinion for opinion in sorted(opinions, key=lambda opinion: opinion.round)}


def _rounds(opinions: Mapping[str, Sequence[Opinion]]) -> list[tuple[int | None, Labels]]:
    by_round: dict[int, Labels] = {}
    for id_, said in opinions.items():
        for opinion in said:
            by_round.setdefault(opinion.round, {}).setdefault(id_, {})[opinion.agent] = opinion.label
    rounds: list[tuple[int | None, Labels]] = [(number, by_round[number]) for number in sorted(by_round)]
    if len(rounds) > 1:
        last = {id_: {a: o.label for a, o in last_words(said).items()} for id_, said in opinions.items() if said}
        rounds.append((None, last))
    return rounds
