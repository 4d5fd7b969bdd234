"""Contested posts: those on which opinions part most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from folkmoot.evaluation.agreement import last_words
from folkmoot.records import Opinion, Record, Verdict


class ContestedPost(Record):
    """How contested a post is. `entropy_bits` is over all labelled opinions, `final_entropy_bits` over the agents'
    last words, `margin` the probability of the likeliest label less that of the next (None where unknown).
    """

    id: str
    entropy_bits: float
    final_entropy_bits: float
    margin: float | None
    opinions: tuple[Opinion, ...]


def label_entropy(labels: Sequence[str]) -> float:
    """The entropy of the labels' shares in bits: 0 where all are alike, 1 where two labels are even."""
    counts = Counter(labels)
    return sum(-n / len(labels) * math.log2(n / len(labels)) for n in counts.values()) + 0.0


def probability_margin(verdict: Verdict) -> float | None:
    """The probability of the likeliest label less that of the next one; None where the verdict does not say."""
    if len(verdict.probabilities) > 1:
        first, second = sorted(verdict.probabilities.values(), reverse=True)[:2]
        return first - second
    return None if verdict.probability is None else abs(2 * verdict.probability - 1)


def rank_contested(
    verdicts: Sequence[Verdict],
    opinions: Mapping[str, Sequence[Opinion]] | None = None,
    *,
    limit: int | None = None,
) -> tuple[ContestedPost, ...]:
    """The posts from the most contested one down.

    First those whose agents still differ in the end, then those that differed on the way, then those with the
    smallest margin; ties by id, so that the order is always the same. A post whose agents all agree and whose
    margin is unknown is not contested and left out. `opinions` stand in for the verdict's own where they have the post.
    """
    by_id = {verdict.id: verdict for verdict in verdicts}
    ranked = []
    for id_ in {**by_id, **(opinions or {})}:
        verdict = by_id.get(id_)
        said = tuple((opinions or {}).get(id_) or (verdict.opinions if verdict else ()))
        post = ContestedPost(
            id=id_,
            entropy_bits=label_entropy([opinion.label for opinion in said if opinion.label is not None]),
            final_entropy_bits=label_entropy(
                [opinion.label for opinion in last_words(said).values() if opinion.label is not None]
            ),
            margin=probability_margin(verdict) if verdict else None,
            opinions=said,
        )
        if post.entropy_bits > 0 or post.margin is not None:
            ranked.append(post)
    ranked.sort(key=lambda post: (-post.final_entropy_bits, -post.entropy_bits, _or_certain(post.margin), post.id))
    return tuple(ranked[:limit])


def _or_certain(margin: float | None) -> float:
    return 1.0 if margin is None else margin
