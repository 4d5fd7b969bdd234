"""From a student's prediction back to what taught it: by hash to lessons, opinions, calls and input files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from folkmoot.formats import read_lessons, read_pairs, read_posts
from folkmoot.recipes.judges import student_folder, without_student
from folkmoot.records import BadInput, Lesson, Opinion, Post, Record, Verdict, content_hash
from folkmoot.records.preference import words
from folkmoot.runs import RunFolder, VerdictLog
from folkmoot.students import LanguageCard, LanguageStudent, StudentCard, card_file, open_encoder_student
from folkmoot.students.card import CARD_FILE
from folkmoot.students.lexical import LexicalTower, inverse_frequencies, lexical_features
from folkmoot.students.text import normalise_text
from folkmoot.students.text_student import READERS


class TracedLesson(Record):
    """A lesson, how like the post it is in [0, 1], and the opinions whose hashes it names."""

    lesson: Lesson
    likeness: float
    opinions: tuple[Opinion, ...]


class TracedPair(Record):
    """A preference pair by its numbers, how like the post its own is, and the hashes and ledger keys behind it."""

    id: str
    label: str | None
    kind: str | None
    sc: float
    n: int
    """How many opinions the numbers stand for; 0 where they are not known."""
    n_correct: int
    n_partial: int
    pair: str
    likeness: float
    opinions: tuple[str, ...]
    calls: tuple[str, ...]


class Trace(Record):
    """Everything behind one prediction. `lessons` counts the student's lessons by membership, or its pairs by kind."""

    verdict: Verdict
    student: str
    card: str
    run: str
    inputs: dict[str, Any]
    lessons: dict[str, int]
    lessons_hash_holds: bool
    decided_by: str | None = None
    """Which of a text student's readers found its probability: n-grams, the shallow student, or every tower."""
    nearest: tuple[TracedLesson, ...] = ()
    nearest_pairs: tuple[TracedPair, ...] = ()


def trace_prediction(student: Path, post: Post, *, nearest: int = 5) -> Trace:
    """The trace of a student's verdict on a post.

    The closest lessons are those whose texts share most n-grams with the post's, by cosine; it names candidates for a
    cause, not the cause.

    Raises:
        BadInput: the folder is no student's within its run, or a file of the run is missing.
    """
    folder = student_folder(student)
    if folder is None:
        raise BadInput(without_student(student))
    if (path := card_file(folder)) is not None and path.name != CARD_FILE:
        return trace_language(folder, post, nearest=nearest)
    card = StudentCard.load(folder)
    judge = open_encoder_student(folder)
    run_path = folder.resolve().parent
    run = RunFolder.read(run_path)
    taught = read_lessons(run.file("lessons.jsonl"))
    distilled = run.file(card.lineage.get("distilled_file", "distilled.jsonl"))
    final = read_lessons(distilled) if distilled.exists() else taught
    holds = content_hash([lesson.hash for lesson in final]) == card.lineage.get("lessons")
    if (shallow := card.lineage.get("second_look")) is not None:
        told = read_lessons(run.file(shallow["distilled_file"]))
        holds = holds and content_hash([lesson.hash for lesson in told]) == shallow["lessons"]
    recipe = run.configuration["recipe"]
    texts: dict[str, str] = {}
    for name in ("labelled", "pool"):
        path = run.manifest.get("inputs", {}).get(name, {}).get("path") if recipe.get(name) else None
        if path and Path(path).exists():
            texts |= {held.id: held.text for held in read_posts(Path(path))}
    heard: dict[str, tuple[Opinion, ...]] = {}
    panel = run.file("rounds") / "panel.jsonl"
    if panel.exists():
        with VerdictLog(panel, read_only=True) as log:
            heard = {id: verdict.opinions for id, verdict in log.verdicts().items()}
    by_post = {lesson.post: lesson for lesson in final} | {lesson.post: lesson for lesson in taught}
    ranked = rank_by_likeness(post, {id: texts[id] for id in by_post if id in texts}, folder)[:nearest]
    return Trace(
        verdict=judge.verdicts([post.blind()])[0],
        student=str(folder),
        card=content_hash(card.model_dump(mode="json")),
        run=str(run_path),
        inputs=run.manifest.get("inputs", {}),
        lessons=dict(
            Counter(
                f"{lesson.membership} ({lesson.source})" for lesson in [*taught, *(final if distilled.exists() else [])]
            )
        ),
        lessons_hash_holds=holds,
        decided_by=READERS[int(judge.read([post.blind()])[1][0])] if "encoder" in card.towers else None,
        nearest=tuple(
            TracedLesson(
                lesson=by_post[id],
                likeness=round(likeness, 4),
                opinions=tuple(o for o in heard.get(id, ()) if o.hash in by_post[id].opinions),
            )
            for id, likeness in ranked
        ),
    )


def trace_language(folder: Path, post: Post, *, nearest: int) -> Trace:
    """The trace of a language model's verdict: the pairs whose posts share most n-grams with this one.

    Raises:
        BadInput: the folder does not lie in its run, or the pairs are gone.
    """
    card = LanguageCard.load(folder)
    run_path = folder.resolve().parent
    run = RunFolder.read(run_path)
    pairs = {pair.id: pair for pair in read_pairs(Path(run.manifest["inputs"]["pairs"]["path"]))}
    taught = set(card.lineage.get("pair_hashes", ()))
    by_id = {pair.id: pair for pair in pairs.values() if pair.hash in taught}
    ranked = rank_by_likeness(post, {id: words(pair.prompt) for id, pair in by_id.items()}, folder)[:nearest]
    return Trace(
        verdict=LanguageStudent.load(folder).verdict(post.blind()),
        student=str(folder), card=content_hash(card.model_dump(mode="json")), run=str(run_path),
        inputs=run.manifest.get("inputs", {}),
        lessons=dict(Counter(f"{pair.kind or 'pair'} (society)" if pair.n else "pair" for pair in by_id.values())),
        lessons_hash_holds=len(by_id) == len(taught),
        nearest_pairs=tuple(
            TracedPair(
                **by_id[id].model_dump(include={"id", "label", "kind", "sc", "n", "n_correct", "n_partial", "opinions", "calls"}),
                pair=by_id[id].hash, likeness=round(likeness, 4),
            )
            for id, likeness in ranked
        ),
    )  # fmt: skip


def rank_by_likeness(post: Post, texts: dict[str, str], folder: Path) -> list[tuple[str, float]]:
    """Ids and cosines of n-gram vectors, the likest first.

    Raises:
        BadInput: the lessons' texts cannot be found.
    """
    if not texts:
        raise BadInput(f"the posts that taught {folder} are not where its run read them; put the files back")
    normal = {id: normalise_text(text) for id, text in texts.items()}
    if (folder / "lexical.npz").exists():
        idf = LexicalTower.load(folder).idf
    else:
        idf = inverse_frequencies(list(normal.values()))
    query = np.zeros(len(idf), dtype=np.float32)
    buckets, values = lexical_features(normalise_text(post.text), idf)
    np.add.at(query, buckets, values)
    scores = []
    for id, text in normal.items():
        buckets, values = lexical_features(text, idf)
        length = float(np.sqrt((values * values).sum())) or 1.0
        scores.append((id, float(query[buckets] @ values) / length / (float(np.sqrt((query * query).sum())) or 1.0)))
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))
