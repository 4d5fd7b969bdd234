"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from folkmoot.records import StorageFailed


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

    It is written beside `path`, synced, and renamed over it, so a kill at any moment leaves a whole file. A kill can
    leave `.NAME.PID.partial` behind, which no reader looks at.

    Raises:
        StorageFailed: the disk is full or refuses; the old file is untouched.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_failed(f"Writing {path}", error) from error
        raise


def storage_failed(attempt: str, error: OSError) -> StorageFailed:
    """The error that says what the disk refused and what to do about it."""
    reason = error.strerror or type(error).__name__
    return StorageFailed(
        f"{attempt} failed: {reason}. What was written before is kept; free some space or fix the permissions, "
        "then give the same command again."
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can sync folders at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
