"""Low-rank adapters on a language model: where they are put, and what every way of training them shares."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field
from torch import nn

from folkmoot.models.quiet import peft_asking
from folkmoot.records import BadInput, MissingExtra, Record

TOWERS = ("visual", "vision", "audio_tower", "merger")
"""In the names of layers that belong to what reads images or sound."""


class LoraTraining(Record):
    """How adapters learn: AdamW, a linear warm-up and half a cosine."""

    epochs: int = Field(default=1, gt=0)
    batch_size: int = Field(default=4, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warm_up: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    lora_rank: int = Field(default=16, ge=0)
    """0 trains every weight."""
    lora_alpha: int = Field(default=32, gt=0)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)


def in_tower(name: str) -> bool:
    """Whether a layer of this full name belongs to what reads images or sound."""
    return any(part in name for part in TOWERS)


def adapted(model: Any, settings: LoraTraining) -> Any:
    """The model with fresh LoRA adapters on all its linear layers but the head, or, with rank 0, the model itself.

    An adapter that is there already (SFT before DPO) is trained on.

    Raises:
        MissingExtra: peft is not installed.
    """
    if hasattr(model, "get_base_model"):
        return model
    if settings.lora_rank == 0:
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise MissingExtra("Training with LoRA", "distill") from None
    chosen = LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=settings.lora_dropout,
        target_modules=adapted_layers(model), task_type="CAUSAL_LM",
    )  # fmt: skip
    with peft_asking():
        return get_peft_model(model, chosen)


def adapted_layers(model: Any) -> str:
    """A pattern for the linear layers of the language model's own blocks; a vision tower stays as it is."""
    head = model.get_output_embeddings()
    names = {
        name.rsplit(".", 1)[-1]
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and layer is not head and not in_tower(name)
    }
    if not names:
        raise BadInput("the base model has no linear layer of its own that an adapter could be put on; use lora_rank 0")
    return rf"^(?!.*(?:{'|'.join(TOWERS)})).*\.({'|'.join(sorted(names))})$"


def schedule(step: int, steps: int, warm_up: float) -> float:
    """The share of the learning rate at a step from 1: a linear warm-up, then half a cosine to 0."""
    warm = math.ceil(warm_up * steps)
    if step <= warm:
        return step / max(1, warm)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm + 1)))
