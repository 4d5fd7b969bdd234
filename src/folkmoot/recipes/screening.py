"""Files of posts -> the posts worth learning from, and a row a post that says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.formats import read_posts, write_posts
from folkmoot.models.encoder import encoder_folder, load_encoder_network
from folkmoot.models.tokens import encode_texts, load_tokenizer
from folkmoot.records import BadInput, Record
from folkmoot.runs.atomic import write_atomically
from folkmoot.supervision.screening import Benchmark, Screened, ScreeningSettings, screen


class ScreeningDone(Record):
    """What was kept and what was not, by reason; `kept_labels` counts the kept ones by label."""

    out: str
    why: str
    posts: int
    kept: int
    reasons: dict[str, int]
    kept_labels: dict[str, int]
    leaks_by_file: dict[str, int]


def vectors_of(texts: Sequence[str], *, encoder: str = "embedded", max_tokens: int = 64) -> NDArray[np.float32]:
    """One unit vector a text, [B, D], zero for an empty one.

    Raises:
        MissingExtra: torch is not installed.
    """
    network = load_encoder_network(encoder)  # says what to install where torch is missing
    from folkmoot.students.network import TextClassifier
    from folkmoot.students.runtimes import network_vectors

    ids = encode_texts(load_tokenizer(encoder_folder(encoder), max_tokens=max_tokens), list(texts))
    vectors = network_vectors(TextClassifier(network, normalised=True), ids)
    vectors[[row for row, text in enumerate(texts) if not text.strip()]] = 0
    return vectors


def screen_files(
    posts: Path,
    validation: Path,
    out: Path,
    settings: ScreeningSettings,
    *,
    against: Sequence[Path] = (),
    encoder: str = "embedded",
) -> ScreeningDone:
    """The kept posts in `out`, in the order of the file, and in `OUT.why.jsonl` what became of each.

    A post of the validation set is one that training must not see, so it counts as a benchmark as well.

    Raises:
        BadInput: a file cannot be used, or labels are missing where they are to be balanced.
    """
    held, wanted = read_posts(posts), read_posts(validation)
    if settings.balance and (missing := next((post for post in held if post.label is None), None)):
        raise BadInput(
            f"{posts}, field 'label': post '{missing.id}' has none, and labels are to be balanced; --any-label"
        )
    files = list(dict.fromkeys([validation, *against]))  # the validation set comes first
    others = [wanted, *(read_posts(file) for file in files[1:])]
    texts = [post.text for group in (held, *others) for post in group]
    vectors = vectors_of(texts, encoder=encoder)
    bounds = np.cumsum([0, len(held), *map(len, others)])
    parts = [vectors[start:end] for start, end in pairwise(bounds.tolist())]
    benchmarks = {
        str(file): (Benchmark(name=str(file), ids=tuple(p.id for p in group), texts=tuple(p.text for p in group)), part)
        for file, group, part in zip(files, others, parts[1:], strict=True)
    }
    fates = screen(held, parts[0], parts[1], settings, benchmarks=benchmarks)
    kept = {fate.id for fate in fates if fate.reason == "kept"}
    chosen = [post for post in held if post.id in kept]
    write_posts(chosen, out)
    why = out.with_name(out.name + ".why.jsonl")
    write_atomically(why, "".join(fate.to_line() + "\n" for fate in fates))
    return ScreeningDone(
        out=str(out), why=str(why), posts=len(held), kept=len(chosen), reasons=dict(Counter(f.reason for f in fates)),
        kept_labels=dict(Counter(str(post.label) for post in chosen)), leaks_by_file=dict(leaked(fates)),
    )  # fmt: skip


def leaked(fates: Sequence[Screened]) -> Counter[str]:
    """Leaks by the file they stand in."""
    return Counter(str(fate.twin).rsplit(": ", 1)[0] for fate in fates if fate.reason == "leaks")
