"""Does test-time adaptation help? No adaptation, best of T, adapted, and the oracle, on 200 real questions.

    OMP_NUM_THREADS=1 python benchmarks/test_time.py run --data DIR --out test_time --part 0 --parts 2   # and --part 1 beside it
    python benchmarks/test_time.py table test_time

DIR holds `router_distillation` (Social-IQ 2.0 questions with the collector's text of their clips, which stands in for
the clip). SmolLM2-135M on the CPU, T = 3, LoRA of rank 64, learning rate 3e-4 (the released IntentBench script's), thoughts
of at most 16 tokens; the reviser's score is the mean of 1 to 10 by likelihood, since the likeliest one is the same for
nearly every answer of so small a model. `oracle` takes an attempt that is right if there is one: it looks at the gold
answers and is no method; the released scorers report it as accuracy. A killed run goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

QUESTIONS = 200
SETTINGS = {"thought_tokens": 16, "score": "expected", "learning_rate": 3e-4}
ARMS = {"none": "no adaptation (greedy)", "best_of": "best of 3, no update", "adapted": "adapted"}


def questions(data: Path, part: int, parts: int, out: Path) -> Path:
    """A file of this part's questions, the collector's text as the post's words."""
    from folkmoot.formats import load_task, read_posts, write_posts

    posts = read_posts(data / "router_distillation" / "questions.jsonl", task=load_task("social_intent"))[:QUESTIONS]
    path = out / f"questions_{part}_of_{parts}.jsonl"
    chosen = [post.model_copy(update={"text": post.meta["events"], "meta": {}}) for post in posts[part::parts]]
    write_posts(chosen, path)
    return path


def run(data: Path, out: Path, part: int, parts: int) -> None:
    """This part's questions under every arm."""
    from folkmoot.recipes.test_time import Adaptation, run_adaptation

    out.mkdir(parents=True, exist_ok=True)
    recipe = Adaptation(posts=str(questions(data, part, parts, out)), settings=SETTINGS, threads=1)
    run_adaptation(
        recipe, out / f"part_{part}_of_{parts}",
        announce=lambda stage, done=0, total=0, note="": print(stage, done, total, note, flush=True),
    )  # fmt: skip


def table(out: Path) -> None:
    """Print the arms over all parts."""
    from folkmoot.formats import load_task, read_posts
    from folkmoot.recipes.test_time import read_history, summarise, verdict_of
    from folkmoot.training.test_time import Adapted

    task = load_task("social_intent")
    posts, results = [], []
    for folder in sorted(out.glob("part_*")):
        held = read_history(folder / "history.jsonl", Adapted)
        part = read_posts(out / folder.name.replace("part_", "questions_").__add__(".jsonl"), task=task)
        posts += [post for post in part if post.id in held]
        results += [held[post.id] for post in part if post.id in held]
    verdicts = {arm: [verdict_of(p, r, arm, task) for p, r in zip(posts, results, strict=True)] for arm in ARMS}
    found = summarise(posts, results, verdicts, out)
    print(f"{found.questions} questions, chance {found.scores['none'].chance:.3f}\n")
    print("| arm | accuracy (95%) | against no adaptation (95%), McNemar p | seconds a question |\n|---|---|---|---|")
    pairs = {pair.first: pair for pair in found.comparisons[:2]}
    for arm, name in ARMS.items():
        scores = found.scores[arm]
        low, high = scores.interval95
        against = "-"
        if arm in pairs:
            pair = pairs[arm]
            against = (
                f"{pair.difference:+.3f} ({pair.interval95[0]:+.3f} to {pair.interval95[1]:+.3f}), {pair.mcnemar.p:.2f}"
            )
        print(f"| {name} | {scores.accuracy:.3f} ({low:.3f} to {high:.3f}) | {against} | {found.seconds[arm]:.1f} |")
    last = found.comparisons[-1]
    print(f"\nadapted against best of 3: {last.difference:+.3f} ({last.interval95[0]:+.3f} to {last.interval95[1]:+.3f}), "
          f"McNemar p {last.mcnemar.p:.2f}")  # fmt: skip
    print(
        f"oracle, which looks at the gold answers: best of 3 {found.oracle['best_of']:.3f}, adapted {found.oracle['adapted']:.3f}"
    )
    print("drift: " + ", ".join(f"{name} {value:.3g}" for name, value in found.drift.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("test_time"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("test_time"))
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    given = parser.parse_args()
    if given.what == "run":
        run(given.data, given.out, given.part, given.parts)
    else:
        table(given.folder)


if __name__ == "__main__":
    main()
