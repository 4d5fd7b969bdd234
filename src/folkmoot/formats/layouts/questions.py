"""Published sets of questions about clips: IntentBench, IntentTrain, Daily-Omni, WorldSense and Social-IQ 2.0, each from
its files as published.

A post has a question, no words of its own, and its clip where that lies below `root`, which is by default the folder of
the questions' file. An id is made of the row's number or is the published one; a clip's own name may tell the answer.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from folkmoot.formats.fields import record_from, shown
from folkmoot.formats.layouts.layout import Imported, Layout, apart
from folkmoot.formats.layouts.records import (
    by_split,
    found,
    json_entries,
    json_records,
    mapped,
    medium,
    need,
    split_of,
    words,
)
from folkmoot.records import BadRecord, MediaType, Post, Question

TASK = "social_intent"
KINDS = {"multiple choice": "choice", "emer_ov_mc": "choices", "judge": "yes_no"}
FREE = dict.fromkeys(("numerical", "regression", "free-form", "ocr"), "free")
COLUMNS = {"emer_ov_mc": "Emotion", "judge": "Deception"}
"""The columns of IntentBench's table that a problem's type names; the others are the question's own `Type`."""

TYPES = {name.casefold(): name for name in ("Why", "How", "What", "When", "Who/Which", "Other")} | dict.fromkeys(
    ("who", "which"), "Who/Which"
)
"""A question's `Type` -> its column; one that stands not here is a column of its own."""

MEDIA_TYPES: dict[str, MediaType] = {"video": "video", "image": "image", "audio": "audio"}
LETTER = re.compile(r"\s*\(?([A-Z])[.:)]")


def imported(posts: Iterable[Post], task: str, *notes: str) -> Imported:
    """The posts by split, each id once, with a note on how many have no clip."""
    splits, repeated = apart(by_split(posts))
    kept = [post for split in splits.values() for post in split]
    bare = sum(not post.media for post in kept)
    without = (f"{bare} of {len(kept)} posts have no clip below the root; their media is empty.",) if bare else ()
    return Imported(task=task, splits=splits, notes=(*repeated, *without, *notes))


def bare_options(options: object, path: Path, line: int, field: str) -> tuple[str, ...]:
    """The options without their letters, which stand before all of them in their order, or before none.

    Raises:
        BadRecord: they are no list of texts, or their letters are not A, B, ...: the gold letter would mean another.
    """
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise BadRecord(path, line, field, f"a list of options is accepted; {shown(options)} arrived.")
    marks = [mark for option in options if (mark := LETTER.match(option))]
    if len(marks) < len(options):
        return tuple(option.strip() for option in options)
    letters = "".join(mark[1] for mark in marks)
    if letters != string.ascii_uppercase[: len(options)]:
        raise BadRecord(
            path, line, field, f"the options' letters are {letters}; A, B, ... in their order are accepted."
        )
    return tuple(option[mark.end() :].strip() for option, mark in zip(options, marks, strict=True))


def question(kind: str, text: str, options: tuple[str, ...], *, path: Path, line: int, field: str) -> Question:
    """The question; `field` is the one that holds the options."""
    row = {"kind": kind, "text": text, "options": options}
    return record_from(Question, row, path=path, line=line, whole=field)


def answer(asked: Question, said: str, *, path: Path, line: int, field: str) -> str:
    """The gold answer in its one form.

    Raises:
        BadRecord: it is no answer to the question.
    """
    label = asked.canonical(said)
    if label is None:
        accepted = f"Accepted: {', '.join(asked.answers)}." if asked.answers else "Words are accepted."
        raise BadRecord(path, line, field, f"{shown(said)} is no answer to the question.", accepted)
    return label


def tagged(text: str, tag: str) -> str | None:
    """What stands between <tag> and </tag>, None where they are not there."""
    match = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return match[1].strip() if match else None


def intentbench(path: Path, *, root: Path | None = None) -> Imported:
    """IntentBench (HumanOmniV2, arXiv 2506.21277): `qa.json`, a list of rows. `meta.type` is the table's column."""

    def posts() -> Iterator[Post]:
        for file in found(path, ["qa.json"], "IntentBench"):
            for line, row in json_records(file):
                name = f"intentbench-{line - 1:04}"
                yield problem(file, line, row, root or file.parent, name=name, kinds=KINDS, split="test")

    return imported(posts(), TASK)


