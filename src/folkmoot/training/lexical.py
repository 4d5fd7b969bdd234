"""The lexical tower's fit: logistic regression over hashed n-grams, on hard or soft targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from folkmoot.students.lexical import BUCKETS, LexicalTower, inverse_frequencies, lexical_features

INVERSE_PENALTY = 1.0
"""scikit-learn's C. Chosen on dev among 0.5, 1 and 3; see docs/log.md."""


class LexicalTable:
    """The n-grams of a table of normalised texts, counted once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.idf = inverse_frequencies(texts)
        features = [lexical_features(text, self.idf) for text in texts]
        starts = np.cumsum([0] + [len(buckets) for buckets, _ in features])
        self.matrix = csr_matrix(
            (
                np.concatenate([values for _, values in features]),
                np.concatenate([buckets for buckets, _ in features]),
                starts,
            ),
            shape=(len(features), BUCKETS),
        )

    def fit(self, rows: Sequence[int], targets: NDArray[np.floating]) -> LexicalTower:
        """A tower that predicts `targets`, [B] probabilities of the positive label, for the texts at `rows`.

        A soft target counts as both labels, each with its share.
        """
        targets = np.asarray(targets, dtype=np.float64)
        twice = np.concatenate([rows, rows]).astype(np.int64)
        labels = np.concatenate([np.ones(len(rows)), np.zeros(len(rows))])
        weights = np.concatenate([targets, 1 - targets])
        used = weights > 0
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
        model.fit(self.matrix[twice[used]], labels[used], sample_weight=weights[used])
        return LexicalTower(model.coef_[0].astype(np.float32), self.idf, float(model.intercept_[0]))

    def logits(self, tower: LexicalTower) -> NDArray[np.float32]:
        """The tower's logit for every text of the table, [N]."""
        return np.asarray(self.matrix @ tower.weights + tower.bias, dtype=np.float32)
