"""Files and folders that are either the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from folkmoot.formats.replacing import replacing, storage_failed


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Nothing; afterwards `path` holds exactly `content`, on the disk, or what it held before.

    Raises:
        StorageFailed: the disk is full or refuses; the old file is untouched.
    """
    with atomic_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_file(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write bytes to, which becomes `path` when the context ends well and vanishes when it does not.

    Raises:
        StorageFailed: the disk is full or refuses; the old file is untouched.
    """
    with replacing(path) as draft, draft.open("wb") as file:
        yield file


@contextlib.contextmanager
def atomic_folder(path: Path | str, *, replace: bool = True) -> Iterator[Path]:
    """An empty folder to write to, which becomes `path` when the context ends well and vanishes when it does not.

    A folder that stood at `path` is removed just before; a kill in that moment leaves neither.

    Args:
        replace: False keeps what another process has put there meanwhile, and drops the draft: for what is always the
            same, such as unpacked weights.

    Raises:
        StorageFailed: the disk is full or refuses.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        yield draft
        if replace and path.exists():
            shutil.rmtree(path)
        try:
            draft.replace(path)
        except OSError:
            if replace or not path.exists():
                raise
    except OSError as error:
        raise storage_failed(f"Writing {path}", error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
