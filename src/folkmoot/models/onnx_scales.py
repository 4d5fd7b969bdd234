"""An 8-bit ONNX model whose activations have fixed scales, so that posts can share a batch and none changes another's logit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.onnx_session import cpu_session

FIXED_SCALES = "folkmoot.fixed_scales"
"""The metadata property of a model that `fix_scales` has rewritten."""
RANGE_QUANTILE = 0.7
"""Of the largest values that posts reach, the one that a fixed scale just reaches: with the largest of all a few words set the
scale of every post. Logits were then as near to the exact ones as with a scale a post. Chosen; docs/log.md."""
STEPS = 255
CONTRIB = "com.microsoft"


def fix_scales(source: Path, quantized: Path, feeds: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Nothing; the model that `quantize` wrote to `quantized` gets one scale an activation, in place of one a batch.

    Args:
        source: the model in float32 that it was made from.
        feeds: what the scales are fitted on; a post each.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(quantized))
    graph = model.graph
    scaled = [node for node in graph.node if node.op_type == "DynamicQuantizeLinear"]
    ranges = activation_ranges(source, [node.input[0] for node in scaled], feeds)
    nodes = []
    for node in graph.node:
        if node.op_type != "DynamicQuantizeLinear":
            nodes.append(node)
            continue
        low, high = ranges[node.input[0]]
        step = np.float32(max(high - low, 1e-12) / STEPS)
        zero = np.uint8(np.clip(np.rint(-low / step), 0, STEPS))
        for name, value in zip(node.output[1:], (step, zero), strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array(value), name))
        inputs = [node.input[0], *node.output[1:]]
        nodes.append(helper.make_node("QuantizeLinear", inputs, node.output[:1], name=node.name))
    nodes = fused(nodes, {array.name: len(array.dims) for array in graph.initializer})
    del graph.node[:]
    graph.node.extend(nodes)
    if not any(opset.domain == CONTRIB for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    model.metadata_props.append(onnx.StringStringEntryProto(key=FIXED_SCALES, value="1"))
    onnx.save(model, str(quantized))


def activation_ranges(
    source: Path, names: Sequence[str], feeds: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, tuple[float, float]]:
    """The lowest and the highest value, 0 included, that an activation's scale should reach, by name."""
    lows: dict[str, list[float]] = {name: [] for name in names}
    highs: dict[str, list[float]] = {name: [] for name in names}
    for found in activations(source, list(lows), feeds):
        for name in lows:
            lows[name].append(float(found[name].min()))
            highs[name].append(float(found[name].max()))
    return {
        name: (
            min(0.0, float(np.quantile(lows[name], 1 - RANGE_QUANTILE))),
            max(0.0, float(np.quantile(highs[name], RANGE_QUANTILE))),
        )
        for name in lows
    }


def activations(
    source: Path, names: Sequence[str], feeds: Sequence[Mapping[str, NDArray[Any]]]
) -> Iterator[dict[str, NDArray[Any]]]:
    """What a model's tensors of these names hold, for each feed."""
    import onnx

    model = onnx.load(str(source))
    shown = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in shown)
    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(model, f"{scratch}/shown.onnx")
        session = cpu_session(Path(scratch) / "shown.onnx", what="Quantizing an encoder", extra="train")
    held = [value.name for value in session.get_outputs()]
    for feed in feeds:
        yield dict(zip(held, session.run(None, dict(feed)), strict=True))


def fused(nodes: Sequence[Any], dimensions: Mapping[str, int]) -> list[Any]:
    """The nodes with each product in integers, its cast, its scale and, where one follows, its bias as a single node.

    ONNX Runtime fuses them itself only where the scale is computed anew for each batch.

    Args:
        dimensions: of the constants, by name.
    """
    from onnx import helper

    made_by = {output: node for node in nodes for output in node.output}
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    gone: set[int] = set()
    single: dict[int, Any] = {}
    for product in nodes:
        if product.op_type != "MatMulInteger":
            continue
        cast = readers[product.output[0]][0]
        last = readers[cast.output[0]][0]
        scales = made_by[next(name for name in last.input if name != cast.output[0])]
        left, right, left_zero, right_zero = product.input
        inputs = [left, right, *scales.input, left_zero, right_zero]
        parts = [product, cast, scales, last]
        after = readers.get(last.output[0], [])
        if len(after) == 1 and after[0].op_type == "Add":
            bias = next(name for name in after[0].input if name != last.output[0])
            if dimensions.get(bias) == 1:
                inputs.append(bias)
                last = after[0]
                parts.append(last)
        gone |= {id(part) for part in parts}
        single[id(last)] = helper.make_node(
            "MatMulIntegerToFloat", inputs, last.output[:1], name=product.name, domain=CONTRIB
        )
    return [single.get(id(node), node) for node in nodes if id(node) in single or id(node) not in gone]
