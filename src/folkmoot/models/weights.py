"""Where a local language model's weights lie: a transformers folder, or the embedded GGUF file unpacked into one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from folkmoot.models.embedded import embedded_weights
from folkmoot.models.quiet import without_progress_bars
from folkmoot.records import BadInput, MissingExtra
from folkmoot.runs.atomic import atomic_folder

EMBEDDED = "embedded"
CACHE_VARIABLE = "FOLKMOOT_CACHE"


def cache_folder() -> Path:
    """Where unpacked weights are kept: FOLKMOOT_CACHE, else `folkmoot` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "folkmoot"


def base_folder(base: str, *, cache: Path | None = None) -> Path:
    """The transformers folder of a base model: the path itself, or for `embedded` its weights unpacked once.

    Args:
        cache: the folder to unpack into; see `cache_folder`.

    Raises:
        BadInput: there is no such folder.
        MissingExtra: what the embedded weights need is not installed.
    """
    if base != EMBEDDED:
        if not (Path(base) / "config.json").is_file():
            raise BadInput(
                f"Loading the base model {base}: it is no folder with a 'config.json'. Hub names are not looked up: "
                f"download the model and name its folder, or take '{EMBEDDED}'."
            )
        return Path(base)
    weights = embedded_weights()
    folder = (cache or cache_folder()) / f"{weights.stem.lower()}-float32"
    if not (folder / "config.json").is_file():
        unpack_gguf(weights, folder)
    return folder


def unpack_gguf(weights: Path, folder: Path) -> None:
    """Writes a GGUF file's weights as a float32 transformers folder.

    Loaded straight from GGUF, a model counts as quantized and trainers refuse it; its weights are plain already.

    Raises:
        MissingExtra: transformers or gguf is not installed.
    """
    try:
        import gguf  # noqa: F401
        import torch
        import transformers
    except ImportError:
        raise MissingExtra("Unpacking GGUF weights", "distill") from None
    without_progress_bars()
    where = {"gguf_file": weights.name, "local_files_only": True}
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(str(weights.parent), dtype=torch.float32, **where)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(weights.parent), **where)
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        model.__dict__.pop(name, None)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with atomic_folder(folder, replace=False) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
