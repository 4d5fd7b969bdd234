"""The language model that a preference trainer starts from, with what turns a conversation into its input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from folkmoot.records import MissingExtra
from folkmoot.students.prompting import load_model_and_reader, tokenizer_of


@dataclass(frozen=True)
class LanguageBase:
    """A model with its `reader`: a tokenizer, or a processor for media too."""

    folder: Path
    model: Any
    reader: Any

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, also where a processor holds it."""
        return tokenizer_of(self.reader)


def load_base(folder: Path, *, dtype: torch.dtype = torch.float32) -> LanguageBase:
    """The model of a transformers folder and its reader.

    Raises:
        BadInput: the folder holds no model that can be loaded, or its tokenizer has no chat template.
        MissingExtra: transformers is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra("Training a language model", "distill") from None
    return LanguageBase(folder, *load_model_and_reader(transformers, folder, dtype=dtype))
