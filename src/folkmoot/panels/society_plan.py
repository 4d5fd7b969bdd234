"""Who is asked about which post: users drawn by shared interests, without replacement, and what that will cost.

Paper: "Thinking as Society" (SCPO), ICLR 2026, step 4.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from folkmoot.records import BadInput, Profile, Record
from folkmoot.records.profile import TRAITS

EPSILON = 0.01
"""The weight of a user who shares no interest with a post; the paper gives no value. Chosen."""


class Seating(Record):
    """Who is asked about one post, in the order drawn, and the topics by which they were."""

    id: str
    users: tuple[str, ...]
    topics: tuple[str, ...] = ()
    effective_users: float | None = Field(default=None, ge=0)
    """Kish's effective number of users behind the draw: how many equally likely ones would be as diverse."""


class SocietyPlan(Record):
    """A whole society before anything is spent.

    `coverage` says for each trait which share of the bank's values has a seat somewhere; `seats` counts seats by user.
    `without_topics` posts draw all users alike; `seated_without_interests` seats went to users who name none.
    """

    posts: int
    users_a_post: float
    bank: int
    seated_users: int
    effective_users_mean: float | None
    coverage: dict[str, float]
    without_topics: int
    seated_without_interests: int
    seats: dict[str, int]


def interest_weights(
    profiles: Sequence[Profile], topics: Iterable[str], *, epsilon: float = EPSILON
) -> NDArray[np.float64]:
    """w_u = |T_u ∩ T_s| / |T_s| + epsilon for every user, [U]. A post without topics weighs all alike.

    Topics are the same whatever their case.

    Raises:
        BadInput: epsilon is not positive, so that users without a shared interest could never be drawn.
    """
    if epsilon <= 0:
        raise BadInput(f"epsilon is {epsilon:g}; it must be above 0, or no post could find users beyond its topics")
    wanted = {topic.casefold() for topic in topics}
    if not wanted:
        return np.full(len(profiles), 1.0)
    return np.array(
        [len(wanted & {t.casefold() for t in profile.interests}) / len(wanted) + epsilon for profile in profiles]
    )


def draw_users(
    profiles: Sequence[Profile], weights: NDArray[np.float64], count: int, *, seed: int, post: str
) -> tuple[str, ...]:
    """`count` different users, each next one with probability proportional to its weight among those left.

    The draw depends on seed, post and user ids alone: not on the order of the bank or on other posts. Keys
    log(u) / w with u uniform, the largest first, are such a draw.

    Raises:
        BadInput: there are fewer users than that.

    Paper: Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir".
    """
    if count > len(profiles):
        raise BadInput(f"{count} users a post cannot be drawn from {len(profiles)} profiles; ask fewer or give more")
    chance = np.array([uniform(seed, post, profile.id) for profile in profiles])
    keys = np.log(chance) / weights
    order = sorted(range(len(profiles)), key=lambda row: (-keys[row], profiles[row].id))
    return tuple(profiles[row].id for row in order[:count])


def uniform(seed: int, post: str, user: str) -> float:
    """A number in (0, 1) that these three decide."""
    digest = hashlib.sha256(f"{seed}\0{post}\0{user}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 2)


def effective_size(weights: NDArray[np.float64]) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2, from 1 to the number of weights; higher: more diverse.

    Paper: Kish 1965, "Survey Sampling", section 8.2.

    Example:
        >>> effective_size(np.array([1.0, 1.0, 0.0]))
        2.0
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())


def seat(
    profiles: Sequence[Profile], post: str, topics: Sequence[str], count: int, *, seed: int, epsilon: float = EPSILON
) -> Seating:
    """Who is asked about a post with these topics."""
    weights = interest_weights(profiles, topics, epsilon=epsilon)
    users = draw_users(profiles, weights, count, seed=seed, post=post)
    return Seating(id=post, users=users, topics=tuple(topics), effective_users=round(effective_size(weights), 6))


def plan_society(seatings: Sequence[Seating], profiles: Sequence[Profile]) -> SocietyPlan:
    """The seatings as a whole."""
    by_id: Mapping[str, Profile] = {profile.id: profile for profile in profiles}
    seats = Counter(user for seating in seatings for user in seating.users)
    seated = [by_id[user] for user in seats]
    known = [seating.effective_users for seating in seatings if seating.effective_users is not None]
    coverage = {}
    for trait in TRAITS:
        there = {getattr(profile, trait) for profile in profiles} - {""}
        if there:
            coverage[trait] = round(len({getattr(profile, trait) for profile in seated} & there) / len(there), 4)
    return SocietyPlan(
        posts=len(seatings), users_a_post=sum(seats.values()) / max(1, len(seatings)), bank=len(profiles),
        seated_users=len(seats), effective_users_mean=round(float(np.mean(known)), 4) if known else None,
        coverage=coverage, without_topics=sum(not seating.topics for seating in seatings),
        seated_without_interests=sum(count for user, count in seats.items() if not by_id[user].interests),
        seats=dict(sorted(seats.items(), key=lambda item: (-item[1], item[0]))),
    )  # fmt: skip
