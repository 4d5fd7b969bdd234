"""What a student keeps as arrays in its folder, read again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput

Built = TypeVar("Built")
Arrays = Mapping[str, NDArray[Any]]


def from_arrays(path: Path, build: Callable[[Arrays], Built], *, whose: str = "student") -> Built:
    """What `build` makes of the arrays of an .npz file; nothing in the file is run.

    Raises:
        BadInput: the file is missing or damaged, or an array is missing or of a wrong shape.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            return build(held)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be read ({type(error).__name__}); train or copy the {whose} again") from None