def intent_train(path: Path, *, root: Path | None = None) -> Imported:
    """IntentTrain (HumanOmniV2): the rewritten rows of EMER, Social-IQ 2.0 and Video-R1, any of the three files."""
    names = ["emer_rewrite.json", "social_iq_v2_rewrite.json", "Video-R1_rewrite.json"]

    def posts() -> Iterator[Post]:
        for file in found(path, names, "IntentTrain"):
            source = file.stem.removesuffix("_rewrite")
            for line, row in json_records(file):
                name = f"{source}-{line - 1:05}"
                post = problem(file, line, row, root or file.parent, name=name, kinds=KINDS | FREE, split="train")
                yield post.model_copy(update={"meta": {"source": source, **post.meta}})

    return imported(posts(), TASK, "Some clips stand in Social-IQ 2.0 too: split by meta.video_id.")


def problem(
    file: Path, line: int, row: Mapping[str, Any], root: Path, *, name: str, kinds: Mapping[str, str], split: str
) -> Post:
    """A row as HumanOmniV2 writes it. The gold answer stands in `solution` between its tags, or in `answer`.

    The solution's context and thoughts are `meta.gold.rationale`, with their tags; `clean_list` holds words of the answer.
    """
    told = words(row, "problem_type", file, line)
    kind = mapped(told, kinds, file, line, "problem_type")
    place = words(row, "video" if row.get("video") else "path", file, line)
    media_type = MEDIA_TYPES[mapped(row.get("data_type") or "video", MEDIA_TYPES, file, line, "data_type")]
    offered = bare_options(row.get("options") or [], file, line, "options")
    asked = question(
        kind, words(row, "problem", file, line), offered if kind in ("choice", "choices") else (),
        path=file, line=line, field="options",
    )  # fmt: skip
    solution, field = str(row.get("solution") or ""), "solution"
    said = tagged(solution, "answer")
    if said is None and row.get("answer") is not None:
        said, field = need(row, "answer", file, line), "answer"
    if said is None:
        raise BadRecord(file, line, field, "no answer stands between <answer> and </answer>.")
    letters = string.ascii_uppercase[: len(offered)]
    if kind == "yes_no" and len(said) == 1 and said in letters:
        said = offered[letters.index(said)]
    published = str(row.get("Type") or "Other").strip()
    thoughts = [f"<{tag}>{part}</{tag}>" for tag in ("context", "think") if (part := tagged(solution, tag))]
    gold = {
        **({"rationale": "".join(thoughts)} if thoughts else {}),
        **({"clean_list": row["clean_list"]} if row.get("clean_list") else {}),
    }
    meta = {
        "type": COLUMNS.get(told.casefold()) or TYPES.get(published.casefold(), published),
        "problem_type": told, "video_id": Path(place).stem, "video": place,
        **{key: row[key] for key in ("qid", "data_type") if row.get(key) is not None},
        **({"gold": gold} if gold else {}),
    }  # fmt: skip
    return Post(
        id=name, media=medium(root, place, media_type), question=asked, split=split, meta=meta,
        label=answer(asked, said, path=file, line=line, field=field),
    )  # fmt: skip


def daily_omni(path: Path, *, root: Path | None = None) -> Imported:
    """Daily-Omni (arXiv 2505.17862): `qa.json`, a list of rows; the clip is `ID/ID_video.mp4`."""
    kept = ("content_parent_category", "content_fine_category", "video_category", "video_duration")

    def posts() -> Iterator[Post]:
        for file in found(path, ["qa.json"], "Daily-Omni"):
            for line, row in json_records(file):
                video = words(row, "video_id", file, line)
                offered = bare_options(row.get("Choice"), file, line, "Choice")
                asked = question(
                    "choice", words(row, "Question", file, line), offered, path=file, line=line, field="Choice"
                )
                yield Post(
                    id=f"daily-omni-{line - 1:04}", question=asked, split="test",
                    media=medium(root or file.parent, f"{video}/{video}_video.mp4"),
                    label=answer(asked, need(row, "Answer", file, line), path=file, line=line, field="Answer"),
                    meta={"type": row.get("Type"), "video_id": video, **{key: row[key] for key in kept if key in row}},
                )  # fmt: skip

    return imported(posts(), TASK)


