import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judges_for_runs import KillingJudge, LengthJudge, posts, verdict_on

from folkmoot.formats import read_verdicts, write_posts
from folkmoot.records import BadInput, BadRecord, BudgetReached, Outcome, Post, RunMismatch
from folkmoot.runs.shards import find_shards, gather_verdicts, judge_shard, part_name, read_done

fsspec = pytest.importorskip("fsspec")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def shard(tmp_path: Path) -> str:
    write_posts(posts(10), tmp_path / "posts.jsonl")
    return str(tmp_path / "posts.jsonl")


def lines(count: int) -> bytes:
    return b"".join(verdict_on(post).to_line().encode() + b"\n" for post in posts(count))


def test_a_shard_becomes_one_file_of_verdicts_in_the_order_of_its_posts(tmp_path, shard, runner) -> None:
    out, work = str(tmp_path / "out"), tmp_path / "work"
    done = judge_shard(LengthJudge(seconds=0.001), shard, out, work=work, runner=runner)
    assert (tmp_path / "out" / part_name(shard)).read_bytes() == lines(10)
    assert (done.posts, done.failed, done.outcomes) == (10, 0, {"labelled": 10})
    assert read_done(shard, out) == done
    assert [p.name for p in work.iterdir()] == [part_name(shard) + ".lock"]


def test_a_finished_shard_is_not_judged_again(tmp_path, shard, runner) -> None:
    judge = LengthJudge()
    for _ in range(2):
        judge_shard(judge, shard, str(tmp_path / "out"), work=tmp_path / "work", runner=runner)
    assert len(judge.seen) == 10


def test_a_shard_that_was_broken_off_goes_on_behind_its_last_verdict(tmp_path, shard, runner) -> None:
    def stop(post: Post) -> None:
        if post.id == "p6":
            raise BudgetReached("enough")

    out, work = str(tmp_path / "out"), tmp_path / "work"
    with pytest.raises(BudgetReached):
        judge_shard(LengthJudge(stop), shard, out, work=work, runner=runner, concurrency=1)
    assert not (tmp_path / "out").exists(), "half a shard is never seen"
    judge_shard(judge := LengthJudge(), shard, out, work=work, runner=runner)
    assert judge.seen == ["p6", "p7", "p8", "p9"]
    assert (tmp_path / "out" / part_name(shard)).read_bytes() == lines(10)


def test_only_failed_posts_of_a_shard_are_judged_a_second_time(tmp_path, shard, runner) -> None:
    failing = LengthJudge(lambda post: Outcome.CALL_FAILED if post.id == "p3" else None)
    out, work = str(tmp_path / "out"), tmp_path / "work"
    assert judge_shard(failing, shard, out, work=work, runner=runner).failed == 1
    assert judge_shard(judge := LengthJudge(), shard, out, work=work, runner=runner).failed == 0
    assert judge.seen == ["p3"]
    assert (tmp_path / "out" / part_name(shard)).read_bytes() == lines(10)


def test_a_parquet_shard_holds_the_same_lines_and_resumes_from_them(tmp_path, shard, runner) -> None:
    failing = LengthJudge(lambda post: Outcome.CALL_FAILED if post.id == "p3" else None)
    out, work = str(tmp_path / "out"), tmp_path / "work"
    assert judge_shard(failing, shard, out, work=work, runner=runner, form="parquet").failed == 1
    judge_shard(judge := LengthJudge(), shard, out, work=work, runner=runner, form="parquet")
    assert judge.seen == ["p3"]
    part = tmp_path / "out" / part_name(shard, "parquet")
    assert part.suffix == ".parquet"
    assert read_verdicts(part) == [verdict_on(post) for post in posts(10)]
    assert gather_verdicts([shard], out, tmp_path / "v.jsonl", "parquet") == 10
    assert (tmp_path / "v.jsonl").read_bytes() == lines(10)
    assert pq.read_table(part, filters=[("id", "=", "p3")], columns=["label"]).to_pylist() == [
        {"label": verdict_on(posts(10)[3]).label}
    ]


def test_a_table_of_something_else_is_no_table_of_verdicts(tmp_path) -> None:
    write_posts(posts(3), tmp_path / "posts.parquet")
    with pytest.raises(BadRecord, match=r"posts\.parquet.*no table of verdicts"):
        read_verdicts(tmp_path / "posts.parquet")


def test_a_shard_that_changed_since_is_refused(tmp_path, shard, runner) -> None:
    judge_shard(LengthJudge(), shard, str(tmp_path / "out"), work=tmp_path / "work", runner=runner)
    write_posts(posts(11), shard)
    with pytest.raises(RunMismatch, match=r"posts\.jsonl has changed"):
        read_done(shard, str(tmp_path / "out"))


