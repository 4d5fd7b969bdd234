import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from judges_for_runs import LengthJudge, posts, verdict_on

from folkmoot.records import BadInput, BudgetReached, Outcome, Post, StorageFailed, TooManyFailures, Verdict
from folkmoot.runs import Ledger, Price, Progress, RunSummary, VerdictLog, judge_posts, plan_run


@pytest.fixture
def log(tmp_path: Path) -> Iterator[VerdictLog]:
    with VerdictLog(tmp_path / "v.jsonl") as log:
        yield log


async def test_every_post_gets_the_verdict_that_its_judge_gives(log: VerdictLog) -> None:
    summary = await judge_posts(LengthJudge(), posts(20), log=log, concurrency=4)
    assert log.verdicts() == {post.id: verdict_on(post) for post in posts(20)}
    assert (summary.posts, summary.judged, summary.skipped, summary.outcomes) == (20, 20, 0, {"labelled": 20})


async def test_a_judge_never_sees_the_gold_label(log: VerdictLog) -> None:
    seen: list[Post] = []
    post = Post(id="p", text="tea", label="warm", attribution=("x",), split="test", meta={"label": "warm"})
    await judge_posts(LengthJudge(seen.append), [post], log=log)
    assert seen == [Post(id="p", text="tea")]


async def test_as_many_posts_are_judged_at_once_as_asked_and_the_stream_is_not_read_ahead(log: VerdictLog) -> None:
    read = 0

    def stream() -> Iterator[Post]:
        nonlocal read
        for post in posts(100):
            read += 1
            yield post

    ahead = []
    judge = LengthJudge(lambda _: ahead.append(read - len(judge.seen)), seconds=0.001)
    await judge_posts(judge, stream(), log=log, concurrency=8)
    assert judge.most_at_once == 8
    assert max(ahead) <= 1


async def test_what_the_log_holds_is_skipped_and_only_failures_are_judged_again(log: VerdictLog) -> None:
    first = posts(4)
    for post, outcome in zip(first, (Outcome.LABELLED, Outcome.ABSTAINED, Outcome.REFUSED, None), strict=True):
        if outcome:
            log.append(verdict_on(post, outcome))
    judge = LengthJudge()
    summary = await judge_posts(judge, first, log=log)
    assert judge.seen == ["p2", "p3"]
    assert (summary.judged, summary.skipped) == (2, 2)
    assert summary.outcomes == {"labelled": 3, "abstained": 1}


async def test_a_spent_budget_stops_the_run_after_the_posts_in_flight_are_kept(log: VerdictLog) -> None:
    def spent(post: Post) -> None:
        if post.id == "p10":
            raise BudgetReached("--max-calls 10")

    class Staggered(LengthJudge):
        async def judge(self, post: Post) -> Verdict:
            await asyncio.sleep(0 if post.id == "p10" else 0.02)
            return await super().judge(post)

    with pytest.raises(BudgetReached):
        await judge_posts(judge := Staggered(spent), iter(posts(1000)), log=log, concurrency=16)
    assert set(log.verdicts()) == {f"p{n}" for n in range(16)} - {"p10"}
    assert len(judge.seen) == 16


async def test_the_first_error_is_the_one_that_is_raised(log: VerdictLog) -> None:
    def fail(post: Post) -> None:
        raise BudgetReached("first") if post.id == "p0" else StorageFailed("echo")

    with pytest.raises(BudgetReached, match="first"):
        await judge_posts(LengthJudge(fail, seconds=0.001), posts(5), log=log)


