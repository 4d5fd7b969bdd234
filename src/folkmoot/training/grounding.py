"""The grounder learns: which candidate span fits, from annotated spans, by cross-entropy and by GRPO.

Paper: MODF-SIR (arXiv 2606.12018), its GRPO for the grounder: the N candidates that the policy is surest of, rewarded by
their intersection over union with the first annotated span.
Departs: a candidate keeps its index through old, new and reference policy (the released code sorts each list by itself,
so that a ratio may compare two spans); the policy is the softmax over logits, not over scores squashed before; the old
policy is a copy of the whole scorer. Clips without a candidate that meets the span are counted, not silently supervised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from folkmoot.records import BadInput, Observation, Record
from folkmoot.students.grounding import FEATURES, Clip, Describer, SpanScorer

Interval = tuple[float, float]


class GroundingExample(Record):
    """A query about a clip and the span it is about, in seconds. `group` keeps clips on one side of a split."""

    id: str
    query: str = Field(min_length=1)
    observations: tuple[Observation, ...]
    span: tuple[float, float]
    group: str = ""


class GrounderSettings(Record):
    """How the scorer is trained. N, epsilon and beta are the paper's; the rest was chosen on training dialogues."""

    rank: int = Field(default=16, ge=0)
    epochs: int = Field(default=6, gt=0)
    grpo_epochs: int = Field(default=4, ge=0)
    """Epochs, after the supervised ones, in which the GRPO loss is added to the supervised one, as the paper has it."""
    batch: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    candidates: int = Field(default=8, ge=2)
    clip: float = Field(default=0.2, gt=0)
    beta: float = Field(default=0.01, ge=0)
    sharpness: float = Field(default=4.0, gt=0)
    """The supervised target is softmax(sharpness * IoU) over the candidates that meet the span."""
    synchronise: int = Field(default=50, gt=0)


def iou(a: Interval, b: Interval) -> float:
    """Intersection over union of two intervals, in [0, 1]; higher is better.

    >>> iou((0, 4), (2, 6))
    0.3333333333333333
    """
    inside = min(a[1], b[1]) - max(a[0], b[0])
    return inside / (max(a[1], b[1]) - min(a[0], b[0])) if inside > 0 else 0.0


def group_advantages(rewards: Tensor) -> Tensor:
    """(r - mean) / (std + 1e-8) within a group, [N]; the standard deviation is the population's."""
    return (rewards - rewards.mean()) / (rewards.std(unbiased=False) + 1e-8)


def grpo_loss(new: Tensor, old: Tensor, rewards: Tensor, *, clip: float = 0.2, beta: float = 0.01) -> Tensor:
    """-mean(min(rho A, clip(rho, 1 +- clip) A)) + beta * mean(exp(-d) + d - 1), with d = log rho of candidate i.

    The policies are softmaxes over the group's logits; rho_i = pi_new(i) / pi_old(i), for the same candidate i in both.

    Args:
        new, old: logits [N] of the same candidates in the same order; no gradient flows through `old`.
        rewards: [N].

    Paper: MODF-SIR, Equation of its grounder's GRPO.
    """
    d = new.log_softmax(0) - old.detach().log_softmax(0)
    rho, advantages = d.exp(), group_advantages(rewards)
    gain = torch.minimum(rho * advantages, rho.clamp(1 - clip, 1 + clip) * advantages)
    return -gain.mean() + beta * ((-d).exp() + d - 1).mean()


class _Net(nn.Module):
    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(len(FEATURES)))
        self.left = nn.Parameter(torch.randn(rank, width) * width**-0.5)
        self.right = nn.Parameter(torch.randn(rank, width) * width**-0.5)

    def forward(self, features: Tensor, vectors: Tensor, query: Tensor) -> Tensor:
        """Standardised features [K, F], vectors [K, D], query [D] -> logits [K]."""
        result: Tensor = features @ self.weights + vectors @ self.left.T @ (self.right @ query)
        return result


class _Case(NamedTuple):
    features: Tensor
    vectors: Tensor
    query: Tensor
    overlap: Tensor  # [K]


