"""Words and meaning together: each finds what the other misses."""

from __future__ import annotations

import asyncio
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from folkmoot.evidence.dense import DenseRetriever
from folkmoot.evidence.keyword import KeywordRetriever, nearest
from folkmoot.evidence.retriever import Question
from folkmoot.records import Evidence

DENSE_WEIGHT = 0.75
"""Chosen on the 747 Climate-FEVER and 242 AVeriTeC claims that we may look at: 0.7 and 0.8 are as good there."""
RANK_CONSTANT = 60
"""Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion" (SIGIR 2009)."""


class FusedRetriever:
    """A keyword and a dense retriever of the same passages.

    `scores`: w * dense' + (1 - w) * keyword', each scaled to [0, 1] over the corpus. `ranks`: the sum of
    1 / (60 + rank). Here the scores give the better order (the benchmark has both), as in Bruch, Gai and Ingber, "An
    Analysis of Fusion Functions for Hybrid Retrieval" (TOIS 2023).
    """

    def __init__(
        self,
        keyword: KeywordRetriever,
        dense: DenseRetriever,
        *,
        by: Literal["scores", "ranks"] = "scores",
        dense_weight: float = DENSE_WEIGHT,
    ) -> None:
        if keyword.passages != dense.passages:
            raise ValueError("the two retrievers must search the same passages")
        self.keyword, self.dense, self.by, self.dense_weight = keyword, dense, by, dense_weight
        self.passages = keyword.passages
        self.name = f"bm25 and {dense.encoder.name}, fused by {by}, of {len(self.passages):,} passages"

    def scores(self, question: str) -> NDArray[np.float32]:
        """Each passage's fused score, [P]; higher is nearer."""
        words, meaning = self.keyword.scores(question), self.dense.scores(question)
        if self.by == "scores":
            return self.dense_weight * scaled(meaning) + (1 - self.dense_weight) * scaled(words)
        return reciprocal_rank(words) + reciprocal_rank(meaning)

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """The passages with the highest fused scores."""
        scores = await asyncio.to_thread(self.scores, question.text)
        return nearest(self.passages, scores, question, retriever="fused", above=-1.0)


def scaled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores on [0, 1], lowest to highest; zeros where all are equal."""
    if scores.size == 0 or (width := float(scores.max() - scores.min())) == 0:
        return np.zeros_like(scores)
    return np.asarray((scores - scores.min()) / width, dtype=np.float32)


def reciprocal_rank(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (60 + rank), ranks from 1; equal scores in the corpus's order."""
    ranks = np.empty(scores.size, dtype=np.float32)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, scores.size + 1, dtype=np.float32)
    return np.asarray(1 / (RANK_CONSTANT + ranks), dtype=np.float32)
