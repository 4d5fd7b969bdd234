"""Preference losses on the recorded societies: does SCPO beat ORPO, SFT and the base? And what does a step cost?

    python benchmarks/preference.py society --data DIR --out society.jsonl                     # every run not yet in FILE
    python benchmarks/preference.py society --data DIR --out society.jsonl --only scpo-1 --seed 0
    python benchmarks/preference.py table society.jsonl

DIR holds `society_covid` (287 pairs) and `constraint_covid` (val.jsonl). SmolLM2-135M with LoRA learns for one epoch on
the CPU, each pair with its reasoning and once more by its verdict line alone; each run is scored on the first 500 rows
of val.jsonl by the likelihood of the two verdict lines, one prefill a post, without reasoning. `accuracy` takes the
likelier line; `calibrated` moves the threshold to where it does best on rows 501 to 700. The settings were set once and
not tuned. A killed run goes on where it was. What a step costs: preference_step.py.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

RUNS: dict[str, dict[str, Any]] = {
    "base": {},
    "sft": {"loss": "sft"},
    "orpo": {"loss": "orpo"},
    "scpo-1": {"loss": "scpo", "omega": 1.0},
    "dpo": {"loss": "dpo", "after": "sft"},
    "scpo-0.5": {"loss": "scpo", "omega": 0.5},
    "scpo-2": {"loss": "scpo", "omega": 2.0},
}
SEEDS = {"sft": 3, "orpo": 3, "scpo-1": 3}
COMMON = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "lam": 0.25, "lora_rank": 16}
TEST_ROWS, DEV_ROWS = 500, 200


def plan() -> list[tuple[str, int]]:
    """Every run in the order of its worth: one seed of each first."""
    first = [(name, 0) for name in RUNS]
    return first + [(name, seed) for seed in (1, 2) for name in RUNS if SEEDS.get(name, 1) > seed]


def society(data: Path, out: Path, folder: Path, only: str | None, seed: int | None, clean: bool) -> None:
    """Train and score every run that is not in `out` yet."""
    for name, number in plan():
        if (only is None or only == name) and (seed is None or seed == number):
            key = {"name": name + (" without doubtful gold" if clean else ""), "seed": number}
            if not any(key.items() <= row.items() for row in read_rows(out)):
                append(out, {**key, **one_run(data, folder, name, number, clean)})


def one_run(data: Path, folder: Path, name: str, seed: int, clean: bool) -> dict[str, Any]:
    """One model trained and scored."""
    from folkmoot.formats import read_pairs
    from folkmoot.models.weights import base_folder
    from folkmoot.training.language_base import load_base
    from folkmoot.training.preference import PreferenceSettings, train_preference
    from folkmoot.training.preference_pairs import tokenize_pairs

    base = load_base(base_folder("embedded"))
    base.model.config.use_cache = False
    pairs = read_pairs(data / "society_covid" / "pairs.jsonl")
    if clean:
        doubtful = {row["id"] for row in read_rows(data / "society_covid" / "scot.jsonl") if row.get("gold_doubtful")}
        pairs = [pair for pair in pairs if pair.id not in doubtful]
    model, trained, took, counts = base.model, None, 0.0, None
    stages = [RUNS[RUNS[name]["after"]], RUNS[name]] if "after" in RUNS[name] else [RUNS[name]]
    for number, stage in enumerate(stages):
        if not stage:
            break
        tokens, counts = tokenize_pairs(pairs, base, verdicts=True)
        chosen = {**COMMON, **{key: value for key, value in stage.items() if key != "after"}, "seed": seed}
        if stage["loss"] == "dpo":
            chosen["learning_rate"] = 2e-4
        started = time.monotonic()
        place = folder / f"{name}{'-clean' if clean else ''}-{seed}-{number}"
        model, trained = train_preference(
            model, tokens, PreferenceSettings.model_validate(chosen), place, padding=base.tokenizer.pad_token_id or 0,
            on_step=lambda done, total: print(f"\r{name} seed {seed}: {done}/{total}", end="", flush=True),
        )  # fmt: skip
        took += time.monotonic() - started
    print()
    scores = {part: margins(data, base, model, part) for part in ("dev", "test")}
    threshold = best_threshold(*scores["dev"])
    margin, gold = scores["test"]
    right, moved = (margin > 0) == gold, (margin > threshold) == gold
    return {
        "accuracy": 100 * float(right.mean()), "interval95": interval(right), "calibrated": 100 * float(moved.mean()),
        "calibrated_interval95": interval(moved), "dev": 100 * float(((scores["dev"][0] > 0) == scores["dev"][1]).mean()),
        "auc": auc(margin, gold), "said_fake": float((margin > 0).mean()), "seconds": round(took, 1),
        "pairs": counts.model_dump(mode="json") if counts else None,
        "last_loss": trained.last_loss if trained else None, "settings": COMMON,
    }  # fmt: skip


def margins(data: Path, base: Any, model: Any, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Each post's log-likelihood of the fake verdict less that of the real one, and whether it is fake."""
    import itertools

    from folkmoot.formats import iter_posts, load_task
    from folkmoot.students.language import LanguageCard, LanguageStudent

    task = load_task("misinformation")
    start, stop = (0, TEST_ROWS) if part == "test" else (TEST_ROWS, TEST_ROWS + DEV_ROWS)
    posts = list(itertools.islice(iter_posts(data / "constraint_covid" / "val.jsonl"), start, stop))
    student = LanguageStudent(LanguageCard(name="benchmark", task=task, base=""), model, base.reader)
    fake = task.label_names.index("fake")
    scores = [student.weigh(post)[0] for post in posts]
    return np.array([s[fake] - s[1 - fake] for s in scores]), np.array([post.label == "fake" for post in posts])


