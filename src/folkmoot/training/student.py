"""The last step: lessons -> a student's folder with its card, calibration and exports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from folkmoot.records import Lesson, Post, Record, Task, content_hash
from folkmoot.runs.atomic import write_atomically
from folkmoot.students import Calibration, StudentCard, TextStudent, open_encoder_student
from folkmoot.students.card import FirstLook, Tower
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.text import normalise_text
from folkmoot.training.calibration import choose_abstention, choose_first_look, fit_beta, fit_platt
from folkmoot.training.learner import Learner, Pupil
from folkmoot.training.scores import macro_f1

SEEING_LIMITS = "Binary; frozen encoders; in the language and period of its training posts, whatever is in the picture."


class Dev(Record):
    """How the finished student does on dev, with the runtime that it will use."""

    n: int
    macro_f1: float
    accuracy: float
    encoder_alone_macro_f1: float | None = None
    lexical_alone_macro_f1: float | None = None
    first_look_share: float | None = None
    """The share of dev posts that the encoder is spared."""
    int8: dict[str, Any] = Field(default_factory=dict)


def write_student(
    folder: Path,
    *,
    name: str,
    task: Task,
    learner: Learner | None,
    pupil: Pupil | None,
    lexical: LexicalTower | None,
    dev: Sequence[Post],
    lessons: Sequence[Lesson],
    abstain_accuracy: float | None = None,
    first_look: float | None = None,
    lineage: Mapping[str, Any] | None = None,
    export: bool = True,
) -> TextStudent:
    """The student as a Judge, its folder complete: weights, tokenizer, ONNX, lexical tower, card, lessons' hash.

    Calibration is fitted on dev with the very runtime that will serve, so that int8 rounding is calibrated too.

    Args:
        first_look: the share of dev posts whose label must stay the same when the encoder is spared where the lexical
            tower is sure; None lets a text encoder read every post.
        abstain_accuracy: the accuracy on dev that the posts it decides must reach; None lets it decide every post.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gold = np.array([post.label == task.positive for post in dev])
    towers: list[Tower] = []
    columns: list[NDArray[np.float64]] = []
    int8: dict[str, Any] = {}
    if learner is not None and pupil is not None:
        finished = learner.finish(folder, pupil, dev=dev, gold=gold, export=export)
        int8 = finished.int8
        towers.append(learner.tower)
        columns.append(finished.logits)
    if lexical is not None:
        lexical.save(folder)
        towers.append("lexical")
        columns.append(lexical.logits([normalise_text(post.text) for post in dev]).astype(np.float64))
    logits = np.stack(columns, axis=1)  # [B, K]
    scales, shift = fit_platt(logits, gold)
    scores = logits @ scales + shift
    by_tower = dict(zip(towers, scales.tolist(), strict=True))
    calibration = Calibration(
        scale=by_tower[learner.tower] if learner else 0.0,
        lexical_scale=by_tower.get("lexical", 0.0),
        shift=shift,
        beta=fit_beta(scores, gold),
    )
    probabilities = calibration.probabilities(scores)
    own = [calibrate_alone(column, gold) for column in columns]
    spoken = [by_itself.of_towers(None, column) for by_itself, column in zip(own, columns, strict=True)]
    look = None
    if first_look is not None and towers == ["encoder", "lexical"]:
        sure_from = choose_first_look(spoken[-1], probabilities, gold, agreement=first_look)
        if sure_from is not None:
            look = FirstLook(calibration=own[-1], sure_from=sure_from)
            stands = look.is_sure(spoken[-1])
            probabilities = np.where(stands, spoken[-1], probabilities)
    margin = choose_abstention(probabilities, gold, accuracy=abstain_accuracy) if abstain_accuracy else 0.0
    alone = {tower: macro_f1(gold, said >= 0.5) for tower, said in zip(towers, spoken, strict=True)}
    card = StudentCard(
        name=name,
        task=task,
        towers=tuple(towers),
        base=learner.base if learner else "lexical",
        views=learner.views if learner else ("text",),
        max_tokens=learner.max_tokens if learner else 64,
        is_tuned=bool(learner and learner.is_tuned),
        calibration=calibration.model_copy(update={"abstain_within": margin}),
        first_look=look,
        dev=Dev(
            n=len(dev),
            macro_f1=macro_f1(gold, probabilities >= 0.5),
            accuracy=float(((probabilities >= 0.5) == gold).mean()),
            encoder_alone_macro_f1=alone[learner.tower] if learner else None,
            lexical_alone_macro_f1=alone.get("lexical"),
            first_look_share=round(float(stands.mean()), 4) if look is not None else None,
            int8=int8,
        ).model_dump(),
        lineage={
            "lessons": content_hash([lesson.hash for lesson in lessons]),
            "lesson_count": len(lessons),
            **(lineage or {}),
        },
    )
    if card.views != ("text",):
        card = card.model_copy(update={"limits": SEEING_LIMITS})
    card.save(folder)
    write_atomically(folder / "README.md", model_card(card))
    return open_encoder_student(folder)


def calibrate_alone(logits: NDArray[np.float64], gold: NDArray[np.bool_]) -> Calibration:
    """One tower's calibration by itself, from its logits on dev, [B]; written as that of a student of n-grams alone."""
    scales, shift = fit_platt(logits[:, None], gold)
    beta = fit_beta(logits * scales[0] + shift, gold)
    return Calibration(scale=0.0, lexical_scale=float(scales[0]), shift=shift, beta=beta)


def model_card(card: StudentCard) -> str:
    """The student's model card in Markdown with YAML front matter."""
    return "\n".join(
        [
            "---",
            "library_name: folkmoot",
            "pipeline_tag: text-classification",
            f"language: {card.task.language}",
            "---",
            f"# {card.name}",
            "",
            f"Decides the task **{card.task.name}**: {card.task.question}",
            "",
            "| label | definition |",
            "|---|---|",
            *[f"| {label.name} | {label.definition} |" for label in card.task.labels],
            "",
            f"- Base: {card.base}; reads: {', '.join(card.views)}; towers: {', '.join(card.towers)}; {'tuned' if card.is_tuned else 'frozen'} encoder.",
            f"- Dev: macro-F1 {card.dev['macro_f1']:.4f} on {card.dev['n']} posts (also used to calibrate).",
            *look_lines(card),
            f"- Intended use: {card.intended_use}",
            f"- Limits: {card.limits}",
            "",
            "```json",
            json.dumps(card.lineage, indent=2),
            "```",
            "",
        ]
    )


def look_lines(card: StudentCard) -> list[str]:
    """The model card's lines on which posts the encoder is spared."""
    lines = []
    if card.first_look is not None:
        lines.append(
            f"- The n-gram tower reads every post and decides those where it is sure ({card.first_look.sure_from:.4f} or "
            f"more; {card.dev['first_look_share']:.0%} of dev); the encoder reads the others."
        )
    if card.second_look is not None and "deep_share" in card.dev:
        lines.append(
            f"- Of these, a shallow student decides those where it is sure ({card.second_look.sure_from:.4f} or more); the "
            f"whole encoder reads the rest, {card.dev['deep_share']:.0%} of dev. Where it reads every post: macro-F1 "
            f"{card.dev['thorough_macro_f1']:.4f}."
        )
    return lines
