"""Negotiation over posts against a slow endpoint, beside a bare aiohttp loop that sends the same requests.

    python benchmarks/orchestration.py --posts 1000 --pairs 3

The endpoint is a process of its own on loopback: it answers each request after a fixed latency and serves at most
`--slots` at a time. Both clients keep that many requests in flight. The moderator and the user differ on every post, so
that each post takes four calls. Printed: calls a second, the share of the server's capacity, CPU a call, peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web


def serve(pipe: Connection, latency_seconds: float, slots: int) -> None:
    """Answer until killed."""

    async def start() -> None:
        free = asyncio.Semaphore(slots)

        async def complete(request: web.Request) -> web.Response:
            body = await request.read()
            async with free:
                await asyncio.sleep(latency_seconds)
            label = "offensive" if b"moderator" in body[:600].lower() else "ok"
            content = json.dumps({"label": label, "confidence": 0.9, "reason": "It says so."})
            return web.json_response(
                {"choices": [{"message": {"content": content}, "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 300, "completion_tokens": 20}}
            )  # fmt: skip

        app = web.Application()
        app.router.add_post("/v1/chat/completions", complete)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    loop.run_forever()


def used() -> tuple[float, float]:
    """CPU seconds of this process so far, and its peak memory in MiB."""
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime, now.ru_maxrss / 1024


async def run_folkmoot(url: str, posts: int, slots: int) -> dict[str, Any]:
    """Judge posts, everything on: ledger on disk, verdict log, limits, structured replies."""
    from folkmoot.formats import load_task
    from folkmoot.models.ledgered import LedgeredModel
    from folkmoot.models.limits import Limits
    from folkmoot.models.openai import OpenAIModel
    from folkmoot.panels import Negotiation
    from folkmoot.records import Post
    from folkmoot.runs import Ledger, VerdictLog, judge_posts

    with tempfile.TemporaryDirectory() as scratch, VerdictLog(Path(scratch) / "verdicts.jsonl") as log:
        ledger = Ledger(Path(scratch) / "ledger.sqlite")
        model = LedgeredModel(OpenAIModel("tiny", url, limits=Limits(max_concurrency=slots)), ledger)
        panel = Negotiation(load_task("offensive"), model)
        invented = (Post(id=f"p{n}", text=f"Invented post number {n} about tea and rain.") for n in range(posts))
        cpu, _ = used()
        started = time.perf_counter()
        await judge_posts(panel, invented, log=log, concurrency=2 * slots, total=posts)
        seconds = time.perf_counter() - started
        totals = ledger.totals()
        requests = sample_requests(ledger, log)
        ledger.close()
        await model.aclose()
    spent, peak = used()
    return {"calls": totals.calls, "seconds": seconds, "cpu_ms_a_call": 1000 * (spent - cpu) / totals.calls,
            "peak_mib": peak, "requests": requests}  # fmt: skip


def sample_requests(ledger: Any, log: Any) -> list[dict[str, Any]]:
    """The bodies that were sent for the first hundred posts, for the bare loop to send again."""
    bodies = []
    for _, verdict in zip(range(100), log.verdicts().values(), strict=False):
        for key in verdict.calls:
            record = ledger.get(key)
            if record is not None:
                bodies.append(record.request)
    return bodies


async def run_bare(url: str, bodies: list[bytes], calls: int, slots: int) -> dict[str, Any]:
    """The same number of calls with nothing around them."""
    cpu, _ = used()
    waiting = iter(range(calls))
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for number in waiting:
                async with session.post(
                    f"{url}/chat/completions", data=bodies[number % len(bodies)], headers=headers
                ) as reply:
                    json.loads(await reply.read())

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(slots)))
        seconds = time.perf_counter() - started
    spent, peak = used()
    return {"calls": calls, "seconds": seconds, "cpu_ms_a_call": 1000 * (spent - cpu) / calls, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there, given.latency, given.slots), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}/v1"
    capacity = given.slots / given.latency
    ratios = []
    try:
        warm = asyncio.run(run_folkmoot(url, 50, given.slots))
        bodies = [json.dumps(body).encode() for body in warm["requests"]]
        for pair in range(given.pairs):
            bare = asyncio.run(run_bare(url, bodies, 4 * given.posts, given.slots))
            ours = asyncio.run(run_folkmoot(url, given.posts, given.slots))
            ratios.append((ours["calls"] / ours["seconds"]) / (bare["calls"] / bare["seconds"]))
            for name, result in (("bare aiohttp", bare), ("folkmoot", ours)):
                rate = result["calls"] / result["seconds"]
                print(
                    f"pair {pair}  {name:<13} {result['calls']} calls  {rate:7.1f} calls/s  {100 * rate / capacity:5.1f}% of "
                    f"capacity  {result['cpu_ms_a_call']:.2f} ms CPU a call  peak {result['peak_mib']:.0f} MiB",
                    flush=True,
                )
        quarter = asyncio.run(run_folkmoot(url, given.posts // 4, given.slots))["peak_mib"]
        print(f"folkmoot / bare: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}; "
              f"peak memory {quarter:.0f} MiB at the end")  # fmt: skip
    finally:
        server.kill()


if __name__ == "__main__":
    main()
