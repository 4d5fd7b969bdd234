"""MA-VLM's own folder: posts, the known sets of 50, 100 and 250 labels, and the agents' recorded outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from folkmoot.formats.fields import shown
from folkmoot.formats.layouts.layout import Imported, Layout, apart, gold
from folkmoot.formats.lines import read_lines, read_rows
from folkmoot.formats.tables import read_cells
from folkmoot.formats.tasks import load_task
from folkmoot.records import BadInput, BadRecord, Media, Opinion, Outcome, Post, Task

FOLDERS = {"FHM": "hateful_meme", "MAMI": "misogyny", "HSOL": "offensive", "Sent140": "sentiment"}
"""The published folders and the task of each."""

WITHOUT_PICTURES = {"HSOL", "Sent140"}
"""Folders of tweets; the pictures that their rows name do not exist."""

WORDS = {
    "hateful_meme": {"hateful": "hateful", "normal": "not_hateful"},
    "misogyny": {"misogyny": "misogynous", "normal": "not_misogynous"},
    "offensive": {"hateful": "offensive", "normal": "ok"},
    "sentiment": {"positive": "positive", "negative": "negative"},
}
"""The agents' words for a task's labels."""

AGENTS = {"auditor": "moderator", "user": "user"}
"""Their name for an agent -> ours, which is the paper's."""

NOT_ASKED = "No"
"""What the agents' file holds for a step that was not run."""

STEPS = [(agent, step) for step in (0, 1) for agent in AGENTS]
HEADER = [f"{agent}_step_{step}_{part}" for agent, step in STEPS for part in ("output", "judgement", "reason")]


def read(path: Path, *, task: str | None = None, root: Path | None = None, opinions: Path | None = None) -> Imported:
    """The splits of `datasets/NAME`, and with `image_id_split_train.json` a `labelled_N` and a `pool_N` each.

    Label 1 is the task's positive label in every published folder; in Sent140 it is positive sentiment, although the
    paper calls negative its positive class. Pool posts keep their gold label, as in the source; a judge sees none.
    A repeated id is kept once, and an id in two splits stays in the held-out one (the MAMI folder has both).

    Args:
        task: a shipped task's name or a TOML path; told by the folder's name (FHM, MAMI, HSOL, Sent140) otherwise.
        root: the folder that `image_path` starts from; by default the one that holds `datasets/`.
        opinions: the agents' `all.csv`; by default `scripts/meta_data/MA_VLMs_output/NAME/all.csv` below root.
    """
    if not path.is_dir():
        raise BadInput(f"cannot read {path} as MA-VLM's folder: it is not a folder")
    name = path.absolute().name
    if task is None and name not in FOLDERS:
        raise BadInput(f"cannot tell the task of folder '{name}' (known: {', '.join(FOLDERS)}); give the option 'task'")
    about = load_task(task or FOLDERS[name])
    if root is None:
        root = path.absolute().parent.parent if path.absolute().parent.name == "datasets" else path
    files = [path / f"{split}.jsonl" for split in ("train", "dev", "test") if (path / f"{split}.jsonl").is_file()]
    files = files or [path / "all.jsonl"]
    splits, notes = apart({file.stem: list(_posts(file, about, root)) for file in files})
    known = path / "image_id_split_train.json"
    if known.is_file():
        splits |= _known_sets(known, splits.get("train", splits.get("all", [])), notes)
    recorded = opinions or root / "scripts" / "meta_data" / "MA_VLMs_output" / name / "all.csv"
    said: dict[str, dict[str, tuple[Opinion, ...]]] = {}
    if opinions is not None or recorded.is_file():
        said = read_agents(recorded, about)
    return Imported(task=about.name, splits=splits, opinions=said, notes=tuple(notes))


def read_agents(path: Path, task: Task) -> dict[str, dict[str, tuple[Opinion, ...]]]:
    """The agents' outputs as opinions: the classifier's label that they were shown -> post id -> opinions.

    Round 0 is their step 0, in which each was told which label to argue for, so it is no free judgement. Round 1 is
    their step 1. The label is read from the output again: the published code turns an output without a label
    into the negative one, which here is `unparsable`. The published header names the columns for the classifier's
    label 0 only; the cells for label 1 follow in the same order.
    """
    told = dict(zip((0, 1), (task.negative, task.positive), strict=True))
    opinions: dict[str, dict[str, tuple[Opinion, ...]]] = {str(label): {} for label in told.values()}
    header: list[str] | None = None
    full = ["image_id", "gt_label", *(f"{column}_for_{label}" for label in (0, 1) for column in HEADER)]
    short = full[: 2 + len(HEADER)]
    for line, cells in read_cells(path, strict=False):
        if header is None:
            header = cells
            if header[: len(short)] != short:
                raise BadRecord(path, line, None, f"the header starts otherwise than {', '.join(short[:3])}, ...")
            continue
        if len(cells) not in (len(short), len(full)):
            raise BadRecord(path, line, None, f"{len(cells)} cells arrived; {len(short)} or {len(full)} are accepted.")
        row = dict(zip(full, cells, strict=False))
        for number, label in told.items():
            if f"{HEADER[0]}_for_{number}" not in row:
                continue
            said = tuple(_opinions(row, number, task))
            if row["image_id"] in opinions[str(label)]:
                raise BadRecord(path, line, "image_id", f"the id {shown(row['image_id'])} stands in the file already.")
            opinions[str(label)][row["image_id"]] = said
    return {label: said for label, said in opinions.items() if said}


