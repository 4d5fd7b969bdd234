"""A student's weights as ONNX, so that it runs without torch: float32, and int8 where it is as good."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.onnx_export import noisy_products, quantize
from folkmoot.models.onnx_scales import fix_scales
from folkmoot.models.tokens import TokenIds, feed
from folkmoot.records import BadInput, MissingExtra, Record
from folkmoot.students.network import TextClassifier
from folkmoot.students.runtimes import OnnxRuntime
from folkmoot.training.calibration import fit_platt
from folkmoot.training.scores import macro_f1

OPSET = 17
NOISE_POSTS = 32
"""Dev posts on which is seen what 8 bits cost. Chosen."""
SCALE_POSTS = 128
"""Dev posts on which the scales of activations are fitted. Chosen."""
LOGIT_ERROR = 0.06
"""By how much 8 bits may move a logit in the mean, with every product in them, before the noisy products stay in float32: a student
of few layers adds up little noise, and a product in float32 takes three times as long. Chosen; docs/log.md."""
THRESHOLDS = np.linspace(0.4, 0.6, 21)
"""The calibrated probabilities at which macro-F1 is taken, for their mean: at a single one it moves by a point on 1,000 posts
though no probability moves by more than a few hundredths. Chosen; docs/log.md."""
WORST_LOSS = 0.003
"""How much dev macro-F1 the int8 model may lose before it is thrown away: 0.3 points."""


class Export(Record):
    """What was written. `int8_macro_f1` is None where no dev posts were given to check it on; both are means over `THRESHOLDS`.

    `fixed_scales` says that the int8 model's activations have the same scales for every post, so that posts share batches;
    `float_products` are its products that stayed in float32.
    """

    files: tuple[str, ...]
    int8_kept: bool
    float_macro_f1: float | None = None
    int8_macro_f1: float | None = None
    fixed_scales: bool = False
    float_products: tuple[str, ...] = ()


def export_onnx(network: TextClassifier, path: Path) -> None:
    """Nothing; `path` holds the network with inputs `input_ids` and `attention_mask` [B, T] and output `logit` [B].

    Raises:
        MissingExtra: onnx is not installed.
    """
    try:
        import onnx  # noqa: F401 - torch needs it to write
        import torch
    except ImportError:
        raise MissingExtra("Exporting a student to ONNX", "train") from None
    tokens = torch.randint(5, 100, (2, 7))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (tokens, torch.ones_like(tokens)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logit"],
            dynamic_axes={
                "input_ids": {0: "posts", 1: "tokens"},
                "attention_mask": {0: "posts", 1: "tokens"},
                "logit": {0: "posts"},
            },
            opset_version=OPSET,
            dynamo=False,  # the newer exporter wants a package more and gives the same graph
        )


def export_student(
    folder: Path, *, dev_ids: TokenIds | None = None, dev_gold: NDArray[np.bool_] | None = None
) -> Export:
    """The exports of a student's folder: `model.onnx`, and `model.int8.onnx` where dev macro-F1 holds within 0.3 points.

    Three ways to 8 bits are tried, the fastest first: fixed scales, so that posts share batches; scales a post; and these with
    the noisy products left in float32. Each model is calibrated on its own for the comparison.

    Args:
        dev_ids, dev_gold: dev posts' token ids and whether each is positive; without them no int8 model is kept.

    Raises:
        BadInput: the folder has no torch weights, or dev holds one class only.
    """
    if not (folder / "model.safetensors").exists():
        raise BadInput(f"{folder} has no model.safetensors, so there is nothing to export; train the student again")
    plain, small = folder / "model.onnx", folder / "model.int8.onnx"
    export_onnx(TextClassifier.load(folder), plain)
    if dev_ids is None or dev_gold is None:
        small.unlink(missing_ok=True)
        return Export(files=(plain.name,), int8_kept=False)
    exact = OnnxRuntime(plain).logits(dev_ids)
    noisy = noisy_products(plain, [feed(row) for row in dev_ids[:NOISE_POSTS]])
    float_score = band_score(exact, dev_gold)

    def fixed() -> None:
        quantize(plain, small)
        fix_scales(plain, small, [feed(row) for row in dev_ids[:SCALE_POSTS]])

    def whole() -> None:
        quantize(plain, small)

    def careful() -> None:
        quantize(plain, small, but=noisy)

    # The fastest first. Where no product is noisy, nothing nearer than the first two is to be had in 8 bits.
    ways = (
        [(fixed, LOGIT_ERROR), (whole, LOGIT_ERROR), (careful, np.inf)] if noisy else [(fixed, np.inf), (whole, np.inf)]
    )
    for make, worst in ways:
        make()
        rounded = OnnxRuntime(small).logits(dev_ids)
        int8_score = band_score(rounded, dev_gold)
        kept = int8_score >= float_score - WORST_LOSS and float(np.abs(rounded - exact).mean()) <= worst
        if kept:
            break
    if not kept:
        small.unlink()
    return Export(
        files=(plain.name, small.name) if kept else (plain.name,),
        int8_kept=kept,
        float_macro_f1=float_score,
        int8_macro_f1=int8_score,
        fixed_scales=kept and make is fixed,
        float_products=tuple(noisy) if make is careful else (),
    )


def band_score(logits: NDArray[np.float32], gold: NDArray[np.bool_]) -> float:
    """The mean macro-F1 over `THRESHOLDS` of logits [B] by their own calibration, as a model will serve."""
    scales, shift = fit_platt(logits[:, None], gold)
    said = 1 / (1 + np.exp(-(logits.astype(np.float64) * scales[0] + shift)))
    return float(np.mean([macro_f1(gold, said >= at) for at in THRESHOLDS]))