def test_a_bad_record_of_a_shard_is_named_and_the_posts_before_it_are_kept(tmp_path, shard, runner) -> None:
    path = Path(shard)
    path.write_text(path.read_text() + "not json\n")
    with pytest.raises(BadRecord, match=r"posts\.jsonl, line 11"):
        judge_shard(LengthJudge(), shard, str(tmp_path / "out"), work=tmp_path / "work", runner=runner)
    assert (tmp_path / "work" / part_name(shard)).read_bytes() == lines(10)


def test_a_remote_shard_becomes_a_remote_file(tmp_path, shard, runner) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/in/a.jsonl", Path(shard).read_bytes())
    try:
        (address,) = find_shards("memory://in/*.jsonl")
        done = judge_shard(LengthJudge(), address, "memory://out", work=tmp_path, runner=runner)
        assert memory.cat_file(f"/out/{part_name(address)}") == lines(10)
        assert read_done(address, "memory://out") == done
        assert len(memory.ls("/out")) == 2, "no draft is left"
        memory.pipe_file("/in/a.jsonl", b"another length")
        with pytest.raises(RunMismatch):
            read_done(address, "memory://out")
    finally:
        memory.rm("/in", recursive=True)
        memory.rm("/out", recursive=True)


def test_a_second_worker_waits_for_the_first_and_then_judges_nothing(tmp_path, shard) -> None:
    def work_on(judge: LengthJudge) -> None:
        with asyncio.Runner() as own:
            judge_shard(judge, shard, str(tmp_path / "out"), work=tmp_path / "work", runner=own, concurrency=10)

    first, second = LengthJudge(seconds=0.3), LengthJudge()
    thread = threading.Thread(target=work_on, args=(first,))
    thread.start()
    while not first.seen:
        time.sleep(0.01)
    work_on(second)
    thread.join()
    assert (len(first.seen), second.seen) == (10, [])


def test_shards_are_found_in_a_folder_and_by_a_pattern(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.parquet", "notes.txt"):
        (tmp_path / name).touch()
    a, b = str(tmp_path / "a.parquet"), str(tmp_path / "b.jsonl")
    assert find_shards(str(tmp_path)) == [a, b]
    assert find_shards(str(tmp_path / "*.jsonl")) == [b]
    assert find_shards(b) == [b]
    with pytest.raises(BadInput, match="nothing there"):
        find_shards(str(tmp_path / "c.jsonl"))
    with pytest.raises(BadInput, match="nosuchstore"):
        find_shards("nosuchstore://bucket/a.jsonl")


def test_gathered_verdicts_are_what_one_process_would_write(tmp_path, shard, runner) -> None:
    other = tmp_path / "more" / "posts.jsonl"  # the same name in another folder is another shard
    other.parent.mkdir()
    write_posts(posts(5, "q"), other)
    out, gathered = str(tmp_path / "out"), tmp_path / "v.jsonl"
    judge_shard(LengthJudge(), shard, out, work=tmp_path / "work", runner=runner)
    with pytest.raises(BadInput, match="is not done"):
        gather_verdicts([str(other), shard], out, gathered)
    assert not gathered.exists()
    judge_shard(LengthJudge(), str(other), out, work=tmp_path / "work", runner=runner)
    assert gather_verdicts([str(other), shard], out, gathered) == 15
    assert gathered.read_text().splitlines() == [verdict_on(p).to_line() for p in [*posts(5, "q"), *posts(10)]]


def test_an_id_in_two_shards_is_refused_when_they_are_gathered(tmp_path, shard, runner) -> None:
    write_posts(posts(3), tmp_path / "again.jsonl")
    shards, out = [shard, str(tmp_path / "again.jsonl")], str(tmp_path / "out")
    for each in shards:
        judge_shard(LengthJudge(), each, out, work=tmp_path / "work", runner=runner)
    with pytest.raises(BadInput, match=r"'p0' is in two shards, the second is .*again\.jsonl"):
        gather_verdicts(shards, out, tmp_path / "v.jsonl")


def test_the_killing_judge_of_the_ray_tests_agrees_with_the_plain_one(tmp_path, shard, runner) -> None:
    judge_shard(KillingJudge(str(tmp_path)), shard, str(tmp_path / "out"), work=tmp_path / "work", runner=runner)
    assert (tmp_path / "out" / part_name(shard)).read_bytes() == lines(10)
