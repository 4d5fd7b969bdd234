"""Running a Judge past one machine: Ray Data hands shards of posts to actors, each with a Judge of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from folkmoot import records
from folkmoot.records import BadInput, FolkmootError, Judge, MissingExtra, Outcome
from folkmoot.runs.judging import Progress, RunSummary, check_failures
from folkmoot.runs.shards import ShardDone, VerdictFormat, judge_shard, read_done, total_outcomes, work_folder

TRIES_PER_SHARD = 4
"""How often a shard is begun before a post that kills its worker each time stops the run (chosen)."""

MAX_BLOCKS = 4096
"""The most tasks that Ray is given at once; beyond it several shards share one (chosen: Ray keeps each in memory)."""


def judge_on_ray(
    build_judge: Callable[[], Judge],
    shards: Sequence[str],
    out: str | Path,
    *,
    workers: int = 2,
    concurrency: int = 64,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
    columns: Mapping[str, str] | None = None,
    form: VerdictFormat = "jsonl",
    work: Path | None = None,
    address: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    max_failure_share: float | None = None,
) -> RunSummary:
    """The summary, once `out` holds one file of verdicts for each shard: the lines that one process would write.

    Resumes by shard: one that is complete without a failure is not read again. A shard that a killed worker or driver
    left half done goes on behind its last verdict, as long as `work` is the same disk; then nothing is judged twice
    but the posts in flight. Each worker builds one Judge and judges shard after shard with it.

    Args:
        build_judge: called once in each worker, so it must be picklable; a model's client or a `Ledger` is made inside
            it. A `Budget` made there limits that worker alone.
        shards: files of posts, each a path or any fsspec address; see `find_shards`. Ids must differ over all of them.
        out: a folder, a path or an fsspec address.
        workers: the most actors at a time; fewer where the cluster has no CPUs for them.
        concurrency: posts in flight in each worker.
        form: what the files of verdicts are: JSONL, or Parquet tables that hold the same lines.
        work: the folder for unfinished shards, seen by every worker; beside `out` by default.
        address: the Ray cluster's; without it the one that is already joined, or a new one on this machine.

    Raises:
        MissingExtra: Ray is not installed.
        BadInput: no shards, a shard named twice or missing, or a `build_judge` that cannot be pickled.
        RunMismatch: a shard has changed since it was judged.
        TooManyFailures: more than `max_failure_share` of all posts failed. Every verdict is written.
        FolkmootError: what stopped a worker, by its own class where it is one of the error tree; a worker that dies
            at the same shard four times over.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("Judging on Ray", "ray") from error
    started = time.monotonic()
    out = str(out)
    _check_shards(shards)
    marks = [done for shard in shards if (done := read_done(shard, out, form)) is not None]
    skipped = sum(done.posts - done.failed for done in marks)
    finished = [done for done in marks if not done.failed]
    complete = {done.shard for done in finished}
    waiting = [shard for shard in shards if shard not in complete]
    if waiting:
        settings = {"out": out, "work": str(work or work_folder(out)), "concurrency": concurrency, "columns": columns,
                    "form": form}  # fmt: skip
        joined = not ray.is_initialized()
        if joined:
            _join(ray, address)
        try:
            _check_picklable(ray, build_judge)
            for done in _results(ray, build_judge, waiting, settings, workers, cpus_per_worker, gpus_per_worker):
                finished.append(done)
                if on_progress is not None:
                    on_progress(_progress(finished, len(shards), skipped, time.monotonic() - started))
        finally:
            if joined:
                ray.shutdown()
    seconds = time.monotonic() - started
    outcomes = total_outcomes(finished)
    posts, failed = sum(done.posts for done in finished), sum(done.failed for done in finished)
    summary = RunSummary(
        posts=posts, judged=posts - skipped, skipped=skipped, failed=failed,
        outcomes={outcome: outcomes[outcome] for outcome in Outcome if outcome in outcomes},
        seconds=seconds, posts_per_second=(posts - skipped) / seconds if seconds > 0 else 0.0,
    )  # fmt: skip
    check_failures(summary, max_failure_share, where=out)
    return summary


class ShardJudge:
    """A Ray actor's callable: one Judge and one event loop for as long as the actor lives.

    An error of ours comes back as a row, since Ray would wrap it beyond recognition.
    """

    def __init__(self, build_judge: Callable[[], Judge], settings: dict[str, Any]) -> None:
        self.settings = settings
        self.runner = asyncio.Runner()
        self.error: FolkmootError | None = None
        try:
            self.judge = build_judge()
        except FolkmootError as error:
            self.error = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        rows = [self.judge_one(str(shard)) for shard in batch["shard"]]
        return {name: [row[name] for row in rows] for name in ("done", "error", "kind")}

    def judge_one(self, shard: str) -> dict[str, str]:
        try:
            if self.error is not None:
                raise self.error
            done = judge_shard(
                self.judge, shard, self.settings["out"], work=Path(self.settings["work"]), runner=self.runner,
                concurrency=self.settings["concurrency"], columns=self.settings["columns"],
                form=self.settings["form"],
            )  # fmt: skip
        except FolkmootError as error:
            kind = next(kind.__name__ for kind in type(error).__mro__ if hasattr(records, kind.__name__))
            return {"done": "", "error": str(error), "kind": kind}
        return {"done": done.to_line(), "error": "", "kind": ""}


