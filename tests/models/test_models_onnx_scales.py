"""Activations of fixed scales: a row of a batch is what it is alone, whatever the others hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from small_graphs import WIDTH, Feeds, random_feeds, run, save_two_products

from folkmoot.models.onnx_export import quantize
from folkmoot.models.onnx_scales import FIXED_SCALES, RANGE_QUANTILE, activation_ranges, fix_scales
from folkmoot.models.onnx_session import cpu_session


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """x -> a product with a bias -> a rectifier -> a product without."""
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"], name="with_bias"),
        helper.make_node("Add", ["bias", "a"], ["b"], name="bias"),
        helper.make_node("Relu", ["b"], ["c"], name="rectifier"),
        helper.make_node("MatMul", ["c", "second"], ["y"], name="without"),
    ]
    bias = np.random.default_rng(2).normal(size=WIDTH).astype(np.float32)
    return save_two_products(tmp_path / "model.onnx", nodes, bias=bias)


@pytest.fixture
def feeds() -> Feeds:
    return random_feeds(10)


def test_a_row_does_not_depend_on_its_neighbours(model: Path, feeds: Feeds, tmp_path: Path) -> None:
    rows = feeds[0]["x"]
    crowd = np.concatenate([rows, 40 * np.ones((1, WIDTH), dtype=np.float32)])  # it would set the scale of all
    anew, fixed = tmp_path / "anew.onnx", tmp_path / "fixed.onnx"
    for path in (anew, fixed):
        quantize(model, path)
    fix_scales(model, fixed, feeds)
    assert not np.array_equal(run(anew, crowd)[:-1], run(anew, rows))
    assert np.array_equal(run(fixed, crowd)[:-1], run(fixed, rows))
    assert FIXED_SCALES in cpu_session(fixed, what="a test", extra="train").get_modelmeta().custom_metadata_map
    exact = run(model, rows)
    off = [float(np.abs(run(path, rows) - exact).mean()) for path in (anew, fixed)]
    assert off[1] < 1.5 * off[0] < 0.05, "about as near as with a scale a batch"


def test_each_product_becomes_one_node_with_its_bias(model: Path, feeds: Feeds, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed.onnx"
    quantize(model, fixed)
    fix_scales(model, fixed, feeds)
    nodes = onnx.load(str(fixed)).graph.node
    assert [node.op_type for node in nodes] == [
        "QuantizeLinear", "MatMulIntegerToFloat", "Relu", "QuantizeLinear", "MatMulIntegerToFloat"
    ]  # fmt: skip
    assert [len(node.input) for node in nodes if node.op_type == "MatMulIntegerToFloat"] == [7, 6]


def test_a_range_is_a_quantile_of_what_posts_reach(model: Path) -> None:
    feeds = [{"x": np.full((1, WIDTH), float(top), dtype=np.float32)} for top in range(1, 11)]
    low, high = activation_ranges(model, ["x"], feeds)["x"]
    assert (low, high) == (0.0, pytest.approx(np.quantile(np.arange(1, 11), RANGE_QUANTILE)))
