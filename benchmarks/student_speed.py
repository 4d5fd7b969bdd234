"""How many posts a second a student judges, text in and verdicts out, beside sentence-transformers' encoder.

    python benchmarks/student_speed.py --posts data/hsol/pool.jsonl runs/demo/student runs/demo/fast_student

Each student judges the same posts `--repeats` times, in turn with the others; median, minimum and maximum are printed.
With `--thorough` each also does so with every post read by all that it has.
sentence-transformers, where it is installed, only encodes the texts (all-MiniLM-L6-v2, its default batches of 32).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from folkmoot.formats import read_posts
from folkmoot.students import TextStudent


def sentence_transformer() -> Callable[[list[str]], object] | None:
    """The peer's encode, or None where it is not installed."""
    try:
        from sentence_transformers import SentenceTransformer

        from folkmoot.models.encoder import encoder_folder
    except ImportError:
        return None
    model = SentenceTransformer(str(encoder_folder("embedded")))
    return lambda texts: model.encode(texts, show_progress_bar=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("students", nargs="+", type=Path)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--thorough", action="store_true")
    given = parser.parse_args()
    posts = [post.blind() for post in read_posts(given.posts)][: given.count]
    texts = [post.text for post in posts]
    judges: dict[str, Callable[[], object]] = {}
    for folder in given.students:
        for thorough in (False, True)[: 1 + given.thorough]:
            student = TextStudent.load(folder, thorough=thorough)
            name = f"{folder}{', thorough' if thorough else ''} ({student.runtime})"
            judges[name] = lambda student=student: student.verdicts(posts)  # type: ignore[misc]
    peer = sentence_transformer()
    if peer is None:
        print("sentence-transformers is not installed, so it does not run beside: pip install sentence-transformers")
    else:
        judges["sentence-transformers, encode alone"] = lambda: peer(texts)
    rates: dict[str, list[float]] = {name: [] for name in judges}
    for repeat in range(given.repeats + 1):
        for name, run in judges.items():
            started = time.perf_counter()
            run()
            if repeat:  # the first round warms up
                rates[name].append(len(posts) / (time.perf_counter() - started))
    for name, seen in rates.items():
        print(f"{name:<60} {statistics.median(seen):7.0f} posts/s  ({min(seen):.0f} to {max(seen):.0f})")


if __name__ == "__main__":
    main()
