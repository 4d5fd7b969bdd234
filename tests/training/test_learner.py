"""Learners: what a tuned pupil reads of its lessons."""

from __future__ import annotations

import numpy as np
import pytest
from mild_posts import make_posts

from folkmoot.records import Lesson, Membership
from folkmoot.training.learner import TunedLearner
from folkmoot.training.losses import PnuSettings
from folkmoot.training.tuned import TunedSettings

POSTS = make_posts(12, seed=5, prefix="t")
GOLD = [
    Lesson(
        post=post.id,
        membership=Membership.POSITIVE if post.label == "tea" else Membership.NEGATIVE,
        target=float(post.label == "tea"),
    )
    for post in POSTS[:6]
]
DISAGREED = [Lesson(post=post.id, membership=Membership.DISAGREED) for post in POSTS[6:]]
IDS = [post.id for post in POSTS]


@pytest.fixture(scope="module")
def learner() -> TunedLearner:
    return TunedLearner(POSTS, settings=TunedSettings(batch_size=2), max_tokens=16)


def test_a_tuned_pupil_never_meets_the_disagreed_posts_where_gamma_is_zero(learner: TunedLearner) -> None:
    steps: list[int] = []
    loss = PnuSettings(gamma=0.0)
    without = learner.fit(GOLD, loss=loss, seed=0)
    beside = learner.fit([*GOLD, *DISAGREED], loss=loss, seed=0, on_step=lambda done, total: steps.append(total))
    assert steps == [3, 3, 3]
    np.testing.assert_array_equal(beside.logits(IDS), without.logits(IDS))


def test_a_tuned_pupil_meets_them_where_gamma_is_not(learner: TunedLearner) -> None:
    steps: list[int] = []
    learner.fit(
        [*GOLD, *DISAGREED], loss=PnuSettings(gamma=0.1), seed=0, on_step=lambda done, total: steps.append(total)
    )
    assert steps == [6] * 6


def test_products_in_bfloat16_teach_nearly_the_same(learner: TunedLearner) -> None:
    half = TunedLearner(POSTS, settings=TunedSettings(batch_size=2, precision="bfloat16"), max_tokens=16)
    loss = PnuSettings(gamma=0.0)
    exact = learner.fit(GOLD, loss=loss, seed=0).logits(IDS)
    pupil = half.fit(GOLD, loss=loss, seed=0)
    assert not np.array_equal(pupil.logits(IDS), exact)
    np.testing.assert_allclose(pupil.logits(IDS), exact, atol=0.1 * float(exact.std()) + 0.05)
    assert pupil.logits(IDS).dtype == np.float32
