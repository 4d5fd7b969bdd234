"""How much each training post brings a training set closer to a validation set: optimal transport's dual potentials.

Paper: Just et al. 2023, "LAVA: Data Valuation without Pre-Specified Learning Algorithms", Eq. 2 (calibrated gradients);
the SCPO paper calls them Wasserstein gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, FolkmootError

REGULARISATION = 0.05
"""Entropy's weight, in units of the cost (chosen): small enough to tell neighbours apart, large enough to converge."""
TOLERANCE = 1e-6
MOST_STEPS = 5000
MOST_CELLS = 100_000_000
"""Pairs of a training and a validation post that are held at once, 800 MB each of three tables (chosen)."""


class NotConverged(FolkmootError):
    """Sinkhorn's iterations did not settle."""


class Transport(NamedTuple):
    """`cost`, the regularised optimal transport between both sets; the dual potentials `train` [N] and `validation` [M];
    `steps` taken and the largest violation of a marginal that was left, `error`."""

    cost: float
    train: NDArray[np.float64]
    validation: NDArray[np.float64]
    steps: int
    error: float


def cosine_cost(train: NDArray[np.floating], validation: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 - cosine of every training and validation vector, [N, M], in [0, 2]."""
    if train.shape[0] * validation.shape[0] > MOST_CELLS:
        raise BadInput(
            f"{train.shape[0]} posts beside {validation.shape[0]} for validation are too many at once; screen against a "
            f"sample of at most {MOST_CELLS // max(1, train.shape[0])} validation posts"
        )
    return 1 - unit(train) @ unit(validation).T


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The vectors at length 1; a zero vector stays one."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def transport(cost: NDArray[np.floating], *, regularisation: float = REGULARISATION) -> Transport:
    """Entropic optimal transport between two uniform distributions, by Sinkhorn's iterations on the potentials.

    f_i = -eps log sum_j (1/M) exp((g_j - C_ij) / eps), and g likewise, until the plan's marginals hold.

    Raises:
        BadInput: a side is empty, the cost is not finite, or the regularisation is not positive.
        NotConverged: give a larger regularisation.

    Paper: Cuturi 2013; in the logarithmic form of Peyré and Cuturi 2019, section 4.4.
    """
    cost = np.asarray(cost, dtype=np.float64)
    N, M = cost.shape
    if not N or not M or not np.isfinite(cost).all() or regularisation <= 0:
        raise BadInput("optimal transport needs posts on both sides, a finite cost and a positive regularisation")
    f, g = np.zeros(N), np.zeros(M)
    error = np.inf
    for step in range(1, MOST_STEPS + 1):
        f = -regularisation * log_mean_exp((g[None, :] - cost) / regularisation, axis=1)
        g = -regularisation * log_mean_exp((f[:, None] - cost) / regularisation, axis=0)
        if step % 10 == 0 or step == 1:
            rows = np.exp(log_mean_exp((f[:, None] + g[None, :] - cost) / regularisation, axis=1))
            error = float(np.abs(rows - 1).max())
            if error < TOLERANCE:
                return Transport(float(f.mean() + g.mean()), f, g, step, error)
    raise NotConverged(
        f"Sinkhorn's iterations left an error of {error:.2g} after {MOST_STEPS} steps at a regularisation of "
        f"{regularisation:g}. Give a larger one."
    )


def log_mean_exp(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """log of the mean of exp, without overflow."""
    top = values.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).mean(axis=axis)) + top.squeeze(axis))


def calibrated_gradients(potentials: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the transport cost changes when a training post gains weight at the others' expense, [N]; lower is better.

    f_i - (1 / (N - 1)) sum_{k != i} f_k: a potential is known up to a constant, a difference is not.
    """
    N = len(potentials)
    if N < 2:
        return np.zeros(N)
    return np.asarray(potentials - (potentials.sum() - potentials) / (N - 1))
