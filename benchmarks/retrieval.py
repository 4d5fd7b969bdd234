"""Retrieval on Climate-FEVER's and AVeriTeC's pools, and at 100,000 passages.

    python benchmarks/retrieval.py quality --data DIR     recall@5 and nDCG@10 of BM25, MiniLM and both fused
    python benchmarks/retrieval.py speed --data DIR       index and query time at 100,000 passages

`quality` prints a line a retriever with 95% bootstrap intervals over claims. `bm25s` is that library's own defaults
(its tokenizer, English stopwords) over title and text, `minilm` our encoder's cosine alone; both are the plain tools
that the fused retriever must beat. Gold: all listed sentences of Climate-FEVER, all answers to a claim's questions of
AVeriTeC. `speed` splits all sets' texts into pieces and repeats them with noise until there are enough.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from folkmoot.evidence import Question
from folkmoot.evidence.corpus import read_corpus
from folkmoot.evidence.dense import DenseRetriever
from folkmoot.evidence.fused import FusedRetriever
from folkmoot.evidence.keyword import KeywordRetriever
from folkmoot.evidence.passage import Passage
from folkmoot.models.sentence_encoder import SentenceEncoder


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def climate(data: Path) -> tuple[list[Passage], list[tuple[str, str, set[str]]]]:
    passages = list(read_corpus(data / "climate_fever" / "corpus.jsonl"))
    claims = [
        (row["id"], row["text"], {e["evidence_id"] for e in row["meta"]["gold"]["evidence"]})
        for row in rows(data / "climate_fever" / "claims.jsonl")
    ]
    return passages, claims


def averitec(data: Path) -> tuple[list[Passage], list[tuple[str, str, set[str]]]]:
    passages = list(read_corpus(data / "averitec" / "corpus.jsonl"))
    by_claim: dict[str, set[str]] = {}
    for passage in passages:
        by_claim.setdefault(passage.id.rsplit("-q", 1)[0], set()).add(passage.id)
    claims = [
        (row["id"], row["text"], by_claim.get(row["id"], set())) for row in rows(data / "averitec" / "claims.jsonl")
    ]
    return passages, [claim for claim in claims if claim[2]]


def recall_at(found: list[str], gold: set[str], k: int) -> float:
    return len(set(found[:k]) & gold) / len(gold)


def ndcg_at(found: list[str], gold: set[str], k: int) -> float:
    gain = sum(1 / np.log2(rank + 2) for rank, name in enumerate(found[:k]) if name in gold)
    return float(gain / sum(1 / np.log2(rank + 2) for rank in range(min(k, len(gold)))))


def interval(values: list[float], *, seed: int = 0, draws: int = 2000) -> tuple[float, float, float]:
    array = np.array(values)
    picks = np.random.default_rng(seed).integers(0, array.size, (draws, array.size))
    low, high = np.percentile(array[picks].mean(axis=1), [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


def bm25s_alone(passages: list[Passage], questions: list[str]) -> list[list[str]]:
    import bm25s

    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([p.searched for p in passages], stopwords="en", show_progress=False), show_progress=False
    )
    found, _ = index.retrieve(bm25s.tokenize(questions, stopwords="en", show_progress=False), k=10, show_progress=False)
    return [[passages[int(n)].id for n in row] for row in found]


def quality(data: Path) -> None:
    encoder = SentenceEncoder()
    recorded = {row["id"] for row in rows(data / "climate_recorded" / "recorded.jsonl")}
    for name, (passages, claims) in (("climate_fever", climate(data)), ("averitec", averitec(data))):
        keyword, dense = KeywordRetriever(passages), DenseRetriever(passages, encoder)
        retrievers = {
            "bm25": keyword, "minilm": dense, "fused by ranks": FusedRetriever(keyword, dense, by="ranks"),
            "fused by scores": FusedRetriever(keyword, dense),
        }  # fmt: skip
        found = {"bm25s": bm25s_alone(passages, [text for _, text, _ in claims])}
        for label, retriever in retrievers.items():
            found[label] = [
                [e.id for e in asyncio.run(retriever.retrieve(Question(text=text, k=10)))] for _, text, _ in claims
            ]
        parts = {f"{name}, {len(claims)} claims, {len(passages)} passages": set(range(len(claims)))}
        if name == "climate_fever":
            chosen = {n for n, claim in enumerate(claims) if claim[0] in recorded}
            parts[f"{name}, the {len(chosen)} recorded claims"] = chosen
        for part, chosen in parts.items():
            print(part)
            for label, answers in found.items():
                recalls = [recall_at(answers[n], claims[n][2], 5) for n in sorted(chosen)]
                gains = [ndcg_at(answers[n], claims[n][2], 10) for n in sorted(chosen)]
                print(
                    f"  {label:<16} recall@5 {'{:.3f} ({:.3f} to {:.3f})'.format(*interval(recalls))}   "
                    f"nDCG@10 {'{:.3f} ({:.3f} to {:.3f})'.format(*interval(gains))}"
                )


def speed(data: Path, count: int) -> None:
    random = np.random.default_rng(0)
    texts = [p.searched for p in climate(data)[0]] + [p.searched for p in averitec(data)[0]]
    words = sorted({word for text in texts for word in text.split()})
    passages: list[Passage] = []
    while len(passages) < count:
        for text in texts:
            parts = text.split()
            swapped = [words[random.integers(len(words))] if random.random() < 0.1 else part for part in parts]
            passages.append(Passage(id=str(len(passages)), text=" ".join(swapped)[:400]))
            if len(passages) == count:
                break
    questions = [claim[1] for claim in climate(data)[1][:200]]

    def timed(what: str, work: Any) -> Any:
        start = time.perf_counter()
        result = work()
        print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)
        return result

    def asked(what: str, retriever: Any) -> None:
        seconds = []
        for text in questions:
            start = time.perf_counter()
            asyncio.run(retriever.retrieve(Question(text=text, k=10)))
            seconds.append(1000 * (time.perf_counter() - start))
        print(
            f"{what}: median {np.median(seconds):.1f} ms a question, 95th percentile {np.percentile(seconds, 95):.1f} ms"
        )

    print(f"{count:,} passages, {np.mean([len(p.text) for p in passages]):.0f} characters on average")
    keyword = timed("index bm25", lambda: KeywordRetriever(passages))
    encoder = SentenceEncoder()
    with tempfile.TemporaryDirectory() as folder:
        told = [0.0]

        def progress(done: int, total: int) -> None:
            if time.perf_counter() - told[0] > 30:
                told[0] = time.perf_counter()
                print(f"  {done:,} of {total:,}", flush=True)

        dense = timed(
            "index minilm", lambda: DenseRetriever(passages, encoder, cache=Path(folder), on_progress=progress)
        )
        timed(
            "index minilm again, from its kept vectors", lambda: DenseRetriever(passages, encoder, cache=Path(folder))
        )
    asked("bm25", keyword)
    asked("minilm", dense)
    asked("fused", FusedRetriever(keyword, dense))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("quality", "speed"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    arguments = parser.parse_args()
    if arguments.part == "quality":
        quality(arguments.data)
    else:
        speed(arguments.data, arguments.passages)
