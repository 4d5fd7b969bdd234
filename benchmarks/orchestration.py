"""What orchestration costs: a negotiation over posts against a loopback server, beside a bare HTTP loop.

    python benchmarks/orchestration.py --posts 1000 --pairs 4 --out orchestration.json
    python benchmarks/orchestration.py --distilabel VENV/bin/python

The server has 64 slots and takes 200 ms for a request; further requests wait for a slot. Its moderator and user always
differ, so each post takes four calls in two rounds. Three clients make the same calls, byte for byte, each in a process
of its own, in turn (A B A B):

1. bare: an aiohttp loop with 64 in flight over the request bodies that folkmoot sent in a first, unmeasured run;
2. folkmoot: OpenAIModel + LedgeredModel + Negotiation + judge_posts, ledger and verdict log on disk;
3. distilabel, where an interpreter that has it is named: one step over the same conversations, once.

CPU is the client's user and system time between its first and its last call, over its calls. Peak memory is looked at
after a quarter of the calls and at the end: memory that is not flat grows in between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SLOTS = 64
LATENCY_SECONDS = 0.2
CALLS_A_POST = 4
WORDS = ("the tea was warm", "rain all morning", "my train is late again", "a good book", "who took the umbrella")


def serve(pipe: Connection) -> None:
    """A chat server until its process is ended: sends its address through the pipe."""
    from aiohttp import web

    slots = asyncio.Semaphore(SLOTS)
    bodies: list[bytes] = []
    keeping = False

    def reply(content: bytes) -> dict[str, Any]:
        label = "ok" if b"You are an ordinary user" in content else "offensive"
        said = {"label": label, "confidence": 0.8, "reason": "It is said of the weather and of nobody in particular."}
        return {
            "id": "reply", "object": "chat.completion", "created": 0, "model": "loopback",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": json.dumps(said)}}],
            "usage": {"prompt_tokens": len(content) // 4, "completion_tokens": 30, "total_tokens": len(content) // 4 + 30},
        }  # fmt: skip

    async def complete(request: web.Request) -> web.Response:
        content = await request.read()
        if keeping:
            bodies.append(content)
        async with slots:
            await asyncio.sleep(LATENCY_SECONDS)
        return web.Response(body=json.dumps(reply(content)).encode(), content_type="application/json")

    async def keep(request: web.Request) -> web.Response:
        nonlocal keeping
        keeping = request.method == "POST"
        kept = [json.loads(body) for body in bodies]
        bodies.clear()
        return web.json_response(kept)

    async def run() -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", complete)
        app.router.add_route("*", "/bodies", keep)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def server() -> Iterator[str]:
    """The address of a server in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise SystemExit("the loopback server did not start in 60 seconds")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class Meter:
    """Time, CPU and peak memory between the first call and the last."""

    def __init__(self, calls: int) -> None:
        self.calls, self.done, self.quarter_mib = calls, 0, 0.0
        self.started, self.cpu = time.perf_counter(), time.process_time()

    def count(self) -> None:
        """One more call is over."""
        self.done += 1
        if self.done == self.calls // 4:
            self.quarter_mib = peak_mib()

    def reading(self) -> dict[str, float]:
        seconds, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
        return {
            "calls": self.done, "seconds": seconds, "calls_per_second": self.done / seconds,
            "cpu_ms_per_call": 1000 * cpu / self.done, "quarter_mib": self.quarter_mib, "end_mib": peak_mib(),
        }  # fmt: skip