def best_threshold(margin: np.ndarray, gold: np.ndarray) -> float:
    """The threshold with the most posts right."""
    cuts = np.concatenate([[-np.inf], np.sort(margin)])
    return float(cuts[int(np.argmax([((margin > cut) == gold).mean() for cut in cuts]))])


def interval(right: np.ndarray) -> list[float]:
    """A 95% bootstrap interval of the share that is right, in points."""
    dice = np.random.default_rng(0)
    means = [right[dice.integers(0, len(right), len(right))].mean() for _ in range(2000)]
    return [100 * float(q) for q in np.percentile(means, [2.5, 97.5])]


def auc(margin: np.ndarray, gold: np.ndarray) -> float:
    """The area under the ROC curve."""
    from folkmoot.evaluation import roc_auc

    return float(roc_auc(margin, gold))


def table(paths: list[Path]) -> None:
    """Print every run's accuracy: mean, spread over seeds, and the first seed's interval over posts."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        for row in read_rows(path):
            groups.setdefault(row["name"], []).append(row)
    print(
        "| loss | accuracy | spread (sd) | 95% over posts | calibrated on dev | AUC | seeds | s a run |\n|---|---|---|---|---|---|---|---|"
    )
    for name, rows in groups.items():
        accuracy = [row["accuracy"] for row in rows]
        spread = f"{np.std(accuracy, ddof=1):.1f}" if len(rows) > 1 else "-"
        low, high = rows[0]["interval95"]
        print(f"| {name} | {np.mean(accuracy):.1f} | {spread} | {low:.1f} to {high:.1f} "
              f"| {np.mean([row['calibrated'] for row in rows]):.1f} | {np.mean([row['auc'] for row in rows]):.3f} "
              f"| {len(rows)} | {np.mean([row['seconds'] for row in rows]):.0f} |")  # fmt: skip


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if key not in ("pairs", "settings")}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["society", "table"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("preference.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/preference"))
    parser.add_argument("--only", choices=sorted(RUNS))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--clean", action="store_true", help="leave out the pairs whose gold label is doubtful")
    given = parser.parse_args()
    if given.what == "society":
        society(given.data, given.out, given.runs, given.only, given.seed, given.clean)
    else:
        table(given.files)


if __name__ == "__main__":
    main()
