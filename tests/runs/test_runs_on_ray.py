"""A real local Ray: actors in processes of their own, which these tests kill."""

import asyncio
import functools
import importlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from judges_for_runs import KillingJudge, LengthJudge, posts, verdict_on

from folkmoot.formats import write_posts
from folkmoot.records import BadInput, BudgetReached, FolkmootError, MissingExtra, RunMismatch, TooManyFailures
from folkmoot.runs import Progress, VerdictLog, judge_on_ray, judge_posts
from folkmoot.runs.shards import gather_verdicts

pytestmark = pytest.mark.slow
HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def ray() -> Iterator[object]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE)  # where the workers find judges_for_runs
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield ray
        ray.shutdown()


def write_shards(folder: Path) -> list[str]:
    """Five shards of 8 posts, JSONL and Parquet by turns."""
    paths = [folder / f"shard{n}.{'parquet' if n % 2 else 'jsonl'}" for n in range(5)]
    for number, path in enumerate(paths):
        write_posts(posts(8, f"s{number}-"), path)
    return [str(path) for path in paths]


def expected() -> list[str]:
    return sorted(verdict_on(post).to_line() for number in range(5) for post in posts(8, f"s{number}-"))


def gathered(shards: list[str], folder: Path) -> list[str]:
    gather_verdicts(shards, str(folder / "out"), folder / "v.jsonl")
    return sorted((folder / "v.jsonl").read_text().splitlines())


def begun(folder: Path) -> Counter[str]:
    return Counter((folder / "begun.txt").read_text().split())


def test_workers_write_the_bytes_of_one_process_though_one_is_killed(ray, tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    build = functools.partial(KillingJudge, str(tmp_path), kill_at="s2-5")
    seen: list[Progress] = []
    summary = judge_on_ray(build, shards, tmp_path / "out", workers=2, concurrency=1, on_progress=seen.append)
    assert (tmp_path / "killed").exists()
    with VerdictLog(tmp_path / "alone.jsonl") as log:
        everything = [post for number in range(5) for post in posts(8, f"s{number}-")]
        asyncio.run(judge_posts(LengthJudge(), everything, log=log))
    assert gathered(shards, tmp_path) == sorted((tmp_path / "alone.jsonl").read_text().splitlines()) == expected()
    twice = {post: count for post, count in begun(tmp_path).items() if count > 1}
    # Only the posts in flight at the kill, one a worker, are begun again: each shard resumes behind its last verdict.
    assert set(twice) == {"s2-5"}
    assert (summary.posts, summary.judged, summary.failed, summary.outcomes) == (40, 40, 0, {"labelled": 40})
    assert (seen[-1].judged, seen[-1].seconds_left) == (40, 0)

    before = (tmp_path / "begun.txt").read_text()
    again = judge_on_ray(build, shards, tmp_path / "out", workers=2)
    assert (again.posts, again.judged, again.skipped) == (40, 0, 40)
    assert (tmp_path / "begun.txt").read_text() == before
    assert not list((tmp_path / "out").glob("*.partial"))


def test_workers_write_parquet_tables_of_the_same_lines(ray, tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    judge_on_ray(LengthJudge, shards, tmp_path / "out", workers=2, form="parquet")
    assert len(list((tmp_path / "out").glob("*.parquet"))) == len(shards)
    gather_verdicts(shards, str(tmp_path / "out"), tmp_path / "v.jsonl", "parquet")
    assert sorted((tmp_path / "v.jsonl").read_text().splitlines()) == expected()


class NotImportableThere(LengthJudge):
    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, ("a_module_that_no_worker_has",)


def test_a_judge_that_no_worker_can_import_is_told_by_the_modules_name(ray, tmp_path: Path) -> None:
    build = functools.partial(LengthJudge, NotImportableThere())
    with pytest.raises(FolkmootError, match="No module named 'a_module_that_no_worker_has'"):
        judge_on_ray(build, write_shards(tmp_path)[:1], tmp_path / "out", workers=1)


def out_of_money(post: object) -> NoReturn:
    raise BudgetReached("--max-calls 0")


def not_installed() -> NoReturn:
    raise MissingExtra("The embedded model", "embedded")


@pytest.mark.parametrize(
    ("build", "kind", "message", "exit_code"),
    [
        (functools.partial(LengthJudge, out_of_money), BudgetReached, "--max-calls 0", 3),
        (not_installed, FolkmootError, r"folkmoot\[embedded\]", 2),
    ],
)
def test_an_error_of_ours_arrives_as_itself(ray, tmp_path: Path, build, kind, message, exit_code) -> None:
    with pytest.raises(kind, match=message) as caught:
        judge_on_ray(build, write_shards(tmp_path)[:2], tmp_path / "out", workers=1)
    assert caught.value.exit_code == exit_code


def test_what_cannot_be_sent_to_a_worker_is_refused_in_the_driver(ray, tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    with (tmp_path / "open").open("w") as file, pytest.raises(BadInput, match="Build models, ledgers and files inside"):
        judge_on_ray(lambda: LengthJudge(lambda _: file), shards, tmp_path / "out")


def test_shards_are_checked_before_ray_is_joined(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    with pytest.raises(BadInput, match="no shards"):
        judge_on_ray(LengthJudge, [], tmp_path / "out")
    with pytest.raises(BadInput, match="named twice"):
        judge_on_ray(LengthJudge, [shards[0], shards[0]], tmp_path / "out")


def test_a_killed_driver_loses_no_shard_and_the_same_command_goes_on(ray, tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    program = (
        "import functools, json, sys\n"
        "from judges_for_runs import KillingJudge\n"
        "from folkmoot.runs import judge_on_ray\n"
        "build = functools.partial(KillingJudge, sys.argv[1], stop_seconds=0.4)\n"
        "out, address = sys.argv[1] + '/out', sys.argv[3]\n"
        "judge_on_ray(build, json.loads(sys.argv[2]), out, workers=2, concurrency=1, address=address)\n"
    )
    environment = os.environ | {"PYTHONPATH": HERE, "RAY_USAGE_STATS_ENABLED": "0"}
    address = ray.get_runtime_context().gcs_address  # one cluster: the dead driver's workers live on for a moment
    command = [sys.executable, "-c", program, str(tmp_path), json.dumps(shards), address]
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "out").glob("*.done")) and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.kill()
    assert driver.wait() == -9
    done = [path.name for path in (tmp_path / "out").glob("*.done")]
    assert 0 < len(done) < 5, "the kill came at the wrong moment to test anything"

    summary = judge_on_ray(functools.partial(KillingJudge, str(tmp_path)), shards, tmp_path / "out", workers=2)
    assert gathered(shards, tmp_path) == expected()
    assert summary.posts == 40
    assert summary.skipped >= 8
    assert sum(begun(tmp_path).values()) <= 40 + 2, "only a post in flight in each of two workers is begun again"
    with pytest.raises(TooManyFailures):
        judge_on_ray(LengthJudge, shards, tmp_path / "out", max_failure_share=-0.1)
    write_posts(posts(9), shards[0])
    with pytest.raises(RunMismatch):
        judge_on_ray(LengthJudge, shards, tmp_path / "out")
