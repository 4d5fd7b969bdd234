"""What a small student gains from looking: memes with 100 labels, supervised and self-trained, view by view.

    python benchmarks/memes.py run --data DIR --out memes.jsonl
    python benchmarks/memes.py table memes.jsonl

DIR holds `lowresource/memes` (labelled_50, labelled_100, pool, dev, opinions: a strong vision-language model's recorded
opinions on every pool picture). The encoders are the embedded ones, frozen. Every figure is macro-F1 on the 236 dev
posts in points; the self-trained rows also choose their round there. A seed draws the head's start and, with it, 90 of
the 100 labelled posts, so that the spread says how much hangs on which posts were labelled; seed 0 takes all 100.
The interval is the bootstrap over dev of seed 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

VIEW_SETS = {
    "text": ("text",),
    "image": ("image",),
    "ocr": ("ocr",),
    "observations": ("observations",),
    "text + image": ("text", "image"),
    "all together": ("text", "image", "ocr", "observations"),
}
SOURCES = ("supervised", "classifier", "panel", "both", "moderator")


SAID_BY = {"supervised": "classifier", "moderator": "panel"}


def run(data: Path, seeds: int, out: Path, batch: int, penalty: float) -> None:
    """Every view set, source and seed that is not in `out` yet."""
    from folkmoot.evaluation import evaluate
    from folkmoot.formats import load_task, read_opinions, read_posts
    from folkmoot.panels import RecordedOpinions, heard_from
    from folkmoot.students.views import ViewReader
    from folkmoot.training.frozen import FrozenSettings
    from folkmoot.training.seeing import SeeingLearner
    from folkmoot.training.self_training import SelfTraining, SelfTrainingSettings, verdict_of

    folder = data / "lowresource" / "memes"
    task = load_task("offensive")
    dev = read_posts(folder / "dev.jsonl", task=task)
    pool = read_posts(folder / "pool.jsonl")
    labelled = read_posts(folder / "labelled_100.jsonl", task=task)
    opinions = read_opinions(folder / "opinions.jsonl", task=task)
    panel = RecordedOpinions(task, opinions)
    moderator = RecordedOpinions(task, heard_from(opinions, ["moderator"], first_round_only=True))
    done = {(row["views"], row["source"], row["seed"], row["batch"]) for row in read_rows(out)}
    for name, views in VIEW_SETS.items():
        learner = SeeingLearner(
            [*labelled, *pool, *dev], reader=ViewReader.open(views), taught=[*labelled, *pool],
            settings=FrozenSettings(inverse_penalty=penalty), cache=Path(tempfile.gettempdir()) / "folkmoot-views",
        )  # fmt: skip
        for source in SOURCES:
            for seed in range(seeds):
                if (name, source, seed, batch) in done:
                    continue
                gold = labelled
                if seed:
                    kept = np.random.default_rng(seed).permutation(len(labelled))[:90]
                    gold = [labelled[row] for row in sorted(kept.tolist())]
                settings = SelfTrainingSettings.model_validate(
                    {
                        "batch": batch,
                        "agreement": {"source": SAID_BY.get(source, source), "heard": "last"},
                        "loss": {"gamma": 0.0, "weighting": "pooled"},
                    }
                )
                started = time.monotonic()
                heard = moderator if source == "moderator" else panel
                with tempfile.TemporaryDirectory() as scratch:
                    machine = SelfTraining(
                        task=task, labelled=gold, pool=pool, dev=dev, learner=learner, panel_for=lambda classifier, heard=heard: heard,
                        settings=settings, folder=Path(scratch), seed=seed, has_opinion=lambda post: post.id in opinions,
                    )  # fmt: skip
                    if source == "supervised":
                        machine.pool = machine.pool[:1]  # one round that is not looked at
                    trained = asyncio.run(machine.run())
                    best = 0 if source == "supervised" else trained.best_round
                    logits = machine.best_pupil(trained.best_round).logits([post.id for post in dev])
                    verdicts = (
                        machine.first_verdicts()
                        if best == 0
                        else [
                            verdict_of(post, float(1 / (1 + np.exp(-x))), task)
                            for post, x in zip(dev, logits, strict=True)
                        ]
                    )
                metrics = evaluate(verdicts, dev, task)
                append(out, {"views": name, "source": source, "seed": seed, "batch": batch, "n": len(gold),
                             "dev_macro_f1": 100 * metrics.macro_f1, "roc_auc": metrics.roc_auc,
                             "interval95": [100 * x for x in metrics.interval95["macro_f1"]],
                             "rounds": len(trained.rounds) - 1, "accepted": sum(r.accepted for r in trained.rounds[1:]),
                             "seconds": round(time.monotonic() - started, 2)})  # fmt: skip


def table(paths: list[Path]) -> None:
    """Print mean, spread and interval of each row."""
    rows = [row for path in paths for row in read_rows(path)]
    print("| reads | learned from | dev macro-F1 | spread (sd) over seeds | 95% interval over dev | ROC-AUC |")
    print("|---|---|---|---|---|---|")
    for name in VIEW_SETS:
        for source in SOURCES:
            held = [row for row in rows if row["views"] == name and row["source"] == source]
            if held:
                scores = [row["dev_macro_f1"] for row in held]
                low, high = held[0]["interval95"]
                auc = np.mean([row["roc_auc"] for row in held])
                spread = np.std(scores, ddof=1) if len(scores) > 1 else float("nan")
                print(
                    f"| {name} | {source} | {np.mean(scores):.1f} | {spread:.1f} | {low:.1f} to {high:.1f} | {auc:.3f} |"
                )


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=400)
    parser.add_argument("--inverse-penalty", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("memes.jsonl"))
    given = parser.parse_args()
    if given.what == "run":
        run(given.data, given.seeds, given.out, given.batch, given.inverse_penalty)
    else:
        table(given.files)


if __name__ == "__main__":
    main()
