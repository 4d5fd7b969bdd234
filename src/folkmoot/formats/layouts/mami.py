"""MAMI (SemEval-2022 task 5): a training table, the official test table and its file of labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from folkmoot.formats.fields import columns_of
from folkmoot.formats.layouts.layout import Imported, Layout, apart, gold
from folkmoot.formats.lines import read_lines
from folkmoot.formats.tables import read_csv_rows
from folkmoot.records import BadInput, BadRecord, Media, Post

KINDS = ("shaming", "stereotype", "objectification", "violence")
TEXT = "Text Transcription"
LABEL_COLUMNS = ("file_name", "misogynous", *KINDS)


def read(
    path: Path, *, train: Path | None = None, test: Path | None = None, test_labels: Path | None = None
) -> Imported:
    """Training and official test, each id once; a meme that is in both stays in the test alone.

    The tables are found below the folder by their published names (`training.csv`, `Test.csv`, `test_labels.txt`)
    unless the options name them. An id is the picture's file name without its ending. The four kinds of misogyny
    become the attribution. A test without labels is read as unlabelled.
    """
    train = train or _find(path, "training.csv")
    test = test or _find(path, "test.csv")
    test_labels = test_labels or _find(path, "test_labels.txt")
    if train is None and test is None:
        raise BadInput(f"cannot find MAMI below {path}: neither training.csv nor Test.csv is there")
    splits: dict[str, list[Post]] = {}
    notes: list[str] = []
    if train is not None:
        splits["train"] = list(_posts(train, "train", {}))
    if test is not None:
        labels = {row["file_name"]: (line, row) for line, row in _rows(test_labels)} if test_labels else {}
        splits["test"] = list(_posts(Path(test), "test", labels))
        unlabelled = sum(post.label is None for post in splits["test"])
        if unlabelled:
            notes.append(f"{unlabelled} posts of test have no label; test_labels.txt names none for them.")
    splits, repeated = apart(splits)
    return Imported(task="misogyny", splits=splits, notes=(*repeated, *notes))


def _find(path: Path, name: str) -> Path | None:
    if path.is_file():
        return path if path.name.lower() == name else None
    return next((file for file in sorted(path.rglob("*")) if file.name.lower() == name and file.is_file()), None)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by column; the separator is the one in the first line, and a first line without names is a row."""
    path = Path(path)
    first = next(read_lines(path), (1, ""))[1]
    delimiter = "\t" if "\t" in first else ","
    header = None if "file_name" in first else LABEL_COLUMNS
    return read_csv_rows(path, delimiter=delimiter, strict=False, header=header)


def _posts(path: Path, split: str, labels: dict[str, tuple[int, dict[str, str]]]) -> Iterator[Post]:
    for line, row in _rows(path):
        for field in ("file_name", TEXT):
            if field not in row:
                raise BadRecord(path, line, field, f"no such column; the file has {', '.join(columns_of(row))}.")
        at, answers = (line, row) if "misogynous" in row else labels.get(row["file_name"], (line, {}))
        yield Post(
            id=Path(row["file_name"]).stem,
            text=row[TEXT],
            media=(Media(path=str((path.parent / row["file_name"]).absolute())),),
            label=gold(
                answers.get("misogynous"), ("not_misogynous", "misogynous"), path=path, line=at, field="misogynous"
            ),
            attribution=tuple(kind for kind in KINDS if (answers.get(kind) or "").strip() == "1"),
            split=split,
        )


LAYOUT = Layout(
    name="mami",
    title="MAMI, multimedia automatic misogyny identification",
    task="misogyny",
    accepts="the folder with training.csv, Test.csv and test_labels.txt, each beside its pictures",
    read=read,
    options=("train", "test", "test_labels"),
)
