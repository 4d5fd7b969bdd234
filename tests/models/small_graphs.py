"""A small ONNX model of two products with weights, for the tests of what 8 bits do to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from folkmoot.models.onnx_session import cpu_session

WIDTH = 32
Feeds = list[dict[str, np.ndarray]]


def save_two_products(path: Path, nodes: Sequence[Any], **constant: np.ndarray) -> Path:
    """The model of `nodes` from x to y, [n, WIDTH] each; its constants are `constant`, after the weights first and second."""
    dice = np.random.default_rng(0)
    rows = {name: dice.normal(size=(WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5 for name in ("first", "second")}
    graph = helper.make_graph(
        list(nodes),
        "two products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(values, name) for name, values in (rows | constant).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def random_feeds(count: int) -> Feeds:
    """Inputs of nine rows each."""
    dice = np.random.default_rng(1)
    return [{"x": dice.normal(size=(9, WIDTH)).astype(np.float32)} for _ in range(count)]


def run(path: Path, x: np.ndarray) -> np.ndarray:
    """What a model makes of x."""
    found: np.ndarray = cpu_session(path, what="a test", extra="train").run(None, {"x": x})[0]
    return found
