"""The verdict log: one line a judged post, appended and flushed at once, so that a kill loses no verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from folkmoot.formats.replacing import storage_failed
from folkmoot.records import BadRecord, Outcome, StorageFailed, Verdict

OUTCOMES = tuple(Outcome)
NUMBER_OF_OUTCOME = {outcome: number for number, outcome in enumerate(OUTCOMES)}
OUTCOME_BITS = 3


class VerdictLog:
    """Verdicts in the order they were reached; where a post was judged again, its last verdict counts.

    The verdicts stay on the disk. In memory is one integer a post: where its last line starts, and its outcome.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """
        Opening cuts a last line that a kill has torn; when only read, it is left and overlooked.

        Raises:
            BadRecord: a line is not a verdict.
            StorageFailed: the disk refuses the file.
        """
        self.path = Path(path)
        self._index: dict[str, int] = {}
        self._descriptor: int | None = None
        self._end = 0
        try:
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(self.path, flags, 0o666)
            self._scan()
            if not read_only:
                os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            self.close()
            if read_only and isinstance(error, FileNotFoundError):
                return  # a run that has judged nothing yet
            raise storage_failed(f"Opening the verdict log {self.path}", error) from error
        except BadRecord:
            self.close()
            raise

    def append(self, verdict: Verdict) -> None:
        """Nothing; the verdict is in the file and survives a kill.

        Raises:
            StorageFailed: the disk is full or refuses; the log ends with its last whole line.
        """
        line = verdict.to_line().encode("utf-8") + b"\n"
        descriptor = self._open()
        try:
            written = os.write(descriptor, line)
            while written < len(line):
                written += os.write(descriptor, line[written:])
        except OSError as error:
            os.ftruncate(descriptor, self._end)
            raise storage_failed(f"Writing to the verdict log {self.path}", error) from error
        self._index[verdict.id] = self._end << OUTCOME_BITS | NUMBER_OF_OUTCOME[verdict.outcome]
        self._end += len(line)

    def outcome(self, post: str) -> Outcome | None:
        """How the post with this id was judged last, or None where it never was."""
        entry = self._index.get(post)
        return None if entry is None else OUTCOMES[entry & (1 << OUTCOME_BITS) - 1]

    def __len__(self) -> int:
        """The number of judged posts."""
        return len(self._index)

    def verdicts(self) -> dict[str, Verdict]:
        """The last verdict on every post, by id, in the order in which the posts were first judged."""
        return {verdict.id: verdict for verdict in map(self._verdict, self.lines())}

    def lines(self, posts: Iterable[str] | None = None) -> Iterator[bytes]:
        """The last verdict on each of these posts as its line of JSON, in their order; unjudged ones are left out.

        Without `posts`: on every post, in the order in which they were first judged.
        """
        for post in tuple(self._index) if posts is None else posts:
            entry = self._index.get(post)
            if entry is not None:
                yield self._line_at(entry >> OUTCOME_BITS)

    def close(self) -> None:
        """Nothing; the file is closed. Closing twice does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> int:
        if self._descriptor is None:
            raise StorageFailed(f"Using the verdict log {self.path}: it has been closed.")
        return self._descriptor

    def _scan(self) -> None:
        with open(self._open(), "rb", closefd=False) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                post, outcome = self._read_identity(line, number)
                self._index[post] = self._end << OUTCOME_BITS | NUMBER_OF_OUTCOME[outcome]
                self._end += len(line)

    def _read_identity(self, line: bytes, number: int) -> tuple[str, Outcome]:
        try:
            fields: Any = json.loads(line)
            return str(fields["id"]), Outcome(fields["outcome"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadRecord(
                self.path, number, None, "this line is not a verdict.",
                "Remove the line to have its post judged again, or give the run another folder.",
            ) from error  # fmt: skip

    def _line_at(self, start: int) -> bytes:
        chunks: list[bytes] = []
        while chunk := os.pread(self._open(), 1 << 14, start):
            end = chunk.find(b"\n")
            if end >= 0:
                return b"".join([*chunks, chunk[:end]])
            chunks.append(chunk)
            start += len(chunk)
        raise StorageFailed(f"Reading the verdict log {self.path}: it was shortened while this program held it open.")

    def _verdict(self, line: bytes) -> Verdict:
        try:
            return Verdict.from_line(line)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or None
            raise BadRecord(self.path, None, field, f"not a verdict: {first['msg']}.") from error
