"""Do profiles change verdicts, or does a society speak with one voice? A permutation test over profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.agreement import krippendorff_alpha
from folkmoot.records import BadInput, Opinion, Outcome, Record

PERMUTATIONS = 1999
COLLAPSED_P = 0.05
COLLAPSED_VOICES = 1.1
"""Below so many effective voices a society is called collapsed, whatever the test says (chosen)."""


class PersonaEffect(Record):
    """Whether who is asked makes a difference.

    `statistic` is the spread (variance) of the users' leanings; a user's leaning is their mean deviation from their
    posts' own mean, in shares of the first label. `p` is the chance of one as large if profiles meant nothing: labels
    are shuffled within each post. With re-samples (`basis` is `repeats`) the statistic is the agreement of a user with
    themselves beyond that with others on the same post, and shuffling is over all samples of a post: tendencies that
    change from post to post are seen too. `alpha` is Krippendorff's over users; `voices` the effective number of
    different answers a post gets, from 1 (all alike) to the number of labels. `is_collapsed` says that profiles cannot
    be told from chance, or that nobody ever differs.
    """

    basis: str
    posts: int
    users: int
    statistic: float
    p: float
    permutations: int
    alpha: float | None
    voices: float
    is_collapsed: bool


def persona_effect(
    opinions: Mapping[str, Sequence[Opinion]], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> PersonaEffect:
    """The test over a society's labelled opinions; the same seed gives the same p.

    Raises:
        BadInput: no post has two labelled opinions, so that nobody can differ.
    """
    said: dict[str, list[tuple[str, int, str]]] = {
        post: [(o.agent, o.round, str(o.label)) for o in heard if o.outcome is Outcome.LABELLED]
        for post, heard in opinions.items()
    }
    posts = {post: heard for post, heard in said.items() if len({agent for agent, _, _ in heard}) >= 2}
    if not posts:
        raise BadInput("the persona test needs posts on which two users have a label; there is none")
    has_repeats = any(round > 0 for heard in posts.values() for _, round, _ in heard)
    labels = sorted({label for heard in posts.values() for _, _, label in heard})
    dice = np.random.default_rng(seed)
    users = sorted({agent for heard in posts.values() for agent, _, _ in heard})
    statistic, larger = (with_repeats if has_repeats else without_repeats)(posts, users, labels, permutations, dice)
    p = (1 + larger) / (1 + permutations)
    first = {post: [(a, label) for a, round, label in heard if round == 0] for post, heard in posts.items()}
    alpha = krippendorff_alpha([[label for _, label in heard] for heard in first.values()])
    voices = float(np.mean([effective_answers([label for _, label in heard]) for heard in first.values() if heard]))
    return PersonaEffect(
        basis="repeats" if has_repeats else "first answers", posts=len(posts), users=len(users), statistic=statistic,
        p=p, permutations=permutations, alpha=alpha, voices=round(voices, 4),
        is_collapsed=p > COLLAPSED_P or voices < COLLAPSED_VOICES,
    )  # fmt: skip


Heard = Mapping[str, Sequence[tuple[str, int, str]]]


def without_repeats(
    posts: Heard, users: Sequence[str], labels: Sequence[str], permutations: int, dice: np.random.Generator
) -> tuple[float, int]:
    """The spread of leanings, and how many shuffles within posts reach it."""
    place = {user: number for number, user in enumerate(users)}
    rows = [
        (number, place[agent], labels.index(label))
        for number, heard in enumerate(posts.values())
        for agent, round, label in heard
        if round == 0
    ]
    post, user, label = (np.array(column) for column in zip(*rows, strict=True))
    starts = np.flatnonzero(np.r_[True, post[1:] != post[:-1]])
    spans = list(zip(starts, np.r_[starts[1:], len(post)], strict=True))

    def spread(values: NDArray[np.int64]) -> float:
        total = 0.0
        for kind in range(len(labels)):
            is_kind = (values == kind).astype(float)
            sizes = np.bincount(post).astype(float)
            means = np.bincount(post, weights=is_kind) / np.maximum(sizes, 1)
            deviation = np.bincount(user, weights=is_kind - means[post], minlength=len(users))
            asked = np.bincount(user, minlength=len(users))
            # A user asked once leans far by chance: each counts by how often they were asked.
            total += float((deviation**2 / np.maximum(asked, 1)).sum())
        return total / len(values)

    observed = spread(label)
    larger = 0
    for _ in range(permutations):
        shuffled = label.copy()
        for start, end in spans:
            shuffled[start:end] = dice.permutation(shuffled[start:end])
        larger += spread(shuffled) >= observed - 1e-12
    return observed, larger


def with_repeats(
    posts: Heard, users: Sequence[str], labels: Sequence[str], permutations: int, dice: np.random.Generator
) -> tuple[float, int]:
    """How much more a user agrees with themselves than with others, and how many shuffles of samples reach it."""
    held = []
    for heard in posts.values():
        agents = np.array([users.index(agent) for agent, _, _ in heard])
        held.append((agents[:, None] == agents[None, :], np.array([labels.index(label) for _, _, label in heard])))

    def gap(order: Sequence[NDArray[np.int64]]) -> float:
        own = others = own_pairs = other_pairs = 0
        for (same, _), values in zip(held, order, strict=True):
            upper = np.triu(np.ones_like(same, dtype=bool), 1)
            alike = values[:, None] == values[None, :]
            own += int((alike & same & upper).sum())
            own_pairs += int((same & upper).sum())
            others += int((alike & ~same & upper).sum())
            other_pairs += int((~same & upper).sum())
        return own / max(1, own_pairs) - others / max(1, other_pairs)

    observed = gap([values for _, values in held])
    larger = sum(gap([dice.permutation(values) for _, values in held]) >= observed - 1e-12 for _ in range(permutations))
    return observed, larger


def effective_answers(labels: Sequence[str]) -> float:
    """exp of the entropy of the labels: how many equally frequent answers are as diverse."""
    counts: dict[str, int] = defaultdict(int)
    for label in labels:
        counts[label] += 1
    shares = np.array(list(counts.values())) / len(labels)
    return float(np.exp(-(shares * np.log(shares)).sum()))
