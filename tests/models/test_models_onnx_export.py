"""Which products of an ONNX model bear 8 bits, and that the others keep 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from small_graphs import WIDTH, Feeds, random_feeds, run, save_two_products

from folkmoot.models.onnx_export import noisy_products, quantize, rounding_noise


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """x -> even (a product) -> times a vector with one large entry -> uneven (a product)."""
    outlier = np.ones(WIDTH, dtype=np.float32)
    outlier[3] = 100.0
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"], name="even"),
        helper.make_node("Mul", ["a", "outlier"], ["b"], name="scaled"),
        helper.make_node("MatMul", ["b", "second"], ["y"], name="uneven"),
    ]
    return save_two_products(tmp_path / "model.onnx", nodes, outlier=outlier)


@pytest.fixture
def feeds() -> Feeds:
    return random_feeds(4)


def test_a_product_with_an_outlier_in_its_input_is_named(model: Path, feeds: Feeds) -> None:
    assert noisy_products(model, feeds, limit=0.01) == ["uneven"]
    assert noisy_products(model, feeds, limit=1.0) == []
    assert noisy_products(model, feeds, limit=0.0) == ["even", "uneven"]
    assert noisy_products(model, [], limit=0.0) == [], "without a trial nothing is known"


def test_what_is_named_stays_exact(model: Path, feeds: Feeds, tmp_path: Path) -> None:
    def kinds(path: Path) -> list[str]:
        return sorted(node.op_type for node in onnx.load(str(path)).graph.node if "MatMul" in node.op_type)

    quantize(model, tmp_path / "all.onnx")
    quantize(model, tmp_path / "some.onnx", but=["uneven"])
    assert kinds(tmp_path / "all.onnx") == ["MatMulInteger", "MatMulInteger"]
    assert kinds(tmp_path / "some.onnx") == ["MatMul", "MatMulInteger"]

    rows = feeds[0]["x"]
    exact = run(model, rows)
    off = [float(np.abs(run(tmp_path / name, rows) - exact).mean()) for name in ("all.onnx", "some.onnx")]
    assert off[1] < off[0]


def test_the_noise_is_what_rounding_does() -> None:
    values = np.random.default_rng(2).uniform(-1, 3, size=100_000)
    step = (values.max() - values.min()) / 255
    error = np.round(values / step) * step - values
    assert rounding_noise(values) == pytest.approx(float(np.sqrt((error**2).mean() / (values**2).mean())), rel=0.02)
    assert rounding_noise(np.array([2.0, 2.0])) == pytest.approx(2 / 255 / 12**0.5 / 2), "0 is part of the range"