def worldsense(path: Path, *, root: Path | None = None) -> Imported:
    """WorldSense (arXiv 2502.04326): an object with a record a video, whose `task0`, `task1`, ... are its questions.

    The caption describes the whole video: it stands in `meta.gold`. A bad record is named by the video's number.
    """
    kept = ("domain", "sub_category", "audio_class", "video_duration", "duration")

    def posts() -> Iterator[Post]:
        for file in found(path, ["worldsense_qa.json"], "WorldSense"):
            for line, video, row in json_entries(file):
                tasks = [key for key in row if re.fullmatch(r"task\d+", key)]
                if not tasks:
                    raise BadRecord(file, line, "task0", "the field is missing.", "A video has a question or more.")
                for key in tasks:
                    if not isinstance(row[key], dict):
                        raise BadRecord(file, line, key, f"an object is accepted; {shown(row[key])} arrived.")
                    task = {f"{key}.{field}": value for field, value in row[key].items()}
                    text, said, candidates = (f"{key}.{field}" for field in ("question", "answer", "candidates"))
                    offered = bare_options(task.get(candidates), file, line, candidates)
                    asked = question(
                        "choice", words(task, text, file, line), offered, path=file, line=line, field=candidates
                    )
                    yield Post(
                        id=f"worldsense-{video}-{key}", question=asked, split="test",
                        media=medium(root or file.parent, f"{video}.mp4"),
                        label=answer(asked, words(task, said, file, line), path=file, line=line, field=said),
                        meta={"type": row[key].get("task_type"), "task_domain": row[key].get("task_domain"), "video_id": video,
                              **{name: row[name] for name in kept if name in row},
                              "gold": {"video_caption": row.get("video_caption")}},
                    )  # fmt: skip

    return imported(posts(), TASK)


def social_iq2(path: Path, *, root: Path | None = None) -> Imported:
    """Social-IQ 2.0: `qa_train.json` and `qa_val.json`, a JSON object a line, with four answers `a0` to `a3`."""
    letters = dict(zip("0123", "ABCD", strict=True))

    def posts() -> Iterator[Post]:
        for file in found(path, ["qa_train.json", "qa_val.json"], "Social-IQ 2.0"):
            for line, row in json_records(file):
                offered = tuple(words(row, f"a{number}", file, line) for number in letters)
                video = words(row, "vid_name", file, line)
                yield Post(
                    id=words(row, "qid", file, line), split=split_of(file), media=medium(root or file.parent, f"{video}.mp4"),
                    question=question("choice", words(row, "q", file, line), offered, path=file, line=line, field="a0"),
                    label=mapped(need(row, "answer_idx", file, line), letters, file, line, "answer_idx"),
                    meta={"video_id": video, "time_span": row.get("ts")},
                )  # fmt: skip

    return imported(posts(), TASK, "A video has several questions: split by meta.video_id.")


def _layout(name: str, title: str, accepts: str, read: Callable[..., Imported]) -> Layout:
    return Layout(name=name, title=title, task=TASK, accepts=accepts, read=read, options=("root",))


ALL = (
    _layout("intentbench", "IntentBench", "qa.json, or the folder with it", intentbench),
    _layout(
        "intent_train", "IntentTrain",
        "the folder with emer_rewrite.json, social_iq_v2_rewrite.json or Video-R1_rewrite.json, or one of them",
        intent_train,
    ),
    _layout("daily_omni", "Daily-Omni", "qa.json, or the folder with it", daily_omni),
    _layout("worldsense", "WorldSense", "worldsense_qa.json, or the folder with it", worldsense),
    _layout("social_iq2", "Social-IQ 2.0", "the folder with qa_train.json and qa_val.json, or one of them", social_iq2),
)  # fmt: skip
