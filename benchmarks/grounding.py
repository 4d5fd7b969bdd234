"""Grounding: which part of a dialogue a query is about, on spans made from MELD's annotations.

    python benchmarks/grounding.py run --data DIR --out grounding.jsonl
    python benchmarks/grounding.py table grounding.jsonl
    python benchmarks/grounding.py spans --data DIR --out FOLDER     # FOLDER/grounding/{train,dev}.jsonl, for recipes/social.toml

DIR holds `meld_text` (train, dev). A dialogue of 5 to 500 s, five utterances or more and up to 200 words is a clip whose
transcript has speakers and times; the query is "X feels EMOTION" for every speaker and emotion but neutral that has one
run of utterances there; the run's time is the span. The scorer learns on the training dialogues and is scored on dev.
`whole clip` and `uniform` (the middle of the clip, as long as training spans are on average) look at nothing;
`transcript` takes the utterance that MiniLM finds likest to the query; `speaker` the likest of the named speaker's own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

WORDS, SHORTEST, LONGEST, FEWEST = 200, 5.0, 500.0, 5


def seconds(clock: str) -> float:
    """00:20:57,256 -> seconds."""
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def examples(path: Path) -> list[Any]:
    """The grounding examples of one of MELD's parts."""
    from folkmoot.records import Observation
    from folkmoot.training.grounding import GroundingExample

    dialogues: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        dialogues[str(row["meta"]["dialogue"])].append(row)
    found = []
    for name, rows in dialogues.items():
        rows.sort(key=lambda row: row["meta"]["utterance"])
        times = [(seconds(row["meta"]["start"]), seconds(row["meta"]["end"])) for row in rows]
        origin = times[0][0]
        times = [(start - origin, end - origin) for start, end in times]
        in_order = all(a[0] <= b[0] and a[0] < a[1] for a, b in zip(times, [*times[1:], (1e9, 1e9)], strict=True))
        words = sum(len(row["text"].split()) for row in rows)
        if not in_order or len(rows) < FEWEST or words > WORDS or not SHORTEST <= times[-1][1] <= LONGEST:
            continue
        observations = tuple(
            Observation(kind="speech", text=f"{row['meta']['speaker']}: {row['text']}", start_seconds=start,
                        end_seconds=end)
            for row, (start, end) in zip(rows, times, strict=True)
        )  # fmt: skip
        felt: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            if row["label"] != "neutral":
                felt[row["meta"]["speaker"], row["label"]].append(number)
        for (speaker, emotion), numbers in felt.items():
            if numbers == list(range(numbers[0], numbers[-1] + 1)):
                found.append(
                    GroundingExample(
                        id=f"{path.stem}-{name}-{speaker}-{emotion}", query=f"{speaker} feels {emotion}",
                        observations=observations, span=(times[numbers[0]][0], times[numbers[-1]][1]), group=f"{path.stem}-{name}",
                    )
                )  # fmt: skip
    return found


def run(data: Path, out: Path, seeds: int) -> None:
    """Every method on dev."""
    import torch

    from folkmoot.models.sentence_encoder import SentenceEncoder
    from folkmoot.students.grounding import Describer
    from folkmoot.training.grounding import GrounderSettings, train_grounder

    torch.set_num_threads(1)
    train, dev = (examples(data / "meld_text" / f"{part}.jsonl") for part in ("train", "dev"))
    describer = Describer(SentenceEncoder())
    gold = [example.span for example in dev]
    usual = float(np.mean([end - start for start, end in (example.span for example in train)]))

    def ends(example: Any) -> float:
        return max(o.end_seconds or 0.0 for o in example.observations)

    def likest(example: Any, *, own: bool) -> tuple[float, float]:
        speaker = example.query.split(" feels ")[0]
        held = [o for o in example.observations if not own or o.text.startswith(speaker + ":")]
        asked = describer.vectors([example.query])[0]
        best = held[int(np.argmax(describer.vectors([o.text for o in held]) @ asked))]
        return best.start_seconds, best.end_seconds

    rows: list[tuple[str, int, list[tuple[float, float] | None]]] = [
        ("whole clip", 0, [(0.0, ends(e)) for e in dev]),
        ("uniform", 0, [(max(0.0, ends(e) / 2 - usual / 2), ends(e) / 2 + usual / 2) for e in dev]),
        ("transcript", 0, [likest(e, own=False) for e in dev]),
        ("speaker", 0, [likest(e, own=True) for e in dev]),
    ]
    for name, spans_of, rank in (("supervised", 0, 16), ("supervised, features alone", 0, 0), ("with GRPO", 4, 16)):
        for seed in range(seeds):
            started = time.monotonic()
            settings = GrounderSettings(grpo_epochs=spans_of, epochs=6 if spans_of else 10, rank=rank)
            trained = train_grounder(train, describer, settings, seed=seed)
            print(f"{name} seed {seed}: {trained.taught} taught, {trained.unreachable} unreachable, "
                  f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
            found = [trained.scorer.ground(e.query, e.observations) for e in dev]
            rows.append((name, seed, [(f.start, f.end) if f else None for f in found]))
    with out.open("w") as stream:
        for name, seed, found_spans in rows:
            stream.write(json.dumps(scored(name, seed, found_spans, gold, len(train))) + "\n")
    table([out])


def scored(name: str, seed: int, found: list[Any], gold: list[Any], taught: int) -> dict[str, Any]:
    """One method's scores with the bootstrap interval of its mean IoU."""
    from folkmoot.evaluation.answers import mean_interval
    from folkmoot.training.grounding import iou, score_spans

    overlaps = np.array([iou(f, g) if f else 0.0 for f, g in zip(found, gold, strict=True)])
    scores = score_spans(found, gold).model_dump()
    return {"name": name, "seed": seed, "train": taught, **scores, "interval95": mean_interval(overlaps)}


def table(paths: list[Path]) -> None:
    """Print one line a method, means over seeds."""
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    print(
        "| grounder | queries | mean IoU (95%) | sd over seeds | R@1, IoU .3 | R@1, IoU .5 |\n|---|---|---|---|---|---|"
    )
    for name in dict.fromkeys(row["name"] for row in rows):
        held = [row for row in rows if row["name"] == name]
        means = [row["mean_iou"] for row in held]
        low, high = held[0]["interval95"]
        spread = f"{np.std(means, ddof=1):.3f}" if len(means) > 1 else "-"
        r3, r5 = (np.mean([row[key] for row in held]) for key in ("recall_03", "recall_05"))
        print(
            f"| {name} | {held[0]['n']} | {np.mean(means):.3f} ({low:.3f} to {high:.3f}) | {spread} | {r3:.3f} | {r5:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "spans"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("grounding.jsonl"))
    given = parser.parse_args()
    if given.what == "run":
        run(given.data, given.out, given.seeds)
    elif given.what == "spans":
        for part in ("train", "dev"):
            path = (given.out if given.out.is_dir() else given.data) / "grounding" / f"{part}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(e.to_line() + "\n" for e in examples(given.data / "meld_text" / f"{part}.jsonl")))
            print(path)
    else:
        table(given.files)


if __name__ == "__main__":
    main()
