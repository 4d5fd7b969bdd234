"""Sentiment140 (Go et al. 2009): six columns without a header, in Latin-1."""

from __future__ import annotations

import random
from pathlib import Path

from folkmoot.formats.fields import shown
from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.formats.tables import read_cells
from folkmoot.records import BadInput, BadRecord, Post

POLARITY = {"0": "negative", "4": "positive"}
"""As published: 0 is a negative tweet and 4 a positive one; `positive` is the task's positive label."""
NEUTRAL = "2"  # only in the small test file
COLUMNS = ("polarity", "id", "date", "query", "user", "text")
FILES = {
    "train": "training.1600000.processed.noemoticon.csv",
    "test": "testdata.manual.2009.06.14.csv",
}


def read(path: Path, *, sample: int | None = None, seed: int = 0) -> Imported:
    """The tweets of the folder's files (or of one file), without neutral ones and without contradictions.

    A tweet id that stands in the file with both polarities is left out; one that repeats with the same polarity is
    kept once. User names and dates are not read.

    Args:
        sample: where given, that many tweets of training, drawn with `seed`. (The file is sorted by polarity, so
            its first rows are all negative.)
    """
    if path.is_file():
        files = {"test" if path.name.startswith("testdata") else "train": path}
    else:
        files = {split: path / name for split, name in FILES.items() if (path / name).is_file()}
    if not files:
        raise BadInput(f"cannot find Sentiment140 in {path}: neither {' nor '.join(FILES.values())} is there")
    if sample is not None and sample < 1:
        raise BadInput(f"cannot draw a sample of {sample} tweets; 1 or more is accepted")
    splits, notes = {}, ["polarity as published: 0 is negative, 4 is positive."]
    for split, file in files.items():
        splits[split], said = _split(file, split, sample if split == "train" else None, seed)
        notes += said
    return Imported(task="sentiment", splits=splits, notes=tuple(notes))


def _split(file: Path, split: str, sample: int | None, seed: int) -> tuple[list[Post], list[str]]:
    # Two passes over 1.6 million rows: polarities first, then only the posts that stay are built.
    polarity: dict[str, str] = {}
    contradicted: set[str] = set()
    neutral = rows = 0
    for line, cells in read_cells(file, encoding="latin-1"):
        rows += 1
        if len(cells) != len(COLUMNS):
            raise BadRecord(
                file, line, None, f"{len(cells)} cells arrived; {len(COLUMNS)} are accepted: {', '.join(COLUMNS)}."
            )
        if cells[0] == NEUTRAL:
            neutral += 1
        elif cells[0] not in POLARITY:
            raise BadRecord(file, line, "polarity", f"0, 2 or 4 is accepted; {shown(cells[0])} arrived.")
        elif polarity.setdefault(cells[1], cells[0]) != cells[0]:
            contradicted.add(cells[1])
    if not rows:
        raise BadRecord(file, None, None, "the file is empty.")
    kept = [tweet for tweet in polarity if tweet not in contradicted]
    repeated = rows - neutral - len(polarity)
    if sample is not None and sample < len(kept):
        kept = random.Random(seed).sample(kept, sample)
    wanted = set(kept)
    posts: dict[str, Post] = {}
    for _, cells in read_cells(file, encoding="latin-1"):
        if cells[1] in wanted and cells[0] in POLARITY:
            wanted.discard(cells[1])
            posts[cells[1]] = Post(id=f"sentiment140-{cells[1]}", text=cells[5], label=POLARITY[cells[0]], split=split)
    notes = []
    if neutral:
        notes.append(f"{neutral} neutral tweets of {split} were left out; the task has no such label.")
    if repeated:
        notes.append(
            f"{repeated} rows of {split} repeat an id; {len(contradicted)} ids with both polarities were left out."
        )
    return list(posts.values()), notes


LAYOUT = Layout(
    name="sentiment140",
    title="Sentiment140",
    task="sentiment",
    accepts=f"{FILES['train']} or {FILES['test']}, or the folder with them",
    read=read,
    options=("sample", "seed"),
)
