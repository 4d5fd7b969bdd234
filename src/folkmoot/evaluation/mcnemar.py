"""McNemar's test: whether two judges differ in how often they are right, on the same posts."""

from __future__ import annotations

import math
from typing import Literal

from folkmoot.records import BadInput, Record

EXACT_BELOW = 25
"""The customary bound under which the exact test is used."""


class McNemar(Record):
    """`first_only` and `second_only` count posts that one judge alone got right; `p` is two-sided."""

    first_only: int
    second_only: int
    p: float
    method: Literal["exact", "mid_p"]


def mcnemar(first_only: int, second_only: int) -> McNemar:
    """McNemar's test from the two discordant counts b and c.

    Under no difference b is Binomial(b + c, 1/2). Below 25 discordant posts: the exact p = min(1, 2 P(X <= min)).
    From there on the mid-p, which takes off P(X = min): it is less conservative than the exact one and than
    chi-squared with continuity correction, and holds its level (Fagerland, Lydersen, Laake 2013). Posts of one
    cluster are taken as independent.
    """
    if first_only < 0 or second_only < 0:
        raise BadInput(f"McNemar's test needs two counts of at least 0; got {first_only} and {second_only}")
    discordant, fewer = first_only + second_only, min(first_only, second_only)
    method: Literal["exact", "mid_p"] = "exact" if discordant < EXACT_BELOW else "mid_p"
    tail = math.fsum(_binomial_half(k, discordant) for k in range(fewer + 1))
    if method == "mid_p":
        tail -= _binomial_half(fewer, discordant) / 2
    return McNemar(first_only=first_only, second_only=second_only, p=min(1.0, 2 * tail), method=method)


def _binomial_half(k: int, n: int) -> float:
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
