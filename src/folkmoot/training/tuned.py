"""The tuned student: the encoder and its head trained together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, StrictBool
from torch import nn

from folkmoot.models.tokens import TokenIds, pad
from folkmoot.records import Record
from folkmoot.students.network import TextClassifier
from folkmoot.training.examples import Examples
from folkmoot.training.losses import PnuSettings, pnu

BUCKET_BATCHES = 32
"""Batches that are cut from one length-sorted stretch of the shuffled posts: less padding, still random. Chosen."""


class TunedSettings(Record):
    """How an encoder is tuned: AdamW, linear warm-up and decay, word embeddings kept.

    Chosen on dev: one epoch, since more over-fits the panel's errors; see docs/log.md.
    """

    epochs: int = Field(default=1, gt=0)
    batch_size: int = Field(default=16, gt=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    head_learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warm_up: float = Field(default=0.1, gt=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    freeze_embeddings: StrictBool = True
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Of every layer; the encoder's own, and 0.1 before the head, by default."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products; weights and their gradients stay float32. bfloat16 takes half the time where the CPU has it, and
    more time where it has not."""

    def autocast(self) -> Any:
        """The context in which networks are computed."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16")


def length_bucketed(ids: TokenIds, batch_size: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """Batches of positions covering every post once, of similar length within, in random order."""
    order = generator.permutation(len(ids))
    batches = []
    for start in range(0, len(order), batch_size * BUCKET_BATCHES):
        stretch = sorted(order[start : start + batch_size * BUCKET_BATCHES].tolist(), key=lambda row: len(ids[row]))
        batches += [stretch[at : at + batch_size] for at in range(0, len(stretch), batch_size)]
    for batch in generator.permutation(len(batches)):
        yield batches[batch]


def fit_network(
    network: TextClassifier,
    ids: TokenIds,
    examples: Examples,
    settings: TunedSettings,
    loss: PnuSettings,
    *,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> TextClassifier:
    """The network tuned in place on the PNU loss. The same seed and thread count give the same weights.

    Args:
        ids: the token ids of a table of texts; `examples.rows` point into it.
        on_step: told (steps done, steps in all) after each step.

    Raises:
        FloatingPointError: the loss is not finite; lower the learning rate.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    if settings.freeze_embeddings and hasattr(network.encoder, "embeddings"):
        for parameter in network.encoder.get_submodule("embeddings").parameters():
            parameter.requires_grad_(False)
    if settings.dropout is not None:
        for part in network.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
    trained = [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": trained, "lr": settings.learning_rate},
            {"params": network.head.parameters(), "lr": settings.head_learning_rate},
        ],
        weight_decay=settings.weight_decay,
        fused=True,
    )
    rows = [ids[row] for row in examples.rows]
    steps = -(-len(rows) // settings.batch_size) * settings.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(
            (step + 1) / (settings.warm_up * steps), max(0.0, (steps - step) / (steps * (1 - settings.warm_up)))
        ),
    )
    network.train()
    done = 0
    for _ in range(settings.epochs):
        for batch in length_bucketed(rows, settings.batch_size, generator):
            tokens, mask = pad([rows[position] for position in batch])
            with settings.autocast():
                logits = network(torch.from_numpy(tokens), torch.from_numpy(mask))
            risk = pnu(
                logits.float(),
                examples.membership[batch],
                examples.targets[batch],
                settings=loss,
                weights=examples.weights[batch],
            )
            if not torch.isfinite(risk):
                raise FloatingPointError(f"the loss became {risk.item()} at step {done}; lower the learning rate")
            optimiser.zero_grad()
            risk.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            optimiser.step()
            schedule.step()
            done += 1
            if on_step:
                on_step(done, steps)
    return network.eval()
