"""The low-resource loop on dev: ablations with the frozen encoder, and the tuned setting over seeds.

    python benchmarks/low_resource.py ablation --data DIR --set hsol --out ablation_hsol.jsonl
    python benchmarks/low_resource.py ablation --layers all --data DIR --set hsol --out ablation_hsol.jsonl
    python benchmarks/low_resource.py tuned --data DIR --set hsol --seeds 5 --out tuned_hsol.jsonl
    python benchmarks/low_resource.py tuned --small --data DIR --set hsol --seeds 5 --out tuned_hsol.jsonl
    python benchmarks/low_resource.py table ablation_hsol.jsonl tuned_hsol.jsonl

DIR holds one folder a set (`hsol`, `sentiment140`), each with labelled_{50,100,250}, pool, dev and opinions. Every
figure is macro-F1 on dev in points; a row that is in the output already is not run again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

TASKS = {"hsol": "offensive", "sentiment140": "sentiment"}
RECIPES = {"hsol": "offensive-tuned", "sentiment140": "sentiment-tuned"}


def settings_table() -> list[dict[str, Any]]:
    """The rows of the ablation: name, labels, source, gamma, with or without the disagreed posts."""
    rows: list[dict[str, Any]] = [{"name": "supervised only", "n": n, "rounds": 0} for n in (50, 100, 250)]
    for n in (50, 100, 250):
        rows += [{"name": source, "n": n, "source": source, "gamma": 0.0} for source in ("classifier", "panel", "both")]
    for gamma in (-0.3, -0.1, 0.1, 0.3):
        rows.append({"name": f"both, gamma {gamma:+}", "n": 100, "source": "both", "gamma": gamma})
    rows.append({"name": "both, gamma +0.1, without the disagreed", "n": 100, "source": "both", "gamma": 0.1,
                 "use_disagreed": False})  # fmt: skip
    rows.append({"name": "paper preset (gold outweighs, last round heard)", "n": 100, "source": "both", "gamma": 0.1,
                 "weighting": "prior", "heard": "last", "batch": 500})  # fmt: skip
    rows.append({"name": "reference preset", "n": 100, "reference": True})
    return rows


def ablation(data: Path, name: str, seeds: int, out: Path, *, layers: str) -> None:
    """Run every row over seeds with the frozen encoder, whose head sees its last layer or all of them."""
    from folkmoot.formats import load_task, read_opinions, read_posts
    from folkmoot.panels import RecordedOpinions
    from folkmoot.training.frozen import FrozenSettings
    from folkmoot.training.learner import FrozenLearner
    from folkmoot.training.self_training import SelfTraining, SelfTrainingSettings

    task = load_task(TASKS[name])
    folder = data / name
    dev = read_posts(folder / "dev.jsonl", task=task)
    whole_pool = read_posts(folder / "pool.jsonl")
    opinions = read_opinions(folder / "opinions.jsonl", task=task)
    labelled = {n: read_posts(folder / f"labelled_{n}.jsonl", task=task) for n in (50, 100, 250)}
    table = {post.id: post for post in [*whole_pool, *dev, *labelled[250]]}
    learner = FrozenLearner(
        list(table.values()), settings=FrozenSettings(), every_layer=layers == "all",
        cache=Path(tempfile.gettempdir()) / "folkmoot-vectors",
    )  # fmt: skip
    panel = RecordedOpinions(task, opinions)
    done = {(row["name"], row["n"], row["seed"]) for row in read_rows(out)}
    for row in settings_table():
        if layers == "all":
            row["name"] += ", all layers"
        for seed in range(seeds):
            if (row["name"], row["n"], seed) in done:
                continue
            if row.get("reference"):
                settings = SelfTrainingSettings.reference(gamma=0.1)
            else:
                settings = SelfTrainingSettings.model_validate(
                    {
                        "batch": row.get("batch", 4000),
                        "agreement": {"source": row.get("source", "classifier"), "heard": row.get("heard", "first")},
                        "loss": {"gamma": row.get("gamma", 0.0), "weighting": row.get("weighting", "pooled")},
                        "use_disagreed": row.get("use_disagreed", True),
                        "max_rounds": 1 if row.get("rounds") == 0 else None,
                    }
                )
            gold = labelled[row["n"]]
            taken = {post.id for post in gold}
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as scratch:
                machine = SelfTraining(
                    task=task, labelled=gold, pool=[p for p in whole_pool if p.id not in taken], dev=dev, learner=learner,
                    panel_for=lambda classifier: panel, settings=settings, folder=Path(scratch), seed=seed,
                    has_opinion=lambda post: post.id in opinions,
                )  # fmt: skip
                trained = asyncio.run(machine.run())
            last = trained.rounds[0] if row.get("rounds") == 0 else trained.rounds[-1]
            score = last.dev_macro_f1 if row.get("rounds") == 0 else last.best_dev_macro_f1
            accepted = sum(r.accepted for r in trained.rounds[1:])
            append(out, {"set": name, "name": row["name"], "n": row["n"], "seed": seed, "dev_macro_f1": 100 * score,
                         "rounds": len(trained.rounds) - 1, "accepted": accepted,
                         "seconds": round(time.monotonic() - started, 1)})  # fmt: skip


def tuned(data: Path, name: str, seeds: list[int], out: Path, runs: Path, *, small: bool) -> None:
    """Run the shipped tuned recipe over seeds, or the one with the small encoder alone."""
    from folkmoot.recipes.low_resource import LowResource
    from folkmoot.recipes.low_resource_loop import run_low_resource

    file = f"{RECIPES[name]}{'-small' if small else ''}.toml"
    recipe = LowResource.model_validate(tomllib.loads((Path(__file__).parent.parent / "recipes" / file).read_text()))
    title = "tuned recipe, small encoder" if small else "tuned recipe"
    done = {row["seed"] for row in read_rows(out) if (row["set"], row["name"]) == (name, title)}
    for seed in seeds:
        if seed in done:
            continue
        started = time.monotonic()
        result = asyncio.run(
            run_low_resource(
                recipe.model_copy(update={"seed": seed}),
                runs / f"{name}{'_small' if small else ''}_{seed}",
                resolve=lambda path: data / path,
            )
        )
        kept = json.loads((Path(result.folder) / "metrics.json").read_text())
        append(out, {"set": name, "name": title, "n": 100, "seed": seed,
                     "dev_macro_f1": 100 * kept["dev"]["macro_f1"],
                     **{f"{kind}_dev_macro_f1": 100 * kept["comparison"]["judges"][f"{kind} student"]["macro_f1"]
                        for kind in ("shallow", "fast") if f"{kind} student" in kept["comparison"]["judges"]},
                     "roc_auc": kept["dev"]["roc_auc"],
                     "interval95": [100 * x for x in kept["dev"]["interval95"]["macro_f1"]],
                     "student": kept["student"], "rounds": kept["rounds"],
                     "seconds": round(time.monotonic() - started, 1)})  # fmt: skip


def table(paths: list[Path]) -> None:
    """Print mean, standard deviation and count of each row."""
    groups: dict[tuple[str, str, int], list[float]] = {}
    for path in paths:
        for row in read_rows(path):
            groups.setdefault((row["set"], row["name"], row["n"]), []).append(row["dev_macro_f1"])
            for kind in ("shallow", "fast"):
                if f"{kind}_dev_macro_f1" in row:
                    key = (row["set"], f"{row['name']}, its {kind} student", row["n"])
                    groups.setdefault(key, []).append(row[f"{kind}_dev_macro_f1"])
    print("| set | setting | n | dev macro-F1 | spread (sd) | seeds |\n|---|---|---|---|---|---|")
    for (name, setting, n), scores in groups.items():
        spread = np.std(scores, ddof=1) if len(scores) > 1 else float("nan")
        print(f"| {name} | {setting} | {n} | {np.mean(scores):.2f} | {spread:.2f} | {len(scores)} |")


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if key not in ("rounds", "student")}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ablation", "tuned", "table"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--set", dest="name", choices=sorted(TASKS), default="hsol")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("low_resource.jsonl"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--layers", choices=["last", "all"], default="last")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    given = parser.parse_args()
    if given.what == "ablation":
        ablation(given.data, given.name, given.seeds, given.out, layers=given.layers)
    elif given.what == "tuned":
        tuned(
            given.data, given.name, list(range(given.first_seed, given.first_seed + given.seeds)), given.out, given.runs,
            small=given.small,
        )  # fmt: skip
    else:
        table(given.files)


if __name__ == "__main__":
    main()
