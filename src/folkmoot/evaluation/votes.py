"""Many judges' labels on many posts as index arrays: what the models of a crowd read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, Opinion, Outcome


@dataclass(frozen=True)
class Votes:
    """V labelled opinions: `post`, `judge` and `label` [V] are indices into `ids` (B), `names` (J) and `labels` (C)."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    post: NDArray[np.int64]
    judge: NDArray[np.int64]
    label: NDArray[np.int64]

    @property
    def posts(self) -> int:
        """B."""
        return len(self.ids)

    @property
    def judges(self) -> int:
        """J."""
        return len(self.names)

    @property
    def classes(self) -> int:
        """C."""
        return len(self.labels)

    def shares(self) -> NDArray[np.float64]:
        """The share of votes for each label, [B, C]; even where nobody voted."""
        counts = np.zeros((self.posts, self.classes))
        np.add.at(counts, (self.post, self.label), 1.0)
        total = counts.sum(1, keepdims=True)
        return np.where(total > 0, counts / np.maximum(total, 1), 1 / self.classes)

    @classmethod
    def of(cls, opinions: Mapping[str, Sequence[Opinion]], labels: Sequence[str]) -> Votes:
        """The labelled opinions of round 0; failures are no votes.

        Raises:
            BadInput: there is no vote, or one for a label that is not among these.
        """
        column = {label: number for number, label in enumerate(labels)}
        ids = tuple(opinions)
        cast = [
            (row, opinion.agent, str(opinion.label))
            for row, id in enumerate(ids)
            for opinion in opinions[id]
            if opinion.round == 0 and opinion.outcome is Outcome.LABELLED
        ]
        if not cast:
            raise BadInput(f"none of the opinions on {len(ids)} posts has a label, so there is nothing to count")
        if unknown := next((label for _, _, label in cast if label not in column), None):
            raise BadInput(f"an opinion has the label '{unknown[:80]}'; the labels are {list(labels)}")
        names = tuple(sorted({agent for _, agent, _ in cast}))
        place = {name: number for number, name in enumerate(names)}
        return cls(
            ids=ids, names=names, labels=tuple(labels), post=np.array([row for row, _, _ in cast], dtype=np.int64),
            judge=np.array([place[agent] for _, agent, _ in cast], dtype=np.int64),
            label=np.array([column[label] for _, _, label in cast], dtype=np.int64),
        )  # fmt: skip
