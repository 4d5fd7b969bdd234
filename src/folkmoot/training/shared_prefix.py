"""A chosen and a rejected response read in one pass: the prompt, with its images, is encoded once for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from folkmoot.students.branching import Branching, Likelihood, read_answers, shares_prefix, transformers_model
from folkmoot.training.lora import in_tower


@dataclass(frozen=True)
class TokenPair:
    """A prompt and two responses as token ids, which end with the end-of-turn token; the rest as in `Branching`."""

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]
    media: Mapping[str, Tensor] = field(default_factory=dict)
    positions: Tensor | None = None
    correction: float = 0.0

    @property
    def tokens(self) -> int:
        """The length of the row that the pair takes in one pass."""
        return len(self.prompt) + len(self.chosen) + len(self.rejected)

    def with_answers(self, *answers: Sequence[int]) -> Branching:
        """The prompt with these answers."""
        return Branching(self.prompt, answers, self.media, self.positions)


class PairLikelihoods(NamedTuple):
    """What a pass gives: both responses' likelihoods, and those of the prompts' own tokens where they were asked for."""

    chosen: Likelihood
    rejected: Likelihood
    prompt: Likelihood | None


class PreferenceForward(nn.Module):
    """A causal language model (or vision-language model) as a function from pairs to their likelihoods.

    One module around everything, so that whatever wraps it hooks the whole pass.

    Args:
        model: a transformers model with a language-model head; adapters may be in place.
        padding: the id of the padding token.
        shared_prefix: one pass a pair; without it two, [prompt | chosen] and [prompt | rejected], as other trainers do.
            A model whose layers don't all attend to the whole context gets two, see `shares_prefix`.
    """

    def __init__(self, model: Any, *, padding: int, shared_prefix: bool = True) -> None:
        super().__init__()
        self.model = model
        self.padding = padding
        self.shared_prefix = shared_prefix and shares_prefix(model)
        # FSDP's units. Towers are none: one that reads in some processes only would leave the others waiting.
        layers = {type(module).__name__ for name, module in model.named_modules() if not in_tower(name)}
        named = getattr(transformers_model(model), "_no_split_modules", None) or ()
        self._no_split_modules = [name for name in named if name in layers]

    def forward(
        self, pairs: Sequence[TokenPair], *, with_prompt: bool = False, only_chosen: bool = False
    ) -> PairLikelihoods:
        """The likelihoods of both responses; with `only_chosen` nothing is spent on the rejected, theirs are empty."""
        if self.shared_prefix and not only_chosen:
            both = [pair.with_answers(pair.chosen, pair.rejected) for pair in pairs]
            (chosen, rejected), prompt = self._read(both, kinds=(1, 2), with_prompt=with_prompt)
            return PairLikelihoods(chosen, rejected, prompt)
        first = [pair.with_answers(pair.chosen) for pair in pairs]
        (chosen,), prompt = self._read(first, kinds=(1,), with_prompt=with_prompt)
        if only_chosen:
            nothing = Likelihood(torch.zeros_like(chosen.log_prob), torch.zeros_like(chosen.tokens))
            return PairLikelihoods(chosen, nothing, prompt)
        second = [pair.with_answers(pair.rejected) for pair in pairs]
        (rejected,), _ = self._read(second, kinds=(1,), with_prompt=False)
        return PairLikelihoods(chosen, rejected, prompt)

    def _read(
        self, items: Sequence[Branching], *, kinds: Sequence[int], with_prompt: bool
    ) -> tuple[list[Likelihood], Likelihood | None]:
        return read_answers(self.model, items, padding=self.padding, kinds=kinds, with_prompt=with_prompt)
