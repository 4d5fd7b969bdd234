"""The call ledger: every model call under the hash of what was sent, so that no call is ever paid for twice."""

from __future__ import annotations

import base64
import binascii
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from folkmoot.records import Record, StorageFailed, bytes_hash

APPLICATION_ID = 0x464F4C4B
"""SQLite's mark of whose file this is: "FOLK"."""

SCHEMA_VERSION = 1

QUICK_CHECK_LIMIT_BYTES = 64 << 20
"""Up to this size the whole file is checked when it is opened (chosen: well under a second); above it, damage is
found where it is met."""

# One row an attempt. A call is an attempt with a reply; the partial index finds it by key and cannot hold it twice.
# `request` comes last, so that reading a reply does not walk over it.
TABLES = """
CREATE TABLE IF NOT EXISTS attempts(
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    started REAL NOT NULL,
    seconds REAL,
    error TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost_usd REAL,
    reply TEXT,
    request TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS calls_by_key ON attempts(key) WHERE reply IS NOT NULL;
"""

BEGIN = "INSERT INTO attempts(key, model, started, request) VALUES(?, ?, ?, ?)"
FINISH = "UPDATE attempts SET seconds=?, prompt_tokens=?, completion_tokens=?, cost_usd=?, reply=? WHERE id=? AND key=?"
FAIL = "UPDATE attempts SET error=?, seconds=? WHERE id=?"
GET = (
    "SELECT key, model, request, reply, prompt_tokens, completion_tokens, seconds, cost_usd, started "
    "FROM attempts WHERE key=? AND reply IS NOT NULL"
)
TOTALS = """
SELECT count(reply), count(*), count(error), sum(reply IS NULL AND error IS NULL),
       total(prompt_tokens), total(completion_tokens), total(seconds), total(cost_usd) FROM attempts
"""
MODELS = "SELECT DISTINCT model FROM attempts WHERE reply IS NOT NULL ORDER BY model"
COSTS = "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(seconds), total(cost_usd) "


class CallRecord(Record):
    """One answered call. `request` holds media as their SHA-256; `created` is when it was sent, in Unix seconds."""

    key: str
    model: str
    request: dict[str, Any]
    reply: dict[str, Any]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost_usd: float
    created: float


