"""Several answers to one prompt, read in one pass: the row [prompt | answer | answer | ...].

An answer does not see the others, and its positions start where the prompt ends, so every token gets the state that it
would have in a pass of its own. Logits are formed only where an answer's token is predicted. This is how a student
weighs its labels in one prefill, and how it learns from a chosen and a rejected answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

PROMPT, PADDING = 0, -1
"""Segments of a row; the answers are 1, 2, ..."""

PADDED = ("input_features", "feature_attention_mask")
"""Media whose last axis is time and is filled up: spectra of sounds, and which of their frames are real."""

LOGITS_ROWS = 256
"""Answer tokens whose logits are held at once (chosen: 50 MB at a vocabulary of 50,000); the rest are formed again in
the backward pass."""


@dataclass(frozen=True)
class Likelihood:
    """How likely B answers are: `log_prob` [B], the sum of log pi(y_t | x, y_<t) in nats, over `tokens` [B]."""

    log_prob: Tensor
    tokens: Tensor

    def mean(self) -> Tensor:
        """The mean log-likelihood of a token, [B]; its exponential is ORPO's length-normalised P.

        Raises:
            ValueError: an answer has no token.
        """
        if bool((self.tokens < 1).any()):
            raise ValueError("an answer without a token has no likelihood; leave it out")
        return self.log_prob.float() / self.tokens


@dataclass(frozen=True)
class Branching:
    """A prompt and answers to it as token ids.

    `media` holds what a processor made of the prompt's media (pixel values, grids), a leading axis a medium or patch;
    `positions` [3, T] are the prompt's rotary positions where the model has several axes, else a token's position is
    its index.
    """

    prompt: Sequence[int]
    answers: Sequence[Sequence[int]]
    media: Mapping[str, Tensor] = field(default_factory=dict)
    positions: Tensor | None = None


class Rows(NamedTuple):
    """A batch side by side, padded at the end: B rows of T tokens."""

    ids: Tensor  # [B, T]
    segment: Tensor  # [B, T]
    positions: Tensor  # [B, T], or [3, B, T]


def lay_out(items: Sequence[Branching], *, padding: int, device: torch.device) -> Rows:
    """The items as rows."""
    T = max(len(item.prompt) + sum(map(len, item.answers)) for item in items)
    ids = torch.full((len(items), T), padding)
    segment = torch.full((len(items), T), PADDING)
    axes = 3 if any(item.positions is not None for item in items) else 1
    positions = torch.zeros((axes, len(items), T), dtype=torch.long)
    for row, item in enumerate(items):
        own = torch.arange(len(item.prompt)).expand(axes, -1) if item.positions is None else item.positions
        after, at = int(own.max()) + 1, 0
        for kind, tokens in enumerate((item.prompt, *item.answers)):
            end = at + len(tokens)
            ids[row, at:end] = torch.tensor(tokens, dtype=torch.long)
            segment[row, at:end] = kind
            positions[:, row, at:end] = own if kind == PROMPT else after + torch.arange(len(tokens))
            at = end
    return Rows(ids.to(device), segment.to(device), (positions[0] if axes == 1 else positions).to(device))


def attention_mask(segment: Tensor) -> Tensor:
    """Who sees whom, [B, 1, T, T], true where the query (third axis) attends to the key (fourth): the prompt and its
    own segment, never what comes later. Padding sees padding, so that no row of the softmax is empty."""
    T = segment.shape[1]
    query, key = segment[:, :, None], segment[:, None, :]
    sees = (key == query) | ((key == PROMPT) & (query != PADDING))
    causal = torch.ones(T, T, dtype=torch.bool, device=segment.device).tril()
    return (sees & causal)[:, None]


def predicted_from(segment: Tensor, kind: int) -> tuple[Tensor, Tensor]:
    """Where a segment's tokens stand, [N] flat indices into B * T, and where each is predicted from.

    An answer's first token is predicted from the prompt's last, every other from the one before it.
    """
    T = segment.shape[1]
    flat = (segment == kind).flatten().nonzero()[:, 0]
    last_of_prompt = (segment == PROMPT).sum(1) - 1  # [B]
    row, column = flat // T, flat % T
    is_first = segment[row, (column - 1).clamp(min=0)] != kind
    return flat, torch.where(is_first, row * T + last_of_prompt[row], flat - 1)


def read_answers(
    model: Any, items: Sequence[Branching], *, padding: int, kinds: Sequence[int], with_prompt: bool = False
) -> tuple[list[Likelihood], Likelihood | None]:
    """The likelihood of each item's answer number `kinds` (from 1), and of its prompt's own tokens if asked for.

    Args:
        model: a causal language model of transformers, adapters in place, in whose wrappers nothing hooks `forward`.
    """
    inner = transformers_model(model)
    device = inner.get_input_embeddings().weight.device
    rows = lay_out(items, padding=padding, device=device)
    hidden = inner.model(
        input_ids=rows.ids,
        attention_mask=attention_mask(rows.segment),
        position_ids=rows.positions,
        use_cache=False,
        **gather_media(items, device),
    ).last_hidden_state.flatten(0, 1)  # fmt: skip  [B * T, D]
    likelihoods = [segment_likelihood(inner, hidden, rows, kind) for kind in kinds]
    return likelihoods, segment_likelihood(inner, hidden, rows, PROMPT) if with_prompt else None


def segment_likelihood(inner: Any, hidden: Tensor, rows: Rows, kind: int) -> Likelihood:
    """How likely one segment of each row is; nothing predicts a prompt's first token, so that one is left out."""
    B, T = rows.ids.shape
    flat, source = predicted_from(rows.segment, kind)
    if kind == PROMPT:
        flat, source = flat[flat % T > 0], source[flat % T > 0]
    targets = rows.ids.flatten()[flat]
    again = torch.is_grad_enabled() and len(flat) > LOGITS_ROWS
    parts = [hidden.new_zeros(0, dtype=torch.float32)]
    for at in range(0, len(flat), LOGITS_ROWS):
        states, wanted = hidden[source[at : at + LOGITS_ROWS]], targets[at : at + LOGITS_ROWS]
        parts.append(
            checkpoint(token_log_probs, inner, states, wanted, use_reentrant=False)
            if again
            else token_log_probs(inner, states, wanted)
        )
    row = flat // T
    total = torch.zeros(B, device=hidden.device).index_add(0, row, torch.cat(parts))
    return Likelihood(total, torch.bincount(row, minlength=B))