def _results(
    ray: Any,
    build_judge: Callable[[], Judge],
    shards: list[str],
    settings: dict[str, Any],
    workers: int,
    cpus_per_worker: float,
    gpus_per_worker: float,
) -> Iterator[ShardDone]:
    """Each shard's mark as it is done.

    Raises:
        FolkmootError: the first error of a worker; the others are stopped and their work stays in their logs.
    """
    import ray.data as ray_data
    from ray.exceptions import RayError

    affordable = int(ray.cluster_resources().get("CPU", 0) / cpus_per_worker) if cpus_per_worker else workers
    most = max(1, min(workers, len(shards)))
    context = ray_data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    rows = ray_data.from_items(
        [{"shard": shard} for shard in shards], override_num_blocks=min(len(shards), MAX_BLOCKS)
    ).map_batches(
        ShardJudge,
        batch_size=1,
        fn_constructor_kwargs={"build_judge": build_judge, "settings": settings},
        compute=ray_data.ActorPoolStrategy(min_size=max(1, min(most, affordable)), max_size=most),
        num_cpus=cpus_per_worker,
        num_gpus=gpus_per_worker or None,
        max_restarts=-1,
        max_task_retries=TRIES_PER_SHARD - 1,
    )
    try:
        for row in rows.iter_rows():
            if row["error"]:
                raise _error_of(row["kind"], row["error"])
            yield ShardDone.from_line(row["done"])
    except RayError as error:
        raise FolkmootError(
            f"Judging on Ray: the workers gave up ({_reason(error)}). Where a module is missing, install it on every "
            "machine; a worker that dies at each try is mostly out of memory: give fewer workers or a lower "
            "concurrency. What is done is kept; the same command goes on."
        ) from error


def _join(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what is judged here
    try:
        ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=False,
                 logging_level=logging.WARNING)  # fmt: skip
    except ConnectionError as error:
        raise BadInput(f"Joining the Ray cluster at '{address}': nobody answers. Check the address, or leave it out to "
                       "use this machine.") from error  # fmt: skip


def _check_shards(shards: Sequence[str]) -> None:
    if not shards:
        raise BadInput("Judging on Ray: no shards of posts were given. Name at least one file of posts.")
    seen: set[str] = set()
    for shard in shards:
        if shard in seen:
            raise BadInput(f"Judging on Ray: the shard {shard} is named twice. Name each once.")
        seen.add(shard)


def _check_picklable(ray: Any, build_judge: Callable[[], Judge]) -> None:
    try:
        ray.cloudpickle.dumps(build_judge)
    except Exception as error:  # whatever a captured object raises when it is pickled
        raise BadInput(
            f"Judging on Ray: build_judge cannot be sent to a worker ({_reason(error)}). Build models, ledgers and "
            "files inside it instead of capturing them."
        ) from error


def _error_of(kind: str, message: str) -> FolkmootError:
    error = getattr(records, kind)
    # These take more than a message; their message is complete already.
    if error is records.BadRecord:
        return BadInput(message)
    if error is records.MissingExtra:
        missing = FolkmootError(message)
        missing.exit_code = records.MissingExtra.exit_code
        return missing
    made: FolkmootError = error(message)
    return made


def _progress(finished: list[ShardDone], shards: int, skipped: int, seconds: float) -> Progress:
    """Progress in posts; what the shards to come hold is taken to be what those done held on average."""
    posts = sum(done.posts for done in finished)
    judged = posts - skipped if posts >= skipped else 0
    rate = judged / seconds if seconds > 0 else 0.0
    left = posts / len(finished) * (shards - len(finished))
    return Progress(
        judged=judged, skipped=skipped, failed=sum(done.failed for done in finished), seconds=seconds,
        posts_per_second=rate, seconds_left=left / rate if rate > 0 else None,
    )  # fmt: skip


def _reason(error: BaseException) -> str:
    """What went wrong, in few words. A worker's own message could hold a post's text, so only its kind is told."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    missing = next((line for line in reversed(lines) if line.startswith(("ModuleNotFoundError", "ImportError"))), None)
    kind = getattr(error, "cause", None) or error
    return missing or type(kind).__name__