def _opinions(row: dict[str, str], number: int, task: Task) -> Iterator[Opinion]:
    for agent, step in STEPS:
        output = row[f"{agent}_step_{step}_output_for_{number}"].strip()
        if output in ("", NOT_ASKED):
            continue
        label = _label(output, task)
        reason = re.search(r"Reason:\s*(.*)", output, re.DOTALL)
        yield Opinion(
            agent=AGENTS[agent],
            round=step,
            outcome=Outcome.LABELLED if label else Outcome.UNPARSABLE,
            label=label,
            rationale=reason[1].strip() if reason else "",
        )


def _label(output: str, task: Task) -> str | None:
    """The one label that the output names, or the other one where it says 'should not'; None where it names two."""
    words = WORDS.get(task.name, {}) | {name.lower(): name for name in task.label_names}
    named = {words.get(word.strip().lower()) for word in re.findall(r"<label>([^<]*)</label>", output)}
    if len(named) != 1 or None in named:
        return None
    label = named.pop()
    if re.search(r"should\s+not\s+be\s+classified", output):
        return task.negative if label == task.positive else task.positive
    return label


def _posts(file: Path, task: Task, root: Path) -> Iterator[Post]:
    names = (task.negative, str(task.positive))
    pictures = "image" in task.modalities and file.absolute().parent.name not in WITHOUT_PICTURES
    for line, row in read_rows(file):
        for field in ("image_id", "text"):
            if not isinstance(row.get(field), str | int):
                raise BadRecord(
                    file, line, field, "the field is missing.", "A row has image_id, image_path, label, text."
                )
        picture = row.get("image_path") if pictures else None
        media = () if not picture else (Media(path=str((root / str(picture)).absolute())),)
        yield Post(
            id=str(row["image_id"]),
            text=str(row["text"]),
            media=media,
            label=gold(row.get("label"), names, path=file, line=line, field="label"),
            split=None if file.stem == "all" else file.stem,
        )


def _known_sets(file: Path, train: list[Post], notes: list[str]) -> dict[str, list[Post]]:
    """`labelled_N` and `pool_N` for every N of the file, from its `pnu_known` and `pnu_unknown`."""
    try:
        table = json.loads("".join(line for _, line in read_lines(file)))
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise BadRecord(file, None, None, "not a JSON object.", "Its keys are numbers of labels, such as 50, 100, 250.")
    posts = {post.id: post for post in train}
    sets: dict[str, list[Post]] = {}
    for count in sorted((key for key in table if key.isdigit() and key != "0"), key=int):
        for part, name in (("pnu_known", "labelled"), ("pnu_unknown", "pool")):
            ids = list(dict.fromkeys(_ids(file, table[count], count, part)))
            absent = [one for one in ids if one not in posts]
            if len(absent) == len(ids) and ids:
                raise BadRecord(file, None, f"{count}.{part}", "none of its ids is in training.")
            if absent:
                notes.append(f"{len(absent)} ids of {name}_{count} are not in training; they were left out.")
            sets[f"{name}_{count}"] = [posts[one] for one in ids if one in posts]
    return sets


def _ids(file: Path, entry: Any, count: str, part: str) -> list[str]:
    listed = entry.get(part) if isinstance(entry, dict) else None
    if not isinstance(listed, dict) or not isinstance(ids := listed.get("image_id"), list):
        raise BadRecord(file, None, f"{count}.{part}.image_id", "a list of ids is accepted; none arrived.")
    if listed.get("length", len(ids)) != len(ids):
        raise BadRecord(file, None, f"{count}.{part}.length", f"{len(ids)} ids arrived, another number is announced.")
    return [str(one) for one in ids]


LAYOUT = Layout(
    name="ma_vlm",
    title="MA-VLM's folder (FHM, MAMI, HSOL, Sent140)",
    task="",
    accepts="datasets/NAME with train.jsonl, dev.jsonl, test.jsonl (or all.jsonl) and image_id_split_train.json",
    read=read,
    options=("task", "root", "opinions"),
)