class GroundingScores(Record):
    """Mean IoU, and the share of queries whose span reaches an IoU of 0.3 and 0.5; higher is better."""

    n: int
    mean_iou: float
    recall_03: float
    recall_05: float


def score_spans(found: Sequence[Interval | None], gold: Sequence[Interval]) -> GroundingScores:
    """The scores of one span a query; None counts as 0."""
    overlaps = np.array([iou(f, g) if f is not None else 0.0 for f, g in zip(found, gold, strict=True)])
    return GroundingScores(
        n=len(gold), mean_iou=float(overlaps.mean()), recall_03=float((overlaps >= 0.3).mean()),
        recall_05=float((overlaps >= 0.5).mean()),
    )  # fmt: skip


class TrainedGrounder(NamedTuple):
    """The scorer, how many examples taught it, and how many had no candidate that meets their span."""

    scorer: SpanScorer
    taught: int
    unreachable: int


def train_grounder(
    examples: Sequence[GroundingExample],
    describer: Describer,
    settings: GrounderSettings = GrounderSettings(),
    *,
    seed: int = 0,
    on_epoch: Callable[[int, int], None] | None = None,
) -> TrainedGrounder:
    """The scorer that the examples teach. The same seed and thread count give the same weights.

    Raises:
        BadInput: no example has a candidate that meets its span.
    """
    torch.manual_seed(seed)
    clips = [describer.describe(example.query, example.observations) for example in examples]
    overlaps = [
        np.array([iou((s.start, s.end), example.span) for s in clip.spans], dtype=np.float32)
        for clip, example in zip(clips, examples, strict=True)
    ]
    kept = [n for n, overlap in enumerate(overlaps) if len(overlap) > 1 and overlap.max() > 0]
    if not kept:
        raise BadInput(
            f"none of the {len(examples)} grounding examples has a candidate span that meets the annotated one"
        )
    together = np.concatenate([clips[n].features for n in kept])
    mean, std = together.mean(axis=0), together.std(axis=0) + 1e-6
    cases = [_case(clips[n], overlaps[n], mean, std) for n in kept]
    net = _Net(describer.encoder.width, settings.rank)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    generator = np.random.default_rng(seed)
    old = _Net(describer.encoder.width, settings.rank)
    steps, epochs = 0, settings.epochs + settings.grpo_epochs
    for epoch in range(epochs):
        is_grpo = epoch >= settings.epochs
        order = generator.permutation(len(cases))
        for start in range(0, len(order), settings.batch):
            if is_grpo and steps % settings.synchronise == 0:
                old.load_state_dict(net.state_dict())
            steps += is_grpo
            losses = [
                _loss(net, old if is_grpo else None, cases[n], settings) for n in order[start : start + settings.batch]
            ]
            optimiser.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if on_epoch:
            on_epoch(epoch + 1, epochs)
    state = {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}
    scorer = SpanScorer(
        describer, weights=state["weights"], mean=mean, std=std, left=state["left"], right=state["right"]
    )
    return TrainedGrounder(scorer, len(kept), len(examples) - len(kept))


def _case(clip: Clip, overlap: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]) -> _Case:
    features = np.asarray((clip.features - mean) / std, dtype=np.float32)
    return _Case(*(torch.from_numpy(a) for a in (features, clip.vectors, clip.query, overlap)))


def _loss(net: _Net, old: _Net | None, case: _Case, settings: GrounderSettings) -> Tensor:
    logits = net(case.features, case.vectors, case.query)
    target = (settings.sharpness * case.overlap).masked_fill(case.overlap <= 0, -torch.inf).softmax(0)
    loss: Tensor = -(target * logits.log_softmax(0)).sum()
    if old is not None:
        with torch.no_grad():
            before = old(case.features, case.vectors, case.query)
        chosen = logits.detach().topk(min(settings.candidates, len(logits))).indices
        loss = loss + grpo_loss(
            logits[chosen], before[chosen], case.overlap[chosen], clip=settings.clip, beta=settings.beta
        )
    return loss