def peak_mib() -> float:
    """The largest resident set of this process so far.

    Linux keeps `ru_maxrss` over an exec, so a child would report its parent's peak; `VmHWM` is of the program alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


async def call_bare(url: str, bodies: list[bytes]) -> dict[str, float]:
    """64 workers, each sending the next body and reading its JSON."""
    import aiohttp

    todo = iter(bodies)
    meter = Meter(len(bodies))
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def work() -> None:
            for body in todo:
                async with session.post(f"{url}/v1/chat/completions", data=body) as response:
                    json.loads(await response.read())["choices"][0]["message"]["content"]
                meter.count()

        await asyncio.gather(*(work() for _ in range(SLOTS)))
        return meter.reading()


async def call_folkmoot(url: str, posts: int, folder: Path) -> dict[str, float]:
    """The negotiation panel over the posts, everything kept on disk."""
    from folkmoot.formats import load_task
    from folkmoot.models.ledgered import LedgeredModel
    from folkmoot.models.openai import OpenAIModel
    from folkmoot.panels import Negotiation
    from folkmoot.records import Post
    from folkmoot.runs import Ledger, VerdictLog, judge_posts

    texts = (
        f"{WORDS[number % len(WORDS)]}, {WORDS[number // 7 % len(WORDS)]}, said {number}" for number in range(posts)
    )
    stream = (Post(id=f"p{number}", text=text) for number, text in enumerate(texts))
    meter = Meter(posts * CALLS_A_POST)
    with Ledger(folder / "ledger.sqlite") as ledger, VerdictLog(folder / "verdicts.jsonl") as log:
        model = LedgeredModel(OpenAIModel("loopback", url), ledger)
        panel = Negotiation(load_task("offensive"), model)

        def watch(progress: Any) -> None:
            meter.done = progress.calls
            if not meter.quarter_mib and meter.done >= meter.calls // 4:
                meter.quarter_mib = peak_mib()

        summary = await judge_posts(panel, stream, log=log, ledger=ledger, on_progress=watch)
        reading = meter.reading()
        await model.aclose()
    if summary.calls != meter.calls or summary.failed:
        raise SystemExit(
            f"folkmoot made {summary.calls} calls and {summary.failed} posts failed; expected {meter.calls}"
        )
    return reading


def client(name: str, url: str, posts: int, bodies: Path) -> None:
    """One client's run, in this process; prints its reading as JSON."""
    if name == "bare":
        reading = asyncio.run(call_bare(url, [line.encode() for line in bodies.read_text().splitlines()]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            reading = asyncio.run(call_folkmoot(url, posts, Path(folder)))
    print(json.dumps(reading))


def measure(name: str, url: str, posts: int, bodies: Path) -> dict[str, float]:
    """A client's reading, from a process of its own."""
    command = [sys.executable, __file__, "--client", name, "--url", url, "--posts", str(posts), "--bodies", str(bodies)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    reading: dict[str, float] = json.loads(printed.splitlines()[-1])
    return reading


@asynccontextmanager
async def kept_bodies(url: str) -> AsyncIterator[list[str]]:
    """Filled, at the end, with what the server was sent meanwhile."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        await session.post(f"{url}/bodies")
        bodies: list[str] = []
        yield bodies
        async with session.get(f"{url}/bodies") as response:
            bodies += [json.dumps(body, separators=(",", ":")) for body in await response.json()]


async def first_run(url: str, posts: int, path: Path) -> None:
    """Nothing; the file holds the bodies that folkmoot sends, one a line."""
    async with kept_bodies(url) as bodies:
        await asyncio.to_thread(measure, "folkmoot", url, posts, path)
    path.write_text("\n".join(bodies) + "\n")


def measure_distilabel(python: str | None, url: str, bodies: Path) -> dict[str, float] | None:
    """distilabel's reading on the same conversations, or None, with a sentence, where it is not there."""
    script = Path(__file__).with_name("orchestration_distilabel.py")
    if not python:
        print("distilabel is left out: name an interpreter that has it with --distilabel VENV/bin/python.")
        return None
    if subprocess.run([python, "-c", "import distilabel"], capture_output=True, check=False).returncode:
        print(f"distilabel is left out: {python} cannot import it.")
        return None
    given = subprocess.run(
        [python, str(script), url, str(bodies), str(SLOTS)], capture_output=True, text=True, check=False
    )
    if given.returncode:  # the other readings are worth keeping
        print(f"distilabel is left out: {given.stderr.strip().splitlines()[-1]}")
        return None
    reading: dict[str, float] = json.loads(given.stdout.splitlines()[-1])
    return reading


def show(readings: dict[str, list[dict[str, float]]], capacity: float) -> None:
    """Print a row for each run."""
    print("\n| client | run | calls/s | of capacity | CPU ms/call | peak MiB at 1/4 | at the end |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in readings.items():
        for number, run in enumerate(runs, 1):
            print(f"| {name} | {number} | {run['calls_per_second']:.1f} | {100 * run['calls_per_second'] / capacity:.1f}% "
                  f"| {run['cpu_ms_per_call']:.2f} | {run['quarter_mib']:.1f} | {run['end_mib']:.1f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None, help="where to write the readings as JSON")
    parser.add_argument("--distilabel", default=None, metavar="VENV/bin/python")
    parser.add_argument("--client", choices=["bare", "folkmoot"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--bodies", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        client(given.client, given.url, given.posts, given.bodies)
        return
    capacity = SLOTS / LATENCY_SECONDS
    readings: dict[str, list[dict[str, float]]] = {"bare": [], "folkmoot": []}
    with server() as url, tempfile.TemporaryDirectory() as scratch:
        bodies = Path(scratch) / "bodies.jsonl"
        asyncio.run(first_run(url, given.posts, bodies))
        for pair in range(given.pairs):
            for name, runs in readings.items():
                runs.append(measure(name, url, given.posts, bodies))
            bare, ours = (runs[pair]["calls_per_second"] for runs in readings.values())
            print(f"pair {pair + 1}: folkmoot / bare = {ours:.1f} / {bare:.1f} = {100 * ours / bare:.1f}%", flush=True)
        other = measure_distilabel(given.distilabel, url, bodies)
    if other is not None:
        readings["distilabel"] = [other]
    show(readings, capacity)
    ratios = [
        ours["calls_per_second"] / bare["calls_per_second"]
        for bare, ours in zip(readings["bare"], readings["folkmoot"], strict=True)
    ]
    cpu = statistics.median(run["cpu_ms_per_call"] for run in readings["folkmoot"])
    print(f"\nfolkmoot / bare: median {100 * statistics.median(ratios):.1f}%, "
          f"{100 * min(ratios):.1f} to {100 * max(ratios):.1f}%; CPU a call: median {cpu:.2f} ms")  # fmt: skip
    if given.out:
        kept = {"slots": SLOTS, "latency_seconds": LATENCY_SECONDS, "capacity": capacity, "posts": given.posts,
                "ratios": ratios, "readings": readings}  # fmt: skip
        given.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
