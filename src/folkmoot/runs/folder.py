"""The run folder: one experiment's manifest, ledger, verdicts and metrics, held by one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from folkmoot.formats.replacing import storage_failed
from folkmoot.records import BadInput
from folkmoot.runs.atomic import write_atomically
from folkmoot.runs.ledger import Ledger
from folkmoot.runs.manifest import (
    check_same_run,
    installed_versions,
    make_manifest,
    manifest_text,
    read_manifest,
    with_versions,
)
from folkmoot.runs.verdict_log import VerdictLog

try:
    import fcntl
except ImportError:  # Windows has no flock: there, keeping to one process a folder is left to the user
    fcntl = None  # type: ignore[assignment]

MANIFEST = "run.toml"
LEDGER = "ledger.sqlite"
VERDICTS = "verdicts.jsonl"
METRICS = "metrics.json"
LOCK = ".lock"


class RunFolder:
    """An open run folder, made by `RunFolder.open` or `RunFolder.read`. Close it, or use it as a context.

    The lock is the operating system's (`flock`), so it vanishes with a killed process and needs no cleaning up.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], *, lock: int | None) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock
        self._ledger: Ledger | None = None
        self._verdict_log: VerdictLog | None = None

    @classmethod
    def open(
        cls, path: Path | str, configuration: Mapping[str, Any], *, inputs: Mapping[str, Path] | None = None
    ) -> RunFolder:
        """The run folder at `path`, locked: a new one with this configuration, or the same run to go on with.

        What may change between two starts of one run (a spending limit, the number of workers) is not part of
        `configuration`.

        Raises:
            RunMismatch: the folder was made with another configuration or other inputs; names the key.
            BadInput: another process holds the folder, it is not a run's, or an input is missing.
            StorageFailed: the disk is full or refuses.
        """
        path = Path(path)
        wanted = make_manifest(configuration, inputs or {})
        lock = None
        try:
            _refuse_foreign(path)
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path)
            held = path / MANIFEST
            manifest = wanted
            if held.exists():
                manifest = read_manifest(held)
                check_same_run(manifest, wanted, path)
                manifest = with_versions(manifest, installed_versions())
            text = manifest_text(manifest)
            if not held.exists() or held.read_text(encoding="utf-8") != text:
                write_atomically(held, text)
        except BaseException as error:
            if lock is not None:
                os.close(lock)
            if isinstance(error, OSError):
                raise storage_failed(f"Opening the run folder {path}", error) from error
            raise
        return cls(path, manifest, lock=lock)

    @classmethod
    def read(cls, path: Path | str) -> RunFolder:
        """The run folder at `path`, without a lock: nothing in it can be written.

        Raises:
            BadInput: there is no run folder.
        """
        path = Path(path)
        if not (path / MANIFEST).is_file():
            raise BadInput(f"Reading the run folder {path}: it holds no '{MANIFEST}'. Name the folder of a run.")
        return cls(path, read_manifest(path / MANIFEST), lock=None)

    @property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration, as the manifest holds it."""
        configuration: dict[str, Any] = self.manifest["configuration"]
        return configuration

    @property
    def is_locked(self) -> bool:
        """Whether this object may write to the folder."""
        return self._lock is not None

    @property
    def ledger(self) -> Ledger:
        """The run's call ledger, opened at first use."""
        if self._ledger is None:
            self._ledger = Ledger(self.path / LEDGER, read_only=not self.is_locked)
        return self._ledger

    @property
    def verdict_log(self) -> VerdictLog:
        """The run's verdicts, opened at first use."""
        if self._verdict_log is None:
            self._verdict_log = VerdictLog(self.path / VERDICTS, read_only=not self.is_locked)
        return self._verdict_log

    def file(self, name: str) -> Path:
        """The path of a file of the run."""
        return self.path / name

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Nothing; `metrics.json` holds these metrics."""
        text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(self.path / METRICS, text + "\n")

    def close(self) -> None:
        """Nothing; the files are closed and the lock is given back. Closing twice does no harm."""
        for part in (self._ledger, self._verdict_log):
            if part is not None:
                part.close()
        self._ledger = self._verdict_log = None
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_foreign(path: Path) -> None:
    """A run writes files by fixed names, so it never starts in a folder that holds something else."""
    if path.exists() and not path.is_dir():
        raise BadInput(f"Opening the run folder {path}: it is a file. Name a folder.")
    if path.is_dir() and not (path / MANIFEST).exists():
        others = sorted(member.name for member in path.iterdir() if not member.name.startswith("."))
        if others:
            raise BadInput(
                f"Opening the run folder {path}: it holds '{others[0]}' and no '{MANIFEST}', so it is not a run's. "
                "Name a new or an empty folder."
            )


def _take_lock(path: Path) -> int:
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    if fcntl is None:
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise BadInput(
            f"Opening the run folder {path}: process {holder or '(unknown)'} is running in it. Wait for it to end, or "
            "give this command another folder."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
