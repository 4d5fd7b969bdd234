"""G-Eval: a judge model rates explanations from 1 to 5 on named criteria.

Paper: Liu et al., "G-Eval" (EMNLP 2023); the criteria are FakeAgent's (persuasiveness, informativeness, soundness) and
SCPO's (misleadingness, readability). The judge comes in as a callable, so that this room knows no model. A rating that
cannot be read is counted and left out, never a 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from folkmoot.evaluation.bootstrap import Interval
from folkmoot.records import Post, Record, Verdict

CRITERIA: dict[str, str] = {
    "persuasiveness": "Does the explanation convince a careful reader of its verdict? 1 not at all, 5 fully.",
    "informativeness": "Does it tell what the reader needs to know, beyond the verdict? 1 nothing, 5 all that matters.",
    "soundness": "Do its reasons hold, and does the verdict follow from them? 1 it contradicts itself, 5 it is sound.",
    "misleadingness": "Would it mislead a reader about the facts? 1 not at all, 5 badly. Lower is better.",
    "readability": "Is it clear and well put? 1 hardly readable, 5 very clear.",
}
"""A criterion's name and what the judge is told of it."""
LOWER_IS_BETTER = frozenset({"misleadingness"})

Rate = Callable[[str, Post, Verdict], Awaitable[int | None]]
"""A criterion's words, the post and the verdict -> 1 to 5, or None where the judge gave no rating."""


class Rating(Record):
    """One criterion's mean from 1 to 5 with its 95% bootstrap interval over explanations."""

    mean: float | None
    interval95: Interval | None
    rated: int
    unrated: int
    lower_is_better: bool = False


async def g_eval(
    verdicts: Sequence[Verdict],
    posts: Mapping[str, Post],
    rate: Rate,
    *,
    criteria: Mapping[str, str] = CRITERIA,
    seed: int = 0,
    draws: int = 2000,
) -> dict[str, Rating]:
    """The ratings of the labelled verdicts that explain themselves, a criterion at a time.

    Args:
        posts: by id; a verdict on another post is left out.
    """
    explained = [v for v in verdicts if v.label is not None and v.explanation and v.id in posts]
    result = {}
    for name, words in criteria.items():
        said = await asyncio.gather(*(rate(words, posts[v.id].blind(), v) for v in explained))
        rated = np.array([value for value in said if value is not None], dtype=np.float64)
        interval: Interval | None = None
        if rated.size:
            picks = np.random.default_rng(seed).integers(0, rated.size, (draws, rated.size))
            low, high = np.percentile(rated[picks].mean(axis=1), [2.5, 97.5])
            interval = (float(low), float(high))
        result[name] = Rating(
            mean=float(rated.mean()) if rated.size else None, interval95=interval, rated=int(rated.size),
            unrated=len(said) - int(rated.size), lower_is_better=name in LOWER_IS_BETTER,
        )  # fmt: skip
    return result
