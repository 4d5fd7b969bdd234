"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from folkmoot.records import StorageFailed


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a draft beside `path` to write to; it takes the place of `path` when the block ends without an error.

    Raises:
        StorageFailed: the disk is full, or the folder may not be written. What stood at `path` is untouched.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError as error:
        reason = "the disk is full; free some space" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise StorageFailed(f"cannot write {path}: {reason}. Nothing that stood there was changed.") from None
    finally:
        draft.unlink(missing_ok=True)
