"""What computes a student's logits: ONNX Runtime where the student was exported, torch otherwise."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.cores import available_cores
from folkmoot.models.onnx_scales import FIXED_SCALES
from folkmoot.models.onnx_session import cpu_session
from folkmoot.models.tokens import TokenIds, batches_by_length, equal_lengths, pad
from folkmoot.records import BadInput, MissingExtra

ONNX_FILES = ("model.int8.onnx", "model.onnx")
"""The exports a folder may hold, the fastest first. Export writes the int8 file only where dev accuracy holds."""

BATCH_POSTS = 64
EQUAL_POSTS = 16
"""Posts of equal length that an int8 model of fixed scales reads together; more are hardly faster. Chosen."""
SMALL_BATCH_POSTS = 4
"""Below this, starting threads costs more than it saves. Chosen."""


class Runtime(Protocol):
    """Token ids -> logits of the positive label, [B]."""

    name: str

    def logits(self, ids: TokenIds) -> NDArray[np.float32]: ...


class OnnxRuntime:
    """Sessions of ONNX Runtime on the CPU, one on each core.

    A post alone, not a batch: an int8 model scales its activations by the largest in the batch, so a post's logit would
    depend on its neighbours. Alone it is the same bytes whatever runs beside it, and no time goes into padding. Where the
    model has fixed scales, posts of equal length share a batch, to the same bytes: products in integers are exact, and only
    a batch of one sums in another order, so that none is of one.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.name = f"onnxruntime:{path.name}"
        self.threads = threads or available_cores()
        self._session = cpu_session(path, what="Running an exported student", extra="serve")
        self.shares_batches = FIXED_SCALES in self._session.get_modelmeta().custom_metadata_map

    def logits(self, ids: TokenIds) -> NDArray[np.float32]:
        result = np.zeros(len(ids), dtype=np.float32)
        batches = list(equal_lengths(ids, EQUAL_POSTS)) if self.shares_batches else [[row] for row in range(len(ids))]

        def compute(batch: list[int]) -> None:
            result[batch] = self._logits([ids[position] for position in batch])

        if len(ids) <= SMALL_BATCH_POSTS or self.threads == 1:
            for batch in batches:
                compute(batch)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(compute, batches))
        return result

    def _logits(self, rows: TokenIds) -> NDArray[np.float32]:
        """The logits of texts of equal length, [B]."""
        tokens, mask = pad(rows * 2 if self.shares_batches and len(rows) == 1 else rows)
        logits: NDArray[np.float32] = self._session.run(["logit"], {"input_ids": tokens, "attention_mask": mask})[0]
        return logits[: len(rows)]


class TorchRuntime:
    """The saved weights in torch, on a GPU where there is one."""

    def __init__(self, folder: Path) -> None:
        try:
            import torch

            from folkmoot.students.network import TextClassifier
        except ImportError:
            raise MissingExtra("Running a student that was not exported to ONNX", "local") from None
        if not (folder / "model.safetensors").exists():
            raise BadInput(
                f"{folder} holds neither model.onnx nor model.safetensors; train or export the student again"
            )
        self.name = "torch"
        self._network = TextClassifier.load(folder).to("cuda" if torch.cuda.is_available() else "cpu")

    def logits(self, ids: TokenIds) -> NDArray[np.float32]:
        return network_logits(self._network, ids)


def network_logits(network: Any, ids: TokenIds) -> NDArray[np.float32]:
    """The logits [B] of a `TextClassifier` in evaluation mode."""
    return _in_batches(network, network, ids)


def network_vectors(network: Any, ids: TokenIds) -> NDArray[np.float32]:
    """The pooled vectors [B, D] of a `TextClassifier`'s encoder in evaluation mode."""
    return _in_batches(network, network.pool, ids)


def _in_batches(network: Any, compute: Any, ids: TokenIds) -> NDArray[np.float32]:
    """What `compute`, the network or a part of it, makes of each text; rows in the texts' order."""
    import torch

    network.eval()
    device = next(network.parameters()).device
    result: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
    with torch.inference_mode():
        for positions in batches_by_length([len(row) for row in ids], BATCH_POSTS):
            tokens, mask = pad([ids[position] for position in positions])
            rows = compute(torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device)).float().cpu().numpy()
            if len(result) == 0:
                result = np.zeros((len(ids), *rows.shape[1:]), dtype=np.float32)
            result[positions] = rows
    return result


def load_runtime(folder: Path, *, prefer: str | None = None) -> Runtime:
    """The best runtime that the folder and this installation allow.

    Args:
        prefer: `torch`, or the name of an ONNX file in the folder; the fastest that is there by default.
    """
    if prefer == "torch":
        return TorchRuntime(folder)
    for name in (prefer,) if prefer else ONNX_FILES:
        if (folder / name).exists() and (prefer or importlib.util.find_spec("onnxruntime")):
            return OnnxRuntime(folder / name)
    if prefer:
        raise BadInput(f"{folder} has no {prefer}; make it with 'folkmoot export student'")
    if any((folder / name).exists() for name in ONNX_FILES) and not importlib.util.find_spec("torch"):
        raise MissingExtra("Running an exported student", "serve")
    return TorchRuntime(folder)