async def test_a_full_disk_stops_the_run(log: VerdictLog, monkeypatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(StorageFailed, match="No space left"):
        await judge_posts(judge := LengthJudge(), iter(posts(1000)), log=log, concurrency=3)
    assert len(judge.seen) <= 3


async def test_a_cancelled_run_leaves_no_worker_behind(log: VerdictLog) -> None:
    run = asyncio.create_task(judge_posts(LengthJudge(seconds=30), posts(9), log=log, concurrency=3))
    await asyncio.sleep(0.02)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_two_posts_in_flight_with_one_id_are_refused(log: VerdictLog) -> None:
    with pytest.raises(BadInput, match="the id 'p0'"):
        await judge_posts(LengthJudge(seconds=0.001), [*posts(1), *posts(1)], log=log)


async def test_a_verdict_on_another_post_is_refused(log: VerdictLog) -> None:
    class Confused(LengthJudge):
        async def judge(self, post: Post) -> Verdict:
            return verdict_on(Post(id="another"))

    with pytest.raises(BadInput, match=r"'p0' and returned one for 'another'"):
        await judge_posts(Confused(), posts(1), log=log)


async def test_too_many_failures_stop_the_run_as_soon_as_the_share_is_certain(log: VerdictLog) -> None:
    judge = LengthJudge(lambda _: Outcome.CALL_FAILED)
    with pytest.raises(TooManyFailures, match="21 of 100 posts failed, more than the"):
        await judge_posts(judge, posts(100), log=log, concurrency=1, max_failure_share=0.2)
    assert len(judge.seen) == 21


async def test_in_a_stream_the_share_of_failures_is_known_at_its_end(log: VerdictLog) -> None:
    judge = LengthJudge(lambda post: Outcome.REFUSED if post.id in ("p0", "p1", "p2") else None)
    with pytest.raises(TooManyFailures, match="3 of 10"):
        await judge_posts(judge, iter(posts(10)), log=log, max_failure_share=0.2)
    assert len(log) == 10


async def test_a_stopped_run_tells_its_summary_the_commonest_problem_and_the_file(log: VerdictLog) -> None:
    judge = LengthJudge(lambda post: Outcome.REFUSED if post.id in ("p1", "p4", "p5") else None)
    with pytest.raises(TooManyFailures) as stopped:
        await judge_posts(judge, iter(posts(10)), log=log, max_failure_share=0.2)
    assert "Most often (3): refused" in str(stopped.value)
    assert f"Their verdicts in {log.path} say why" in str(stopped.value)
    summary = stopped.value.so_far
    assert isinstance(summary, RunSummary)
    assert (summary.posts, summary.judged, summary.failed) == (10, 10, 3)


async def test_what_a_budget_stopped_counts_all_posts_and_says_where_the_verdicts_are(log: VerdictLog) -> None:
    def broke(post: Post) -> None:
        if post.id == "p2":
            raise BudgetReached("--max-calls 2.")

    with pytest.raises(BudgetReached, match=r"--max-calls 2\. The verdicts so far are in V\.jsonl") as stopped:
        await judge_posts(LengthJudge(broke), posts(9), log=log, concurrency=1, out="V.jsonl")
    summary = stopped.value.so_far
    assert isinstance(summary, RunSummary)
    assert (summary.posts, summary.judged, summary.failed) == (9, 2, 0)


async def test_an_accepted_share_of_failures_passes(log: VerdictLog) -> None:
    judge = LengthJudge(lambda post: Outcome.REFUSED if post.id == "p0" else None)
    summary = await judge_posts(judge, posts(10), log=log, max_failure_share=0.1)
    assert (summary.failed, summary.outcomes) == (1, {"labelled": 9, "refused": 1})


async def test_progress_tells_rate_calls_cost_and_time_left(log: VerdictLog, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("folkmoot.runs.judging.PROGRESS_SECONDS", 0.0)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.finish(ledger.begin("earlier", {}, "m"), "earlier", reply={}, cost_usd=100)
        log.append(verdict_on(posts(1)[0]))

        def call(post: Post) -> None:
            ledger.finish(ledger.begin(post.id, {}, "m"), post.id, reply={}, cost_usd=0.5)

        seen: list[Progress] = []
        await judge_posts(
            LengthJudge(call, seconds=0.002), posts(11), log=log, ledger=ledger, concurrency=1, on_progress=seen.append
        )
    half = next(p for p in seen if p.judged == 5)
    assert (half.posts, half.skipped, half.failed, half.calls, half.cost_usd) == (11, 1, 0, 5, 2.5)
    assert half.posts_per_second == pytest.approx(5 / half.seconds)
    assert half.seconds_left == pytest.approx(5 / half.posts_per_second)
    assert (seen[-1].judged, seen[-1].seconds_left) == (10, 0)


async def test_progress_is_not_reported_for_every_post(log: VerdictLog) -> None:
    seen: list[Progress] = []
    await judge_posts(LengthJudge(), posts(2000), log=log, on_progress=seen.append)
    assert 1 <= len(seen) < 50
    assert seen[-1].judged == 2000


async def test_memory_stays_flat_over_a_long_stream(log: VerdictLog) -> None:
    import tracemalloc

    count = itertools.count()
    stream = (Post(id=str(next(count)), text="x" * 1000) for _ in range(6000))
    peaks = []

    def measure(post: Post) -> None:
        if int(post.id) == 1000:
            tracemalloc.start()
        if int(post.id) == 5999:
            peaks.append(tracemalloc.get_traced_memory()[1])

    await judge_posts(LengthJudge(measure), stream, log=log, concurrency=64)
    tracemalloc.stop()
    # 5,000 posts of 1 kB and their verdicts would be over 10 MB; the index is under 200 bytes a post.
    assert peaks[0] < 2_000_000


async def test_a_slow_post_holds_no_slot_but_its_own(log: VerdictLog) -> None:
    last = asyncio.Event()

    class FirstWaitsForLast(LengthJudge):
        async def judge(self, post: Post) -> Verdict:
            if post.id == "p999":
                last.set()
            elif post.id == "p0":
                await last.wait()
            return await super().judge(post)

    judge = FirstWaitsForLast(seconds=0.0001)
    summary = await asyncio.wait_for(judge_posts(judge, posts(1000), log=log, concurrency=4), 60)
    assert summary.judged == 1000
    assert judge.most_at_once <= 4


def test_a_plan_adds_up_what_each_post_may_take(log: VerdictLog) -> None:
    log.append(verdict_on(posts(1)[0]))
    log.append(verdict_on(posts(2)[1], Outcome.REFUSED))
    price = Price(input_usd_per_million=1e6, output_usd_per_million=2e6)
    plan = plan_run(judge := LengthJudge(), posts(3), price, log=log)
    prompt_tokens = sum(len(post.text) for post in posts(3)[1:])
    assert judge.seen == []
    assert (plan.posts, plan.skipped, plan.calls_min, plan.calls_max) == (3, 1, 4, 8)
    assert (plan.prompt_tokens, plan.completion_tokens) == (prompt_tokens, 20)
    assert plan.cost_usd == pytest.approx(prompt_tokens + 40)
