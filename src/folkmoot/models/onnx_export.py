"""An ONNX model with 8-bit weights."""

from __future__ import annotations

import logging
from pathlib import Path

from folkmoot.records import MissingExtra


def quantize(source: Path, target: Path) -> None:
    """Nothing; `target` holds the model with 8-bit weights, a scale a channel, activations scaled a post at a time."""
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
        )
    finally:
        logging.getLogger().setLevel(level)
