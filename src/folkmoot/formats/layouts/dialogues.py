"""Published lines of dialogue with a label: MELD (emotion), MUStARD (sarcasm) and MIntRec (intent), each from its files as
published.

A post's text is the labelled line; who says it, and what was said before, stand in `meta`. The clip is taken where it
lies below `root`, which is by default the folder of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from folkmoot.formats.fields import shown
from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.formats.layouts.questions import imported
from folkmoot.formats.layouts.records import found, json_entries, mapped, medium, split_of, words
from folkmoot.formats.lines import read_lines
from folkmoot.formats.tables import read_csv_rows
from folkmoot.formats.tasks import load_task
from folkmoot.records import BadRecord, Media, Post

MELD_FOLDERS = {
    "train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test",
}  # fmt: skip
"""MELD's folders of clips; the clips of different splits share their names."""

CONTROLS = {
    code: character for code in range(0x80, 0xA0) if (character := bytes([code]).decode("cp1252", errors="ignore"))
}
"""The control characters that a Windows-1252 quotation mark or dash became, to what it was."""


def meld(path: Path, *, root: Path | None = None) -> Imported:
    """MELD (Poria et al., ACL 2019): a CSV file a split, a row an utterance. `meta.gold` has the sentiment.

    Read as UTF-8, and as Windows-1252 where it is none; stray Windows-1252 characters become what they were.
    """
    labels = _labels("emotion")

    def posts() -> Iterator[Post]:
        for file in found(path, ["train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv"], "MELD"):
            split = split_of(file)
            for line, row in read_csv_rows(file, encoding=_encoding(file), strict=False):
                numbers = {
                    name: _number(words(row, column, file, line), file, line, column)
                    for name, column in (
                        ("dialogue", "Dialogue_ID"), ("utterance", "Utterance_ID"), ("season", "Season"), ("episode", "Episode"),
                    )
                }  # fmt: skip
                clip = f"dia{numbers['dialogue']}_utt{numbers['utterance']}.mp4"
                yield Post(
                    id=f"meld-{split}-{numbers['dialogue']}-{numbers['utterance']}", split=split,
                    text=words(row, "Utterance", file, line).translate(CONTROLS),
                    media=_meld_clip(root or file.parent, split, clip),
                    label=mapped(words(row, "Emotion", file, line), labels, file, line, "Emotion"),
                    meta={"speaker": words(row, "Speaker", file, line).translate(CONTROLS), **numbers,
                          "start": row.get("StartTime"), "end": row.get("EndTime"), "gold": {"sentiment": row.get("Sentiment")}},
                )  # fmt: skip

    return imported(posts(), "emotion", "Utterances of one dialogue belong together: split by meta.dialogue.")


def mustard(path: Path, *, root: Path | None = None) -> Imported:
    """MUStARD (Castro et al., ACL 2019): `sarcasm_data.json`, an object with a record an id, in one split."""

    def posts() -> Iterator[Post]:
        for file in found(path, ["sarcasm_data.json"], "MUStARD"):
            for line, key, row in json_entries(file):
                said = row.get("sarcasm")
                if not isinstance(said, bool):
                    raise BadRecord(file, line, "sarcasm", f"true or false is accepted; {shown(said)} arrived.")
                for field in ("context", "context_speakers"):
                    turns = row.get(field)
                    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                        raise BadRecord(file, line, field, f"a list of texts is accepted; {shown(turns)} arrived.")
                yield Post(
                    id=f"mustard-{key}", text=words(row, "utterance", file, line), split=split_of(file),
                    label="sarcastic" if said else "not_sarcastic", media=medium(root or file.parent, f"{key}.mp4"),
                    meta={field: row.get(field) for field in ("speaker", "context", "context_speakers", "show")},
                )  # fmt: skip

    return imported(posts(), "sarcasm", "The speaker tells much of the label: split by meta.speaker or meta.show.")


def mintrec(path: Path, *, root: Path | None = None) -> Imported:
    """MIntRec (Zhang et al., ACM MM 2022): a TSV file a split. A quotation mark is a character like any other there."""
    labels = _labels("intent")

    def posts() -> Iterator[Post]:
        for file in found(path, ["train.tsv", "dev.tsv", "test.tsv"], "MIntRec"):
            for line, row in _plain_rows(file):
                season, episode, clip = (words(row, field, file, line) for field in ("season", "episode", "clip"))
                yield Post(
                    id=f"{season}_{episode}_{clip}", text=words(row, "text", file, line), split=split_of(file),
                    label=mapped(words(row, "label", file, line), labels, file, line, "label"),
                    media=medium(root or file.parent, f"{season}/{episode}/{clip}.mp4"),
                    meta={"season": season, "episode": episode, "clip": clip},
                )  # fmt: skip

    return imported(posts(), "intent")


def _labels(task: str) -> dict[str, str]:
    """The task's labels by their lower-case names."""
    return {name.casefold(): name for name in load_task(task).label_names}


def _number(text: str, path: Path, line: int, field: str) -> int:
    if not text.isdecimal():
        raise BadRecord(path, line, field, f"a whole number is accepted; {shown(text)} arrived.")
    return int(text)


def _encoding(path: Path) -> str:
    try:
        for _ in read_lines(path):
            pass
    except BadRecord:
        return "cp1252"
    return "utf-8"


def _meld_clip(root: Path, split: str, name: str) -> tuple[Media, ...]:
    """The clip in its split's folder, or in the root itself where that is such a folder."""
    folder = MELD_FOLDERS.get(split, split)
    return medium(root / folder, name) or (medium(root, name) if root.name == folder else ())


def _plain_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {column: cell}) of a tab-separated file without quoting."""
    columns: list[str] = []
    empty = True
    for line, text in read_lines(path):
        cells = text.rstrip("\r\n").split("\t")
        if not columns:
            columns = [cell.strip() for cell in cells]
        elif text.strip():
            if len(cells) != len(columns):
                raise BadRecord(path, line, None, f"{len(cells)} cells arrived; the header has {len(columns)} columns.")
            empty = False
            yield line, dict(zip(columns, cells, strict=True))
    if empty:
        raise BadRecord(path, None, None, "the file has no row.", "A header and at least one row are needed.")


def _layout(name: str, title: str, task: str, accepts: str, read: Callable[..., Imported]) -> Layout:
    return Layout(name=name, title=title, task=task, accepts=accepts, read=read, options=("root",))


ALL = (
    _layout(
        "meld", "MELD", "emotion",
        "the folder with train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv, or one of them", meld,
    ),
    _layout("mustard", "MUStARD", "sarcasm", "sarcasm_data.json, or the folder with it", mustard),
    _layout("mintrec", "MIntRec", "intent", "the folder with train.tsv, dev.tsv, test.tsv, or one of them", mintrec),
)  # fmt: skip
