"""Running a Judge over posts: bounded memory, every verdict kept as it is reached, nothing judged twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from pathlib import Path

from pydantic import Field

from folkmoot.records import BadInput, BudgetReached, Judge, Outcome, Post, Record, TooManyFailures, Verdict
from folkmoot.runs.budget import Price
from folkmoot.runs.ledger import Ledger
from folkmoot.runs.verdict_log import VerdictLog

PROGRESS_SECONDS = 0.2
"""The shortest time between two reports of progress (chosen: smooth for an eye, nothing for the CPU)."""

STARTED_TOGETHER = 16
"""Workers started in one turn of the loop (chosen)."""

COUNTED_PROBLEMS = 1000
"""How many problems are told apart to find the commonest (chosen: an endless stream takes no more memory)."""

SHOWN_PROBLEM_CHARACTERS = 200
"""How much of the commonest problem an error repeats (chosen)."""


class Progress(Record):
    """How far a run is. `posts` is None where the posts come from a stream of unknown length.

    `skipped` posts were judged before this start; rate, calls and cost are of this start alone.
    """

    posts: int | None = None
    judged: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    posts_per_second: float = 0.0
    calls: int = 0
    cost_usd: float = 0.0
    seconds_left: float | None = None


class RunSummary(Record):
    """What a run came to. `outcomes` covers all posts, those judged before this start included."""

    posts: int = 0
    judged: int = 0
    skipped: int = 0
    failed: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0
    posts_per_second: float = 0.0
    calls: int = 0
    cost_usd: float = 0.0


class RunPlan(Record):
    """What judging the posts would take: calls in [`calls_min`, `calls_max`], tokens and cost for the maximum."""

    posts: int = 0
    skipped: int = 0
    calls_min: int = 0
    calls_max: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


async def judge_posts(
    judge: Judge,
    posts: Iterable[Post],
    *,
    log: VerdictLog,
    concurrency: int = 256,
    ledger: Ledger | None = None,
    total: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    max_failure_share: float | None = None,
    out: Path | str | None = None,
) -> RunSummary:
    """The summary, once each post has a verdict in `log`.

    `concurrency` workers pull from `posts`, so an endless stream takes no more memory than a short one. A post whose
    verdict in the log is a label or an abstention is skipped; one that failed is judged again. A judge sees
    `post.blind()` only.

    Args:
        ledger: the run's ledger, only to report calls and cost.
        total: the number of posts, where `posts` has no length.
        max_failure_share: the largest share of all posts in [0, 1] that may fail.
        out: the file that an error names as the verdicts' own; the log's by default.

    Raises:
        FolkmootError: the judge cannot go on (budget, endpoint, disk). The posts in flight are finished and logged
            first; the same command goes on from there.
        BadInput: two posts have the same id.
        TooManyFailures: more than `max_failure_share` failed. Every verdict is in the log.

    The summary of a run that the budget or too many failures stopped is the error's `so_far`.
    """
    if concurrency < 1:
        raise BadInput(f"Judging posts with a concurrency of {concurrency}: it must be at least 1.")
    if total is None and isinstance(posts, Sized):
        total = len(posts)
    round_ = _Round(judge, iter(posts), log, ledger, total, on_progress, max_failure_share)
    workers: list[asyncio.Task[None]] = []
    try:
        while len(workers) < concurrency:
            count = min(STARTED_TOGETHER, concurrency - len(workers))
            workers += [asyncio.create_task(round_.work()) for _ in range(count)]
            await asyncio.sleep(0)  # the first posts' calls leave while the next posts are prepared
        await asyncio.gather(*workers)
    finally:  # only a cancelled run has workers left here
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        round_.report(last=True)
    summary, where = round_.summary(), str(out or log.path)
    if isinstance(round_.error, BudgetReached):
        done = f" The verdicts so far are in {where}." if len(log) else ""
        stopped = BudgetReached(f"{round_.error}{done}")
        stopped.so_far = summary
        raise stopped from round_.error
    if round_.error is not None and not isinstance(round_.error, TooManyFailures):
        raise round_.error
    check_failures(summary, max_failure_share, where=where, problems=round_.problems)
    return summary


def plan_run(judge: Judge, posts: Iterable[Post], price: Price = Price(), *, log: VerdictLog | None = None) -> RunPlan:
    """What judging the posts would take, without a call. Posts that `log` already holds cost nothing."""
    count = skipped = calls_min = calls_max = prompt_tokens = completion_tokens = 0
    for post in posts:
        count += 1
        if log is not None and _is_done(log.outcome(post.id)):
            skipped += 1
            continue
        plan = judge.plan(post.blind())
        calls_min += plan.calls_min
        calls_max += plan.calls_max
        prompt_tokens += plan.prompt_tokens
        completion_tokens += plan.completion_tokens
    plan_of_run = RunPlan(
        posts=count, skipped=skipped, calls_min=calls_min, calls_max=calls_max,
        prompt_tokens=prompt_tokens, completion_tokens=completion_tokens,
    )  # fmt: skip
    return plan_of_run.model_copy(update={"cost_usd": price.of(plan_of_run)})


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and not outcome.is_failure


def check_failures(
    summary: RunSummary, max_failure_share: float | None, *, where: str, problems: Counter[str] | None = None
) -> None:
    """Nothing, where at most this share of the posts failed; None accepts any.

    Args:
        where: what holds the verdicts, for the message.
        problems: how many posts failed for which reason.

    Raises:
        TooManyFailures: more did; the summary is its `so_far`.
    """
    if max_failure_share is None or summary.failed <= max_failure_share * summary.posts:
        return
    most = ""
    if problems:
        ((problem, count),) = problems.most_common(1)
        most = f" Most often ({count}): {problem[:SHOWN_PROBLEM_CHARACTERS]}."
    error = TooManyFailures(
        f"{summary.failed} of {summary.posts} posts failed, more than the accepted share of {max_failure_share:g}."
        f"{most} Their verdicts in {where} say why; the same command judges only what failed or is left."
    )
    error.so_far = summary
    raise error


class _Round:
    """The state that the workers of one start share."""

    def __init__(
        self,
        judge: Judge,
        posts: Iterator[Post],
        log: VerdictLog,
        ledger: Ledger | None,
        total: int | None,
        on_progress: Callable[[Progress], None] | None,
        max_failure_share: float | None,
    ) -> None:
        self.judge, self.posts, self.log, self.ledger, self.total = judge, posts, log, ledger, total
        self.on_progress, self.max_failure_share = on_progress, max_failure_share
        self.outcomes: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.judged = self.skipped = self.failed = 0
        self.in_flight: set[str] = set()
        self.error: BaseException | None = None
        self.started = self.reported = time.monotonic()
        self.calls_before = ledger.calls_finished if ledger else 0
        self.cost_before = ledger.cost_finished_usd if ledger else 0.0

    async def work(self) -> None:
        """Judge post after post until the stream ends or any worker has met an error."""
        try:
            while self.error is None and (post := self.next_post()) is not None:
                try:
                    verdict = await self.judge.judge(post.blind())
                finally:
                    self.in_flight.discard(post.id)
                self.keep(verdict, post)
        except Exception as error:
            # The first error is the cause; what the other workers then meet is mostly its echo.
            self.error = self.error or error

    def next_post(self) -> Post | None:
        for post in self.posts:
            outcome = self.log.outcome(post.id)
            if _is_done(outcome):
                self.skipped += 1
                self.outcomes[str(outcome)] += 1
                self.report()
                continue
            if post.id in self.in_flight:
                raise BadInput(f"Two posts have the id '{post.id}'. Ids must differ; rename one.")
            self.in_flight.add(post.id)
            return post
        return None

    def keep(self, verdict: object, post: Post) -> None:
        if not isinstance(verdict, Verdict) or verdict.id != post.id:
            got = f"one for '{verdict.id}'" if isinstance(verdict, Verdict) else type(verdict).__name__
            raise BadInput(f"Judge '{self.judge.name}' was given the post '{post.id}' and returned {got}; it must "
                           "return a Verdict with the post's id.")  # fmt: skip
        self.log.append(verdict)
        self.judged += 1
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome.is_failure:
            self.failed += 1
            problem = str(verdict.outcome) + (f", {verdict.problem.rstrip('.')}" if verdict.problem else "")
            if problem in self.problems or len(self.problems) < COUNTED_PROBLEMS:
                self.problems[problem] += 1
            share = self.max_failure_share
            if self.total is not None and share is not None and self.failed > share * self.total:
                raise TooManyFailures("enough posts have failed for the end to be known")
        self.report()

    def report(self, *, last: bool = False) -> None:
        if self.on_progress is None:
            return
        now = time.monotonic()
        if last or now - self.reported >= PROGRESS_SECONDS:
            self.reported = now
            self.on_progress(self.progress(now))

    def progress(self, now: float) -> Progress:
        seconds = now - self.started
        rate = self.judged / seconds if seconds > 0 else 0.0
        left = None
        if self.total is not None and rate > 0:
            left = max(self.total - self.judged - self.skipped, 0) / rate
        return Progress(
            posts=self.total, judged=self.judged, skipped=self.skipped, failed=self.failed, seconds=seconds,
            posts_per_second=rate, seconds_left=left,
            calls=self.ledger.calls_finished - self.calls_before if self.ledger else 0,
            cost_usd=self.ledger.cost_finished_usd - self.cost_before if self.ledger else 0.0,
        )  # fmt: skip

    def summary(self) -> RunSummary:
        progress = self.progress(time.monotonic())
        reached = self.judged + self.skipped
        return RunSummary(
            posts=reached if self.error is None or self.total is None else self.total,
            judged=self.judged, skipped=self.skipped, failed=self.failed,
            outcomes={outcome: self.outcomes[outcome] for outcome in Outcome if self.outcomes[outcome]},
            seconds=progress.seconds, posts_per_second=progress.posts_per_second,
            calls=progress.calls, cost_usd=progress.cost_usd,
        )  # fmt: skip
