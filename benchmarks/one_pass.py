"""What a verdict costs: a society of six, `direct`, and the trained student, on the same model and the same posts.

    python benchmarks/one_pass.py --posts POSTS --profiles world --student runs/y/student --count 10

The society and `direct` ask the embedded server (SmolLM2-135M, one slot, no prompt cache), a fresh ledger each; the
student weighs its labels in one prefill in this process. Calls, tokens and seconds are a post's means.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument("--profiles", default="world")
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    from folkmoot.formats import iter_posts

    posts = [post.blind() for post in itertools.islice(iter_posts(given.posts), given.count)]
    rows = [
        panel("society", posts, given.profiles),
        panel("direct", posts, given.profiles),
        pupil(given.student, posts),
    ]
    print("| judge | calls a post | tokens a post | seconds a post | labelled |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['judge']} | {row['calls']:.1f} | {row['tokens']:.0f} | {row['seconds']:.2f} | {row['labelled']} of {len(posts)} |"
        )
    if given.out:
        given.out.write_text(json.dumps(rows))


def panel(name: str, posts: list[Any], profiles: str) -> dict[str, Any]:
    """A panel's cost, from its ledger."""
    from folkmoot.formats import load_task
    from folkmoot.formats.profiles import read_profiles
    from folkmoot.models.loading import load_model
    from folkmoot.panels import build_panel
    from folkmoot.runs import Ledger, VerdictLog, judge_posts

    options: dict[str, Any] = {"profiles": read_profiles(profiles).profiles, "users": 6} if name == "society" else {}
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        model = load_model("embedded:deterministic", ledger=ledger)
        judge = build_panel(name, load_task("misinformation"), model, **options)

        async def run() -> None:
            with VerdictLog(Path(folder) / "verdicts.jsonl") as log:
                await judge_posts(judge, posts, log=log, concurrency=1)
                verdicts.extend(log.verdicts().values())
            await model.aclose()

        verdicts: list[Any] = []
        started = time.perf_counter()
        asyncio.run(run())
        seconds = time.perf_counter() - started
        totals = ledger.totals()
    return {
        "judge": f"{name}{' of 6 (and its topics)' if options else ''}", "calls": totals.calls / len(posts),
        "tokens": (totals.prompt_tokens + totals.completion_tokens) / len(posts), "seconds": seconds / len(posts),
        "labelled": sum(verdict.label is not None for verdict in verdicts),
    }  # fmt: skip


def pupil(folder: Path, posts: list[Any]) -> dict[str, Any]:
    """The student's cost: no call, one prefill of its prompt and of the labels' lines."""
    from folkmoot.models.instruction import Instruction
    from folkmoot.students import LanguageStudent

    student = LanguageStudent.load(folder)
    tokenizer = getattr(student._reader, "tokenizer", student._reader)
    told = Instruction(student.task)
    student.verdict(posts[0])  # loads what is loaded at first use
    started = time.perf_counter()
    verdicts = student.verdicts(posts)
    seconds = time.perf_counter() - started
    lengths = [
        len(tokenizer(tokenizer.apply_chat_template(told.turns(post), add_generation_prompt=True, tokenize=False))["input_ids"])
        + sum(len(student._labels.opening_ids) + len(ending) for ending in student._labels.endings)
        for post in posts
    ]  # fmt: skip
    return {
        "judge": f"student ({student.card.mode})", "calls": 0.0, "tokens": sum(lengths) / len(posts),
        "seconds": seconds / len(posts), "labelled": sum(verdict.label is not None for verdict in verdicts),
    }  # fmt: skip


if __name__ == "__main__":
    main()
