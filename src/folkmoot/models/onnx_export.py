"""An ONNX model with 8-bit weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.onnx_scales import activations
from folkmoot.records import MissingExtra

NOISE_LIMIT = 0.12
"""Of a product's input in 8 bits, over the input's own size. all-mpnet-base-v2 has four to six of 72 products above it, MiniLM
none; with those in float32 its logits are four times nearer to the exact ones, and it is a fifth slower. Chosen; docs/log.md."""


def quantize(source: Path, target: Path, *, but: Sequence[str] = ()) -> None:
    """Nothing; `target` holds the model with 8-bit weights, a scale a channel, activations scaled a post at a time.

    Args:
        but: the names of products that stay in float32.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError:
        raise MissingExtra("Quantizing an encoder", "train") from None
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            str(source),
            str(target),
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=list(but),
        )
    finally:
        logging.getLogger().setLevel(level)


def noisy_products(
    source: Path, feeds: Sequence[Mapping[str, NDArray[Any]]], *, limit: float = NOISE_LIMIT
) -> list[str]:
    """The names of the products with weights whose input is too uneven for 8 bits: a few values far from all the others
    set the scale, and the others are rounded away.

    The noise is that of rounding to 255 steps over the input's range, by root mean square and the mean over `feeds`.

    Args:
        feeds: what the model is to be tried on.
    """
    import onnx

    graph = onnx.load(str(source)).graph
    weights = {array.name for array in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights]
    noise: dict[str, list[float]] = {node.name: [] for node in products}
    for found in activations(source, [node.input[0] for node in products], feeds):
        for node in products:
            noise[node.name].append(rounding_noise(found[node.input[0]]))
    return [name for name, seen in noise.items() if seen and float(np.mean(seen)) > limit]


def rounding_noise(values: NDArray[np.floating]) -> float:
    """The root mean square error of rounding values to 255 steps over their range (0 included), over their own."""
    span = max(float(values.max()), 0.0) - min(float(values.min()), 0.0)
    return span / 255 / 12**0.5 / max(float(np.sqrt((values**2).mean())), 1e-12)