class CallCosts(Record):
    """What some calls of the ledger took together."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0


class LedgerTotals(CallCosts):
    """What the whole run took. `attempts` = `calls` + `failed` + `lost_in_flight` + those in flight right now.

    `lost_in_flight` counts attempts that were sent and neither answered nor failed because the run was killed; what
    they cost, only the model's server knows. `seconds` sums over answered and failed attempts.
    """

    attempts: int = 0
    failed: int = 0
    lost_in_flight: int = 0


class Ledger:
    """The calls of one run, in SQLite's write-ahead log: a killed process loses nothing that was finished.

    Each write is its own transaction. `synchronous=NORMAL` syncs only at checkpoints: a power cut can lose the last
    moments' calls (they are then sent again), never damage the file. WAL needs a disk of this machine, not a network
    share. Safe to use from several threads and processes.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """
        Raises:
            StorageFailed: the file is damaged, is not a ledger, is missing when only read, or the disk refuses it.
        """
        self.path = Path(path)
        self._lock = threading.Lock()
        self._in_flight: set[int] = set()
        self.calls_finished = 0
        """Calls answered through this object, for a progress line that must not count the whole file each time."""
        self.cost_finished_usd = 0.0
        self._connection: sqlite3.Connection | None = None
        try:
            if read_only and not self.path.is_file():
                raise StorageFailed(f"Opening the call ledger {self.path}: there is no such file. Name a run folder "
                                    "that holds a 'ledger.sqlite'.")  # fmt: skip
            self._connection = connection = sqlite3.connect(
                self._address(read_only), uri=True, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._check(connection)
            if read_only:
                connection.execute("PRAGMA query_only=ON")
            else:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                # Fewer checkpoints than SQLite's 1,000 pages: each one syncs, and the loop waits for it.
                connection.execute("PRAGMA wal_autocheckpoint=4000")
                connection.executescript(
                    f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id={APPLICATION_ID}; "
                    f"PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
                )
        except sqlite3.Error as error:
            self.close()
            self._raise(error, "Opening")
        except OSError as error:
            raise StorageFailed(f"Opening the call ledger {self.path} failed: {error.strerror}.") from error
        except StorageFailed:
            self.close()
            raise

    def get(self, key: str) -> CallRecord | None:
        """The answered call with this key, or None where it was never answered."""
        row = self._read(GET, (key,))[0:1]
        return self._record(row[0]) if row else None

    def begin(self, key: str, request: dict[str, Any] | str, model: str) -> int:
        """The number of a new attempt. Call it before sending, so that a kill is seen as a call lost in flight.

        Args:
            request: what is sent; as a text where it is JSON already and holds no media.
        """
        text = request if isinstance(request, str) else json.dumps(without_media(request), separators=(",", ":"))
        with self._lock:
            try:
                attempt = self._open().execute(BEGIN, (key, model, time.time(), text)).lastrowid
            except sqlite3.Error as error:
                self._raise(error, "Writing to")
            assert attempt is not None
            self._in_flight.add(attempt)
        return attempt

    def finish(
        self,
        attempt: int,
        key: str,
        *,
        reply: dict[str, Any],
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        seconds: float = 0.0,
        cost_usd: float = 0.0,
    ) -> None:
        """Nothing; the attempt has its reply, and `get(key)` answers from now on.

        Where two processes answered the same call, the first reply stays and this attempt is kept as a failed one.
        """
        text = json.dumps(reply, separators=(",", ":"))
        values = (seconds, prompt_tokens, completion_tokens, cost_usd, text, attempt, key)
        with self._lock:
            try:
                changed = self._open().execute(FINISH, values).rowcount
            except sqlite3.IntegrityError:
                changed = 1
                self._execute(FAIL, ("answered twice: another process was first", seconds, attempt))
            except sqlite3.Error as error:
                self._raise(error, "Writing to")
            self._in_flight.discard(attempt)
            self.calls_finished += 1
            self.cost_finished_usd += cost_usd
        if changed != 1:
            raise StorageFailed(
                f"Finishing attempt {attempt} in {self.path}: the ledger holds no such attempt for this call. Was the "
                "file exchanged while the run wrote to it?"
            )

    def fail(self, attempt: int, error: str, seconds: float = 0.0) -> None:
        """Nothing; the attempt is kept as failed, with what went wrong."""
        with self._lock:
            self._execute(FAIL, (error, seconds, attempt))
            self._in_flight.discard(attempt)

    def totals(self) -> LedgerTotals:
        """What the run took so far, over every time that it was started."""
        calls, attempts, failed, unended, prompt, completion, seconds, cost = self._read(TOTALS)[0]
        return LedgerTotals(
            calls=calls, attempts=attempts, failed=failed, lost_in_flight=(unended or 0) - len(self._in_flight),
            prompt_tokens=int(prompt), completion_tokens=int(completion), seconds=seconds, cost_usd=cost,
        )  # fmt: skip

    def cost_of(self, keys: Iterable[str]) -> CallCosts:
        """What the answered calls with these keys took together; a key counts once, an unknown one not at all."""
        rows = self._read(
            COSTS + "FROM attempts WHERE reply IS NOT NULL AND key IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(set(keys))),),
        )
        calls, prompt, completion, seconds, cost = rows[0]
        return CallCosts(
            calls=calls, prompt_tokens=int(prompt), completion_tokens=int(completion), seconds=seconds, cost_usd=cost
        )

    def models(self) -> tuple[str, ...]:
        """The names of the models that answered, sorted."""
        return tuple(row[0] for row in self._read(MODELS))

    def close(self) -> None:
        """Nothing; the file is closed. Closing twice does no harm."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _address(self, read_only: bool) -> str:
        """Where SQLite opens the file. A folder that may not be written to cannot hold the log's index beside it."""
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not os.access(self.path.parent, os.W_OK) and not self.path.with_name(self.path.name + "-wal").exists():
            return self.path.absolute().as_uri() + "?immutable=1"
        return self.path.absolute().as_uri()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageFailed(f"Using the call ledger {self.path}: it has been closed.")
        return self._connection

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._open().execute(statement, values).fetchall()
            except sqlite3.Error as error:
                self._raise(error, "Reading")

    def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._open().execute(statement, values)
        except sqlite3.Error as error:
            self._raise(error, "Writing to")

    def _record(self, row: Any) -> CallRecord:
        key, model, request, reply, prompt_tokens, completion_tokens, seconds, cost_usd, created = row
        try:
            return CallRecord.model_construct(
                key=key, model=model, request=json.loads(request), reply=json.loads(reply),
                prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, seconds=seconds,
                cost_usd=cost_usd, created=created,
            )  # fmt: skip
        except (ValueError, TypeError) as error:
            raise StorageFailed(self._damaged(f"the call {key[:12]} is not valid JSON")) from error

    def _check(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is damaged or somebody else's, before anything is written to it."""
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and mark != APPLICATION_ID:
            raise StorageFailed(f"Opening {self.path} as a call ledger: it is another program's SQLite file. Give the "
                                "run another folder.")  # fmt: skip
        if version > SCHEMA_VERSION:
            raise StorageFailed(
                f"Opening the call ledger {self.path}: it has version {version}, this folkmoot reads up to "
                f"{SCHEMA_VERSION}. Install the newer folkmoot."
            )
        if tables and self.path.stat().st_size <= QUICK_CHECK_LIMIT_BYTES:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StorageFailed(self._damaged(str(found).replace("\n", " ")))

    def _damaged(self, what: str) -> str:
        return (
            f"The call ledger {self.path} is damaged ({what}). Put back a copy, try "
            f"`sqlite3 {self.path.name} .recover`, or move the file away: its calls will then be sent again. The "
            "verdicts beside it are not touched."
        )

    def _raise(self, error: sqlite3.Error, attempt: str) -> NoReturn:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StorageFailed(self._damaged(str(error))) from error
        raise StorageFailed(
            f"{attempt} the call ledger {self.path} failed: {error}. What was written before is kept; free some space, "
            "fix the permissions or end the other program, then give the same command again."
        ) from error


def without_media(request: dict[str, Any]) -> dict[str, Any]:
    """The request with every medium replaced by its SHA-256, so that a ledger holds no pictures.

    Only content parts can hold media: a message whose content is text passes as it is.
    """
    messages = request.get("messages")
    if not isinstance(messages, list | tuple) or all(isinstance(m.get("content"), str) for m in messages):
        return request
    slim = [m if isinstance(m.get("content"), str) else {**m, "content": _slim(m.get("content"))} for m in messages]
    return {**request, "messages": slim}


def _slim(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return [_slim(p) for p in part]
    if isinstance(part, dict):
        return {
            name: _fingerprint(value, "") if name == "data" and isinstance(value, str) else _slim(value)
            for name, value in part.items()
        }
    if isinstance(part, str) and part.startswith("data:") and ";base64," in part[:200]:
        head, _, body = part.partition(",")
        return _fingerprint(body, head[5:].split(";")[0])
    return part


def _fingerprint(encoded: str, media_type: str) -> dict[str, str]:
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        content = encoded.encode("utf-8", "surrogatepass")
    return {"sha256": bytes_hash(content)} | ({"media_type": media_type} if media_type else {})
