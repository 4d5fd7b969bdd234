"""Lessons as arrays: what a training loop reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from folkmoot.records import BadInput, Lesson
from folkmoot.training.losses import MEMBERSHIP_CODES


@dataclass(frozen=True)
class Examples:
    """B lessons side by side. `rows` are positions in the caller's table of texts or features."""

    rows: NDArray[np.int64]
    membership: Tensor  # [B], codes of MEMBERSHIP_CODES
    targets: Tensor  # [B], 0 for disagreed posts
    weights: Tensor  # [B]

    @classmethod
    def of(cls, lessons: Sequence[Lesson], row_of: Mapping[str, int]) -> Examples:
        """The arrays of lessons.

        Raises:
            BadInput: there are no lessons, or one is about a post that is not in the table.
        """
        if not lessons:
            raise BadInput("there is nothing to learn from: no lesson was given")
        unknown = [lesson.post for lesson in lessons if lesson.post not in row_of]
        if unknown:
            raise BadInput(f"{len(unknown)} lessons are about posts that were not given, the first '{unknown[0]}'")
        return cls(
            rows=np.array([row_of[lesson.post] for lesson in lessons], dtype=np.int64),
            membership=torch.tensor([MEMBERSHIP_CODES[lesson.membership] for lesson in lessons]),
            targets=torch.tensor([lesson.target or 0.0 for lesson in lessons], dtype=torch.float32),
            weights=torch.tensor([lesson.weight for lesson in lessons], dtype=torch.float32),
        )

    def __len__(self) -> int:
        return len(self.rows)
