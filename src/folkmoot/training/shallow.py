"""A second student with the first layers of a tuned one: several times as fast, for a small part of its accuracy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from folkmoot.records import BadInput, Lesson, Post, Record
from folkmoot.students.network import TextClassifier
from folkmoot.training.distillation import soft_lessons
from folkmoot.training.tuned import TunedSettings


class ShallowSettings(Record):
    """The student keeps its first `layers` and learns once more, without dropout, what it and its teachers say of the pool.

    Chosen on dev; see docs/log.md. Paper: Sajjad, Dalvi, Durrani and Nakov 2023, of BERT's layers the top ones are spared
    best.
    """

    layers: int = Field(default=3, gt=0)
    deep_share: float | None = Field(default=None, gt=0, lt=1)
    """The share of dev posts that the student's whole encoder reads: those on which neither the n-grams nor the
    shallow student is sure. None lets it read every post on which the n-grams are not."""
    tuned: TunedSettings = TunedSettings(batch_size=16, dropout=0.0)


def layers_of(encoder: Any) -> nn.ModuleList | None:
    """The list of a transformers encoder's layers, under whatever name, or None where it has none."""
    depth = encoder.config.num_hidden_layers
    return next((part for part in encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == depth), None)


def first_layers(network: TextClassifier, layers: int) -> TextClassifier:
    """A copy of a network that keeps the first `layers` of its encoder, and its head.

    Raises:
        BadInput: the encoder has no more layers than that.
    """
    held = layers_of(network.encoder)
    if held is None or layers >= len(held):
        depth = 0 if held is None else len(held)
        raise BadInput(f"a shallow student of {layers} layers needs a deeper encoder; this one has {depth}")
    kept = copy.deepcopy(network)
    parts = layers_of(kept.encoder)
    assert parts is not None
    del parts[layers:]
    configuration: Any = kept.encoder.config
    configuration.num_hidden_layers = layers
    return kept


def shallow_lessons(
    said: NDArray[np.floating], pool: Sequence[Post], taught: Sequence[Lesson], *, round: int
) -> list[Lesson]:
    """The gold lessons, and for every pool post the mean of what its teachers and the student say.

    Args:
        said: the student's P(positive) of the pool's posts, [N].
        taught: the lessons that the student was taught: its teachers' words, by post. A pool post without one has the
            student's word alone.
    """
    before = {lesson.post: lesson.target for lesson in taught if not lesson.membership.is_gold}
    targets = []
    for post, own in zip(pool, said.tolist(), strict=True):
        theirs = before.get(post.id)
        targets.append(own if theirs is None else (own + theirs) / 2)
    return soft_lessons(targets, pool, [lesson for lesson in taught if lesson.membership.is_gold], round=round)
