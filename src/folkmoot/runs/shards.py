"""One shard of posts -> one file of verdicts, on any file system that fsspec reaches."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

from folkmoot.formats import iter_posts
from folkmoot.formats.verdicts import table_lines, write_verdict_table
from folkmoot.records import BadInput, Judge, MissingExtra, Post, Record, RunMismatch, StorageFailed
from folkmoot.runs.atomic import atomic_file, write_atomically
from folkmoot.runs.judging import judge_posts
from folkmoot.runs.verdict_log import VerdictLog

POSTS_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".parquet", ".csv", ".tsv")
CONTENT_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
"""Under which names remote stores tell a file's content apart."""

VerdictFormat = Literal["jsonl", "parquet"]

LOCK_WAIT_SECONDS = 60.0
"""How long a worker waits for a predecessor on the same shard to die (chosen: Ray ends orphans within seconds)."""


class ShardDone(Record):
    """The mark beside a shard's verdicts that says they are complete. `fingerprint` is the content of the shard."""

    shard: str
    fingerprint: str
    posts: int
    failed: int
    outcomes: dict[str, int]


def find_shards(address: str) -> list[str]:
    """The shards at an address, sorted: a file, a pattern with `*`, or every file of posts in a folder.

    Raises:
        BadInput: there are none.
    """
    system, path = _reach(address)
    if "*" in path or "?" in path:
        found = system.glob(path)
    elif system.isdir(path):
        found = [name for name in system.ls(path, detail=False) if str(name).endswith(POSTS_SUFFIXES)]
    else:
        found = [path] if system.exists(path) else []
    if not found:
        raise BadInput(
            f"Looking for posts at {address}: nothing there. Accepted: a file, a pattern such as 'posts/*.parquet', or "
            f"a folder with files ending in {', '.join(POSTS_SUFFIXES)}."
        )
    return sorted(str(name) if _is_local(system) else system.unstrip_protocol(name) for name in found)


def part_name(shard: str, form: VerdictFormat = "jsonl") -> str:
    """The name of a shard's file of verdicts: the same whatever other shards there are."""
    stem = PurePosixPath(shard).name.split(".")[0]
    return f"{stem}-{hashlib.sha256(shard.encode()).hexdigest()[:10]}.{form}"


def part_lines(system: Any, path: str) -> Iterator[bytes]:
    """The verdicts of a shard's file, each as its line of JSON without the line's end."""
    with system.open(path, "rb") as part:
        if path.endswith(".parquet"):
            for _, line in table_lines(part, path):
                yield line.encode()
        else:
            for line in part:
                yield line.rstrip(b"\n")


def read_done(shard: str, out: str, form: VerdictFormat = "jsonl") -> ShardDone | None:
    """The mark of a shard whose verdicts are complete under `out`, or None while they are not.

    Raises:
        RunMismatch: the shard has changed since.
    """
    system, folder = _reach(out)
    mark = f"{folder}/{part_name(shard, form)}.done"
    if not system.exists(mark):
        return None
    done = ShardDone.from_line(system.cat_file(mark))
    if done.fingerprint != _fingerprint(shard):
        raise RunMismatch(
            f"Resuming the verdicts under {out}: the shard {shard} has changed since it was judged. Write the verdicts "
            "elsewhere, or put the old shard back."
        )
    return done


def judge_shard(
    judge: Judge,
    shard: str,
    out: str,
    *,
    work: Path,
    runner: asyncio.Runner,
    concurrency: int = 64,
    columns: Mapping[str, str] | None = None,
    form: VerdictFormat = "jsonl",
) -> ShardDone:
    """The mark of the shard, once `out` holds a verdict on each of its posts, in their order.

    Verdicts reached so far lie in a log in the folder `work`, so a killed worker's successor goes on behind the last
    one. The file under `out` appears whole, then its mark; the log is then removed. Posts that failed are judged again
    when the shard comes a second time.
    """
    part = part_name(shard, form)
    with _lock(work / f"{part}.lock"):
        done = read_done(shard, out, form)
        if done is not None and not done.failed:
            return done
        system, folder = _reach(out)
        log_path = work / part
        if done is not None and not log_path.exists():
            write_atomically(log_path, b"".join(line + b"\n" for line in part_lines(system, f"{folder}/{part}")))
        fingerprint = _fingerprint(shard)
        with VerdictLog(log_path) as log, _local_file(shard, work) as path:

            def posts() -> Iterator[Post]:
                return iter_posts(path, columns=columns, questions=judge.task.answers == "question")

            summary = runner.run(judge_posts(judge, posts(), log=log, concurrency=concurrency))
            lines = log.lines(post.id for post in posts())
            with _publish(f"{out}/{part}", work) as file:
                if form == "parquet":
                    write_verdict_table(lines, file)
                else:
                    file.writelines(line + b"\n" for line in lines)
        done = ShardDone(
            shard=shard, fingerprint=fingerprint, posts=summary.posts, failed=summary.failed, outcomes=summary.outcomes
        )
        with _publish(f"{out}/{part}.done", work) as file:
            file.write(done.to_line().encode())
        log_path.unlink(missing_ok=True)
        return done


