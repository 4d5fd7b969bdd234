"""Judges whose verdicts are a function of the post alone, for the tests of this room."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from folkmoot.records import CallPlan, Label, Opinion, Outcome, Post, Task, Verdict
from folkmoot.runs import Ledger

TASK = Task(name="tone", question="Is the tone warm?", labels=(Label(name="warm"), Label(name="cold")), positive="warm")


def verdict_on(post: Post, outcome: Outcome = Outcome.LABELLED, calls: tuple[str, ...] = ()) -> Verdict:
    label = ("warm" if len(post.text) % 2 else "cold") if outcome is Outcome.LABELLED else None
    opinion = Opinion(
        agent="reader", outcome=outcome, label=label, rationale=f"{len(post.text)} characters é", calls=calls
    )
    return Verdict(id=post.id, outcome=outcome, label=label, task="tone", judge="length:v1", opinions=(opinion,),
                   quorum=int(label is not None), calls=calls)  # fmt: skip


class LengthJudge:
    """Judges by the text's length, through an optional hook that may wait, count, fail or kill."""

    name = "length:v1"
    task = TASK

    def __init__(self, before: Callable[[Post], object] | None = None, seconds: float = 0.0) -> None:
        self.before = before
        self.seconds = seconds
        self.seen: list[str] = []
        self.at_once = self.most_at_once = 0

    async def judge(self, post: Post) -> Verdict:
        self.seen.append(post.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
            outcome = self.before(post) if self.before else None
        finally:
            self.at_once -= 1
        return verdict_on(post, outcome if isinstance(outcome, Outcome) else Outcome.LABELLED)

    def plan(self, post: Post) -> CallPlan:
        return CallPlan(calls_min=2, calls_max=4, prompt_tokens=len(post.text), completion_tokens=10)


class LedgeredJudge(LengthJudge):
    """Two calls a post, looked up in the ledger first; each call that is really sent leaves a line in `sent`."""

    def __init__(self, ledger: Ledger, sent: Path, seconds: float) -> None:
        super().__init__()
        self.ledger = ledger
        self.sent = os.open(sent, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.call_seconds = seconds

    async def judge(self, post: Post) -> Verdict:
        keys = tuple(f"{post.id}/{number}" for number in range(2))
        for key in keys:
            if self.ledger.get(key) is None:
                attempt = self.ledger.begin(key, {"messages": [{"role": "user", "content": post.text}]}, "m")
                os.write(self.sent, f"{key}\n".encode())
                await asyncio.sleep(self.call_seconds)
                self.ledger.finish(attempt, key, reply={"text": "{}"}, prompt_tokens=3, cost_usd=0.001)
        return verdict_on(post, calls=keys)


class KillingJudge(LengthJudge):
    """Kills its own process at one post, once. Notes each post that it begins, in a file that survives."""

    def __init__(self, notes: str, kill_at: str | None = None, stop_seconds: float = 0.0) -> None:
        super().__init__(self.note)
        self.notes, self.kill_at, self.stop_seconds = Path(notes), kill_at, stop_seconds

    def note(self, post: Post) -> None:
        with (self.notes / "begun.txt").open("a") as file:
            file.write(post.id + "\n")
        if self.stop_seconds:
            time.sleep(self.stop_seconds)
        if post.id == self.kill_at and not (self.notes / "killed").exists():
            (self.notes / "killed").touch()
            os.kill(os.getpid(), 9)


def posts(count: int, prefix: str = "p") -> list[Post]:
    return [Post(id=f"{prefix}{n}", text="tea " * (n % 7) + "x" * (n % 3), label="warm") for n in range(count)]


if __name__ == "__main__":  # one start of a run that the tests kill
    from folkmoot.runs import RunFolder, judge_posts, write_atomically

    folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with RunFolder.open(folder / "run", {"seed": 1}) as run:
        ledgered = LedgeredJudge(run.ledger, folder / "sent.txt", seconds)
        asyncio.run(judge_posts(ledgered, posts(count), log=run.verdict_log, concurrency=8))
        lines = run.verdict_log.lines(post.id for post in posts(count))
        write_atomically(folder / "verdicts.jsonl", b"\n".join(lines) + b"\n")
