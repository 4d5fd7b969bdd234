"""What evidence is worth: accuracy with and without retrieval on the recorded Climate-FEVER claims.

    python benchmarks/value_of_evidence.py --data DIR

160 claims (40 a label) that a strong language model decided twice, blind to gold: from its own knowledge, with whether
it needs evidence (the planner), and with five BM25 passages (the integrator). The gate of the Delphi panel chooses
between the two for thresholds from never to always, so no call is made here. Printed for each gate: the share of claims
retrieved for, accuracy and macro-F1 with 95% bootstrap intervals over claims, calls spent (one for each claim, one more
where retrieved), and the extra calls for each verdict that evidence corrected net of those that it spoiled. Then
recall@5 of what our retriever finds for the same claims, and accuracy by how much of the gold the passages held.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np

from folkmoot.evaluation.classification import score_labels
from folkmoot.evidence import Question
from folkmoot.evidence.dense import DenseRetriever
from folkmoot.evidence.fused import FusedRetriever
from folkmoot.evidence.keyword import KeywordRetriever
from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.panels.gate import Gate, opens
from retrieval import climate, interval, recall_at, rows

LABELS = ("SUPPORTS", "REFUTES", "NOT_ENOUGH_INFO", "DISPUTED")
GATES: list[tuple[str, Gate, float]] = [
    ("never", "never", 0.0),
    *((f"need and below {t:.2f}", "confidence", t) for t in (0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)),
    ("need (reference)", "need", 0.0),
    ("always", "always", 0.0),
]


def scores(gold: list[str], said: list[str]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Accuracy and macro-F1, each with its 95% bootstrap interval over claims."""
    cells = np.array([[LABELS.index(g), LABELS.index(s)] for g, s in zip(gold, said, strict=True)])
    whole = score_labels(np.ones((1, len(gold))), cells[:, 0], cells[:, 1], classes=4)
    picks = np.random.default_rng(0).multinomial(len(gold), np.full(len(gold), 1 / len(gold)), size=2000)
    drawn = score_labels(picks.astype(float), cells[:, 0], cells[:, 1], classes=4)
    return tuple(
        (float(point[0]), *(float(v) for v in np.percentile(sample, [2.5, 97.5])))
        for point, sample in ((whole.accuracy, drawn.accuracy), (whole.macro_f1, drawn.macro_f1))
    )  # type: ignore[return-value]


def main(data: Path) -> None:
    gold_of = {row["id"]: row["label"] for row in rows(data / "climate_fever" / "claims.jsonl")}
    recorded = rows(data / "climate_recorded" / "recorded.jsonl")
    gold = [gold_of[row["id"]] for row in recorded]
    print(
        f"{'gate':<20} retrieved  accuracy               macro-F1               calls  corrected  spoiled  calls a correction"
    )
    for name, gate, threshold in GATES:
        retrieved = [
            opens(gate, need=r["direct"]["need_evidence"], confidence=r["direct"]["confidence"], threshold=threshold)
            for r in recorded
        ]
        said = [r["integrated" if opened else "direct"]["label"] for r, opened in zip(recorded, retrieved, strict=True)]
        direct = [r["direct"]["label"] for r in recorded]
        better = sum(s == g != d for s, g, d in zip(said, gold, direct, strict=True))
        worse = sum(d == g != s for s, g, d in zip(said, gold, direct, strict=True))
        accuracy, macro = scores(gold, said)
        net = f"{sum(retrieved) / (better - worse):.1f}" if better > worse else "-"
        print(
            f"{name:<20} {100 * np.mean(retrieved):7.1f}%  "
            f"{'{:.3f} ({:.3f} to {:.3f})'.format(*accuracy)} {'{:.3f} ({:.3f} to {:.3f})'.format(*macro)} "
            f"{len(recorded) + sum(retrieved):6} {better:9} {worse:8} {net:>12}"
        )
    passages, claims = climate(data)
    by_id = {claim[0]: claim for claim in claims}
    fused = FusedRetriever(KeywordRetriever(passages), DenseRetriever(passages, SentenceEncoder()))
    asked = [by_id[row["id"]] for row in recorded]
    ours = [[e.id for e in asyncio.run(fused.retrieve(Question(text=text, k=5)))] for _, text, _ in asked]
    for name, found in (("BM25, as recorded", [r["retrieved_bm25"] for r in recorded]), ("fused", ours)):
        recalls = [recall_at(answer, claim[2], 5) for answer, claim in zip(found, asked, strict=True)]
        print(f"recall@5 of {name}: {'{:.3f} ({:.3f} to {:.3f})'.format(*interval(recalls))}")
    by_recall: dict[int, list[bool]] = {}
    for row, claim, label in zip(recorded, asked, gold, strict=True):
        held = len(set(row["retrieved_bm25"]) & claim[2])
        by_recall.setdefault(min(held, 3), []).append(row["integrated"]["label"] == label)
    for held, right in sorted(by_recall.items()):
        print(
            f"integrator's accuracy with {held}{'+' if held == 3 else ''} gold passages: {np.mean(right):.3f} of {len(right)}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    main(parser.parse_args().data)