def gather_verdicts(shards: Sequence[str], out: str, path: Path | str, form: VerdictFormat = "jsonl") -> int:
    """The number of verdicts written to `path`: those of all shards, in the shards' order.

    Raises:
        BadInput: a shard has not been judged, or a post's id is in two shards. `path` is then untouched.
    """
    system, folder = _reach(out)
    seen: set[str] = set()
    with atomic_file(path) as file:
        for shard in shards:
            name = f"{folder}/{part_name(shard, form)}"
            if not system.exists(f"{name}.done"):
                raise BadInput(f"Gathering verdicts from {out}: the shard {shard} is not done. Judge it first.")
            for line in part_lines(system, name):
                post = json.loads(line)["id"]
                if post in seen:
                    raise BadInput(
                        f"Gathering verdicts from {out}: the id '{post}' is in two shards, the second is {shard}. "
                        "Ids must differ over all shards."
                    )
                seen.add(post)
                file.write(line + b"\n")
    return len(seen)


def work_folder(out: str) -> Path:
    """Where workers keep unfinished shards: beside the verdicts where that is a folder, else in the machine's own."""
    system, folder = _reach(out)
    if _is_local(system):
        return Path(folder) / ".work"
    return Path(tempfile.gettempdir()) / f"folkmoot-{hashlib.sha256(out.encode()).hexdigest()[:16]}"


def _reach(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("Reading shards of posts", "ray") from error
    try:
        system, path = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise BadInput(
            f"Reaching {address}: {error}. Accepted: a path, or an address whose fsspec driver is installed."
        ) from error
    return system, str(path)


def _is_local(system: Any) -> bool:
    protocol = system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _fingerprint(shard: str) -> str:
    """The content's hash for a local file; what a remote store says of it otherwise, without fetching it."""
    system, path = _reach(shard)
    if not system.exists(path):
        raise BadInput(f"Reading the shard {shard}: there is no such file. Check the address.")
    if _is_local(system):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    about = system.info(path)
    tag = next((str(about[name]) for name in CONTENT_TAGS if about.get(name)), "")
    return f"{about.get('size')}:{tag}"


@contextlib.contextmanager
def _local_file(shard: str, work: Path) -> Iterator[Path]:
    """The shard as a file of this machine, fetched where it is not one. Relative media paths need it to be one."""
    system, path = _reach(shard)
    if _is_local(system):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(dir=work) as folder:
        fetched = Path(folder) / PurePosixPath(path).name
        try:
            system.get_file(path, str(fetched))
        except OSError as error:
            raise StorageFailed(f"Fetching the shard {shard}: {error}. The same command goes on from here.") from error
        yield fetched


@contextlib.contextmanager
def _publish(address: str, work: Path) -> Iterator[BinaryIO]:
    """A file to write to, which appears at the address whole or not at all."""
    system, path = _reach(address)
    if _is_local(system):
        with atomic_file(path) as file:
            yield file
        return
    draft = work / f"{uuid.uuid4().hex}.draft"
    beside = f"{path}.{uuid.uuid4().hex}.partial"
    try:
        with draft.open("wb") as file:
            yield file
        system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        # Object stores show a file when it is whole; others do so only after a rename.
        system.put_file(str(draft), beside)
        system.mv(beside, path)
    except OSError as error:
        raise StorageFailed(f"Writing {address}: {error}. The same command goes on from here.") from error
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the shard alone: after a killed driver, its workers may live for some seconds beside the new ones."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BadInput(f"Judging a shard: another worker has held {path} for a minute. Is the same "
                                   "command running twice?") from error  # fmt: skip
                time.sleep(0.2)
        yield


def total_outcomes(marks: Iterable[ShardDone]) -> dict[str, int]:
    """How often each outcome came, over shards."""
    total: dict[str, int] = {}
    for mark in marks:
        for outcome, count in mark.outcomes.items():
            total[outcome] = total.get(outcome, 0) + count
    return total
