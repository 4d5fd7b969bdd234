"""Texts -> unit vectors by a sentence encoder, MiniLM by default, in int8 on the CPU.

The int8 ONNX file is made from the weights once and kept; from then on neither torch nor the weights are read.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.cores import available_cores
from folkmoot.models.encoder import encoder_folder, load_encoder_network
from folkmoot.models.onnx_export import quantize
from folkmoot.models.onnx_session import cpu_session, require_onnxruntime
from folkmoot.models.tokens import TOKENIZER_FILE, encode_texts, feed, load_tokenizer
from folkmoot.models.weights import cache_folder
from folkmoot.records import MissingExtra, text_hash
from folkmoot.runs.atomic import atomic_folder

MAX_TOKENS = 256
"""Longer texts are cut (all-MiniLM-L6-v2's own limit)."""
MODEL_FILE = "model.int8.onnx"
OPSET = 17
PURPOSE = ("Encoding texts", "evidence")
"""What wants ONNX Runtime, and the extra that brings it."""


class SentenceEncoder:
    """Mean pooling over the tokens, scaled to length 1. A text's vector does not depend on the texts beside it.

    An int8 model scales its activations by the largest in a batch, so each text is computed alone, one on each core.
    """

    def __init__(self, spec: str = "embedded", *, cache: Path | None = None, threads: int | None = None) -> None:
        """
        Args:
            spec: `embedded`, `transformers:PATH` or a path.
            cache: where the int8 file is kept; `cache_folder()` by default.

        Raises:
            BadInput: there is no such encoder.
            MissingExtra: ONNX Runtime is missing, or what makes the int8 file the first time.
        """
        source = encoder_folder(spec)
        weights = next(
            (path for path in (source / "model.safetensors", source / "pytorch_model.bin") if path.exists()), source
        )
        stat = weights.stat()
        identity = text_hash(f"{spec} {stat.st_size} {int(stat.st_mtime)} int8 v1")[:16]
        folder = (cache or cache_folder()) / f"sentence-encoder-{identity}"
        if not (folder / MODEL_FILE).is_file():
            require_onnxruntime(*PURPOSE)
            _export(spec, folder)
        name = f"{'all-MiniLM-L6-v2' if spec == 'embedded' else source.name} int8"
        self._open(folder / MODEL_FILE, source / TOKENIZER_FILE, name, threads)

    @classmethod
    def from_copy(cls, folder: Path, *, name: str, threads: int | None = None) -> SentenceEncoder:
        """The encoder that `copy_to` put into a folder."""
        encoder = cls.__new__(cls)
        encoder._open(folder / MODEL_FILE, folder / TOKENIZER_FILE, name, threads)
        return encoder

    def copy_to(self, folder: Path) -> None:
        """Copy the int8 file and the tokenizer: all that is needed to encode."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self._model, self._tokenizer_file):
            if path != folder / path.name:
                shutil.copyfile(path, folder / path.name)

    def _open(self, model: Path, tokenizer: Path, name: str, threads: int | None) -> None:
        self._session = cpu_session(model, what=PURPOSE[0], extra=PURPOSE[1])
        self._tokenizer = load_tokenizer(tokenizer.parent, max_tokens=MAX_TOKENS)
        self._model, self._tokenizer_file = model, tokenizer
        self.threads = threads or available_cores()
        self.width: int = self._session.get_outputs()[0].shape[-1]
        self.name = name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, [B, D]."""
        ids = encode_texts(self._tokenizer, texts)
        vectors = np.empty((len(ids), self.width), dtype=np.float32)

        def work(first: int) -> None:
            for position in range(first, len(ids), self.threads):
                vectors[position] = self._session.run(None, feed(ids[position]))[0][0]

        if len(ids) < 2 * self.threads:
            for first in range(self.threads):
                work(first)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(work, range(self.threads)))
        return vectors


def _export(spec: str, folder: Path) -> None:
    try:
        import onnx  # noqa: F401 - torch needs it to write
        import torch
    except ImportError:
        raise MissingExtra("Making the encoder's int8 file, once,", "evidence") from None

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = load_encoder_network(spec)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # [B, T, D]
            real = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * real).sum(1) / real.sum(1).clamp_min(1), dim=-1)

    tokens = torch.randint(5, 100, (2, 7))
    axes = {0: "texts", 1: "tokens"}
    with (
        atomic_folder(folder, replace=False) as draft,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Pooled().eval(), (tokens, torch.ones_like(tokens)), str(draft / "model.onnx"),
            input_names=["input_ids", "attention_mask"], output_names=["vector"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "vector": {0: "texts"}},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        quantize(draft / "model.onnx", draft / MODEL_FILE)
        (draft / "model.onnx").unlink()
