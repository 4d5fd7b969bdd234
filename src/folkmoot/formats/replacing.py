"""A file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from folkmoot.records import StorageFailed


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a draft beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The draft is synced before it is renamed, so a kill at any moment leaves a whole file; it can leave
    `.NAME.PID.partial` behind, which no reader looks at.

    Raises:
        StorageFailed: the disk is full, or the folder may not be written. What stood at `path` is untouched.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_failed(f"Writing {path}", error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def storage_failed(attempt: str, error: OSError) -> StorageFailed:
    """The error that says what the disk refused and what to do about it."""
    reason = error.strerror or type(error).__name__
    if error.errno == errno.ENOSPC:
        reason += "; the disk is full"
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
