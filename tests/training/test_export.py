"""A student's int8 export: which products stay in float32, and when that is asked at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from transformers import BertConfig, BertModel

import folkmoot.training.export as export
from folkmoot.students.network import TextClassifier
from folkmoot.training.calibration import fit_platt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The weights of a student of two small layers."""
    torch.manual_seed(0)
    network = TextClassifier(
        BertModel(
            BertConfig(vocab_size=120, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
        )
    )
    torch.nn.init.normal_(network.head.weight, std=1.0)
    network.eval().save(tmp_path)
    return tmp_path


DEV = [[int(word) for word in np.random.default_rng(seed).integers(5, 40, size=9)] for seed in range(24)]


def test_products_stay_in_float32_only_where_the_logit_moves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = "/encoder/encoder/layer.1/output/dense/MatMul"
    gold = np.array([seed % 2 == 0 for seed in range(len(DEV))])
    monkeypatch.setattr(export, "noisy_products", lambda path, feeds: [noisy])
    monkeypatch.setattr(export, "WORST_LOSS", 1.0)
    monkeypatch.setattr(export, "LOGIT_ERROR", 10.0)
    whole = export.export_student(folder, dev_ids=DEV, dev_gold=gold)
    assert whole.int8_kept
    assert whole.fixed_scales
    assert whole.float_products == ()
    assert export.OnnxRuntime(folder / "model.int8.onnx").shares_batches
    small = (folder / "model.int8.onnx").stat().st_size
    monkeypatch.setattr(export, "LOGIT_ERROR", 0.0)
    careful = export.export_student(folder, dev_ids=DEV, dev_gold=gold)
    assert careful.float_products == (noisy,)
    assert not careful.fixed_scales
    assert not export.OnnxRuntime(folder / "model.int8.onnx").shares_batches
    assert (folder / "model.int8.onnx").stat().st_size > small, "its weights are four times as large"


def test_where_no_product_is_noisy_all_are_in_8_bits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "noisy_products", lambda path, feeds: [])
    monkeypatch.setattr(export, "WORST_LOSS", 1.0)
    monkeypatch.setattr(export, "LOGIT_ERROR", 0.0)
    gold = np.array([seed % 2 == 0 for seed in range(len(DEV))])
    assert export.export_student(folder, dev_ids=DEV, dev_gold=gold).fixed_scales


def test_the_score_is_a_mean_over_a_band_of_thresholds() -> None:
    dice = np.random.default_rng(0)
    gold = dice.random(400) < 0.5
    logits = (gold * 2 - 1 + dice.normal(size=400) * 1.5).astype(np.float32)
    scales, shift = fit_platt(logits[:, None], gold)
    said = 1 / (1 + np.exp(-(logits * scales[0] + shift)))
    slow = [f1_score(gold, said >= at, average="macro") for at in export.THRESHOLDS]
    assert export.band_score(logits, gold) == pytest.approx(np.mean(slow), abs=1e-9)
    assert min(slow) < export.band_score(logits, gold) < max(slow)


def test_an_int8_model_that_decides_worse_is_thrown_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export.export_student(folder)
    exact = export.OnnxRuntime(folder / "model.onnx").logits(DEV)
    monkeypatch.setattr(export, "WORST_LOSS", -1.0)  # it would have to be better by a whole point
    thrown = export.export_student(folder, dev_ids=DEV, dev_gold=exact > np.median(exact))
    assert not thrown.int8_kept
    assert thrown.files == ("model.onnx",)
    assert not (folder / "model.int8.onnx").exists()
