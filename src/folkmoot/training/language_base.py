"""The language model that a preference trainer starts from: a transformers folder, or the embedded model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from folkmoot.models.embedded import embedded_weights
from folkmoot.records import BadInput, MissingExtra
from folkmoot.runs.atomic import atomic_folder
from folkmoot.students.prompting import load_model_and_reader


@dataclass(frozen=True)
class LanguageBase:
    """A model with what turns a conversation into its input: `reader` is a tokenizer, or a processor for media too."""

    folder: Path
    model: Any
    reader: Any

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, also where a processor holds it."""
        return getattr(self.reader, "tokenizer", self.reader)

    @property
    def context_tokens(self) -> int:
        """How many tokens the model can attend to."""
        text = self.model.config.get_text_config()
        return int(getattr(text, "max_position_embeddings", 0) or 1 << 30)


def base_folder(base: str, cache: Path) -> Path:
    """The transformers folder of a base: the path itself, or for `embedded` the GGUF weights unpacked into `cache`.

    Raises:
        BadInput: there is no such folder.
        MissingExtra: what the embedded weights need is not installed.
    """
    if base != "embedded":
        if not (Path(base) / "config.json").is_file():
            raise BadInput(
                f"Loading the base model {base}: it is no folder with a 'config.json'. Hub names are not looked up: "
                "download the model and name its folder, or take 'embedded'."
            )
        return Path(base)
    weights = embedded_weights()
    folder = cache / f"{weights.stem.lower()}-float32"
    if not (folder / "config.json").is_file():
        unpack_gguf(weights, folder)
    return folder


def unpack_gguf(weights: Path, folder: Path) -> None:
    """Writes a GGUF file's weights as a float32 transformers folder.

    Loaded straight from GGUF, a model counts as quantized and trainers refuse it; the weights are plain already.
    """
    transformers = transformers_module()
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(weights.parent), gguf_file=weights.name, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(weights.parent), gguf_file=weights.name)
    except ImportError:
        raise MissingExtra("Reading GGUF weights", "train") from None
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        if hasattr(model, name):
            delattr(model, name) if name in model.__dict__ else None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with atomic_folder(folder) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)


def load_base(folder: Path, *, dtype: torch.dtype = torch.float32) -> LanguageBase:
    """The model and its reader.

    Raises:
        BadInput: the folder holds no model that can be loaded, or its tokenizer has no chat template.
    """
    return LanguageBase(folder, *load_model_and_reader(transformers_module(), folder, dtype=dtype))


def transformers_module() -> Any:
    """transformers, imported late.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra("Training a language model", "train") from None
    return transformers