def token_log_probs(inner: Any, hidden: Tensor, targets: Tensor) -> Tensor:
    """log pi of each target token, [N] float32, from the hidden states [N, D] that predict them."""
    logits: Tensor = inner.get_output_embeddings()(hidden).float()
    cap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
    if cap:
        logits = cap * torch.tanh(logits / cap)
    return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)


def transformers_model(model: Any) -> Any:
    """The transformers model inside its wrappers; adapters stay, as they replace layers in place."""
    while hasattr(model, "module") and not hasattr(model, "get_input_embeddings"):
        model = model.module
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def shares_prefix(model: Any) -> bool:
    """Whether every layer attends to the whole context through a mask that may be given, so that one pass is exact."""
    config = transformers_model(model).config
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    slides = bool(getattr(text, "sliding_window", None)) and getattr(text, "use_sliding_window", True) is not False
    attends = getattr(config, "_attn_implementation", "eager") in ("sdpa", "eager")
    return attends and kinds == {"full_attention"} and not slides


def gather_media(items: Sequence[Branching], device: torch.device) -> dict[str, Tensor]:
    """The items' media, one after the other in the order of the rows; sounds are filled up to the longest."""
    gathered: dict[str, Tensor] = {}
    for name in sorted({name for item in items for name in item.media}):
        values = [item.media[name] for item in items if name in item.media]
        if name in PADDED:
            longest = max(value.shape[-1] for value in values)
            values = [functional.pad(value, (0, longest - value.shape[-1])) for value in values]
        gathered[name] = torch.cat(values).to(device)
    return gathered
