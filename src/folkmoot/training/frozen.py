"""The frozen student: a linear head on vectors that are computed once."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from folkmoot.records import Record
from folkmoot.training.examples import Examples
from folkmoot.training.losses import PnuSettings, pnu


class FrozenSettings(Record):
    """How the head is fitted: full-batch Adam with a cosine schedule.

    The penalty is |w|^2 / (2 C B) for B lessons, as in logistic regression, with C the `inverse_penalty`; chosen on dev.
    """

    steps: int = Field(default=300, gt=0)
    learning_rate: float = Field(default=0.1, gt=0)
    inverse_penalty: float = Field(default=1.0, gt=0)


def fit_head(
    vectors: Tensor, examples: Examples, settings: FrozenSettings, loss: PnuSettings, *, seed: int
) -> nn.Linear:
    """A head D -> 1 that minimises the PNU loss plus the penalty.

    Args:
        vectors: [N, D], unit vectors or several side by side; `examples.rows` point into it.

    Example:
        `fit_head(vectors, Examples.of(lessons, rows), FrozenSettings(), PnuSettings(gamma=0.1), seed=0)`
    """
    torch.manual_seed(seed)
    chosen = vectors[torch.from_numpy(examples.rows)]
    head = nn.Linear(vectors.shape[1], 1)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    optimiser = torch.optim.Adam(head.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for _ in range(settings.steps):
        risk = pnu(head(chosen)[:, 0], examples.membership, examples.targets, settings=loss, weights=examples.weights)
        penalty = head.weight.square().sum() / (2 * settings.inverse_penalty * len(examples))
        optimiser.zero_grad()
        (risk + penalty).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return head.eval()
