"""Self-training: a panel and a classifier teach each other, round by round, from a few gold labels.

A state machine on disk. Each round takes the most confident pool posts, asks the panel, trains a new classifier on
everything agreed so far, and is kept only where the dev score improves. A killed run goes on at the round it was in.

Paper: MA-VLM + PNU loss, AAAI 2026 (arXiv 2511.13759), Section 3.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool

from folkmoot.records import (
    BadInput,
    CallPlan,
    Judge,
    Lesson,
    Membership,
    Outcome,
    Post,
    Record,
    Task,
    Verdict,
    content_hash,
)
from folkmoot.runs.atomic import atomic_file, write_atomically
from folkmoot.runs.judging import judge_posts
from folkmoot.runs.verdict_log import VerdictLog
from folkmoot.supervision import Agreement, Source, audit, gold_lessons, teach
from folkmoot.training.learner import Learner, Pupil, Step
from folkmoot.training.losses import PnuSettings
from folkmoot.training.scores import macro_f1, sigmoid

ROUNDS_FILE = "rounds.jsonl"


class SelfTrainingSettings(Record):
    """The rounds' rules. The defaults are the paper's."""

    batch: int = Field(default=500, gt=0)
    max_rounds: int | None = Field(default=None, gt=0)
    agreement: Agreement = Agreement()
    loss: PnuSettings = PnuSettings()
    selection: Literal["confident", "proportional"] = "confident"
    acceptance: Literal["improves", "ties"] = "improves"
    use_disagreed: StrictBool = True

    @classmethod
    def reference(cls, *, gamma: float = 0.1) -> SelfTrainingSettings:
        """The released code's rules: its agreement, proportional batches, ties accepted, its loss."""
        return cls(
            agreement=Agreement(rule="reference"),
            loss=PnuSettings.reference(gamma=gamma),
            selection="proportional",
            acceptance="ties",
        )


class Round(Record):
    """What happened in one round, as a line of `rounds.jsonl`. Round 0 is the gold labels alone."""

    round: int
    accepted: bool
    dev_macro_f1: float
    best_dev_macro_f1: float
    batch: int = 0
    agreed_positive: int = 0
    agreed_negative: int = 0
    disagreed: int = 0
    left_out: int = 0
    pseudo_label_accuracy: float | None = None
    pseudo_labels_known: int = 0
    training_posts: int = 0
    pool_left: int = 0
    seconds: float = 0.0


class SelfTrained(Record):
    """How it ended: every round, and the lessons of the accepted ones."""

    rounds: tuple[Round, ...]
    lessons: tuple[Lesson, ...]
    best_round: int


PREDICTED = "classifier:v1"
"""The name under which the classifier of a round judges."""


def verdict_of(post: Post, probability: float, task: Task) -> Verdict:
    """The verdict of a round's classifier that gives the post this probability of the positive label."""
    return Verdict(
        id=post.id,
        outcome=Outcome.LABELLED,
        label=str(task.positive) if probability >= 0.5 else task.negative,
        probability=round(max(probability, 1 - probability), 6),
        task=task.name,
        judge=PREDICTED,
        quorum=1,
    )


class PredictedJudge:
    """The classifier of the moment as a Judge, from probabilities that are already known."""

    def __init__(self, task: Task, probabilities: Mapping[str, float]) -> None:
        self.task, self._probabilities = task, probabilities
        self.name = PREDICTED

    def plan(self, post: Post) -> CallPlan:
        return CallPlan()

    async def judge(self, post: Post) -> Verdict:
        return verdict_of(post, float(self._probabilities[post.id]), self.task)


PanelFor = Callable[[Judge], Judge]
"""Builds the panel that sees this classifier's labels."""


class SelfTraining:
    """One run over one folder. `run()` starts it or goes on with it."""

    def __init__(
        self,
        *,
        task: Task,
        labelled: Sequence[Post],
        pool: Sequence[Post],
        dev: Sequence[Post],
        learner: Learner,
        panel_for: PanelFor | None,
        settings: SelfTrainingSettings,
        folder: Path,
        seed: int = 0,
        has_opinion: Callable[[Post], bool] = lambda post: True,
        on_round: Callable[[Round], None] | None = None,
        on_step: Step | None = None,
    ) -> None:
        """
        Args:
            panel_for: not needed where the source of pseudo-labels is the classifier alone.
            has_opinion: which pool posts the panel can judge; the others stay unlabelled for the panel's sources.

        Raises:
            BadInput: a class without a gold label, or nothing to learn from.
        """
        self.task, self.learner, self.settings, self.folder, self.seed = task, learner, settings, folder, seed
        self.labelled, self.dev = list(labelled), list(dev)
        self.gold = gold_lessons(labelled, task)
        check_classes(self.gold, task)
        if not dev:
            raise BadInput("self-training needs dev posts with labels: rounds are accepted by their score")
        needs_panel = settings.agreement.source is not Source.CLASSIFIER
        if needs_panel and panel_for is None:
            raise BadInput(f"pseudo-labels from '{settings.agreement.source.value}' need a panel or recorded opinions")
        self.panel_for = panel_for
        self.pool = [post for post in pool if not needs_panel or has_opinion(post)]
        if not self.pool:
            raise BadInput(
                "no pool post can be pseudo-labelled: the pool is empty, or no opinion is about a post of it"
            )
        self.pool_gold = {post.id: post.label for post in self.pool if post.label is not None}
        self.dev_gold = np.array([post.label == task.positive for post in dev])
        self.on_round, self.on_step = on_round, on_step

    async def run(self) -> SelfTrained:
        """Every round until the pool is used up, from wherever the folder stands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rounds = self._read_rounds()
        if not rounds:
            rounds = [self._first_round()]
        accepted = [lesson for r in rounds if r.accepted and r.round for lesson in self._lessons(r.round)]
        used = {lesson_post for r in rounds if r.round for lesson_post in self._batch(r.round)}
        best = max(r.round for r in rounds if r.accepted)
        remaining = [post for post in self.pool if post.id not in used]
        while remaining and not (self.settings.max_rounds and rounds[-1].round >= self.settings.max_rounds):
            number = rounds[-1].round + 1
            started = time.monotonic()
            logits = self._pool_logits(best)
            probabilities = dict(zip([p.id for p in self.pool], sigmoid(logits).tolist(), strict=True))
            batch, lessons = await self._next_batch(number, remaining, probabilities)
            candidate = [*accepted, *lessons]
            pupil = self._fit(candidate, number)
            dev_logits = pupil.logits([post.id for post in self.dev])
            score = macro_f1(self.dev_gold, dev_logits > 0)
            best_score = rounds[-1].best_dev_macro_f1
            improves = score > best_score or (self.settings.acceptance == "ties" and score == best_score)
            count = {m: sum(lesson.membership is m for lesson in lessons) for m in Membership}
            quality = audit(lessons, self.pool_gold, self.task)
            if improves:
                self._keep(pupil, number, dev_logits)
                accepted, best = candidate, number
            taken = set(batch)
            remaining = [post for post in remaining if post.id not in taken]
            record = Round(
                round=number,
                accepted=improves,
                dev_macro_f1=score,
                best_dev_macro_f1=max(score, best_score),
                batch=len(batch),
                agreed_positive=count[Membership.AGREED_POSITIVE],
                agreed_negative=count[Membership.AGREED_NEGATIVE],
                disagreed=count[Membership.DISAGREED],
                left_out=len(batch) - len(lessons),
                pseudo_label_accuracy=quality["accuracy"],
                pseudo_labels_known=int(quality["known"] or 0),
                training_posts=len(self.gold) + len(candidate),
                pool_left=len(remaining),
                seconds=round(time.monotonic() - started, 3),
            )
            self._write_batch(number, batch, lessons)
            self._append(record)
            rounds.append(record)
            if improves:
                self._forget_weights(older_than=number)
        return SelfTrained(rounds=tuple(rounds), lessons=(*self.gold, *accepted), best_round=best)

    def first_verdicts(self) -> list[Verdict]:
        """What the classifier of round 0, taught by gold labels alone, says of the dev posts."""
        probabilities = sigmoid(np.load(self._logits_file("dev", 0)))
        return [verdict_of(post, float(p), self.task) for post, p in zip(self.dev, probabilities, strict=True)]

    def logits(self, number: int, posts: Sequence[Post]) -> NDArray[np.float32]:
        """What the pupil of an accepted round says of posts, [N]; it is not asked again about those of the rounds."""
        known = dict(zip([post.id for post in self.pool], self._pool_logits(number).tolist(), strict=True))
        if left := [post.id for post in posts if post.id not in known]:
            known |= dict(zip(left, self.best_pupil(number).logits(left).tolist(), strict=True))
        return np.array([known[post.id] for post in posts], dtype=np.float32)

    def _pool_logits(self, number: int) -> NDArray[np.float32]:
        """What it said of the pool of the rounds, the posts that somebody has an opinion on."""
        return np.asarray(np.load(self._logits_file("pool", number)), dtype=np.float32)

    def best_pupil(self, number: int) -> Pupil:
        """The pupil of an accepted round, from the weights that it left."""
        return self.learner.load(self.folder / f"weights_{number:03}")

    async def _next_batch(
        self, number: int, remaining: list[Post], probabilities: dict[str, float]
    ) -> tuple[list[str], list[Lesson]]:
        doubt = {post.id: abs(probabilities[post.id] - 0.5) for post in remaining}
        ranked = sorted(remaining, key=lambda post: (-doubt[post.id], post.id))
        asked = ranked if self.settings.selection == "proportional" else ranked[: self.settings.batch]
        verdicts = await self._ask_panel(asked, probabilities)
        lessons = teach(
            [p.id for p in asked], probabilities, verdicts, self.task, self.settings.agreement, round=number
        )
        if not self.settings.use_disagreed:
            lessons = [lesson for lesson in lessons if lesson.membership is not Membership.DISAGREED]
        if self.settings.selection == "confident":
            return [post.id for post in asked], lessons
        # The reference code takes from each set in proportion to its size in the whole remaining pool.
        chosen: list[Lesson] = []
        for membership in (Membership.AGREED_POSITIVE, Membership.AGREED_NEGATIVE, Membership.DISAGREED):
            of_kind = [lesson for lesson in lessons if lesson.membership is membership]
            chosen += of_kind[: self.settings.batch * len(of_kind) // max(1, len(lessons))]
        if not chosen:  # fewer posts are left than one of each kind would need
            return [post.id for post in asked], lessons
        return [lesson.post for lesson in chosen], chosen

    async def _ask_panel(self, posts: Sequence[Post], probabilities: dict[str, float]) -> dict[str, Verdict]:
        if self.panel_for is None or self.settings.agreement.source is Source.CLASSIFIER:
            return {}
        panel = self.panel_for(PredictedJudge(self.task, probabilities))
        with VerdictLog(self.folder / "panel.jsonl") as log:
            await judge_posts(panel, posts, log=log)
            held = log.verdicts()
        return {post.id: held[post.id] for post in posts}

    def _fit(self, lessons: Sequence[Lesson], number: int) -> Pupil:
        # Every round starts from the pretrained weights, so a bad batch leaves no trace in the next one.
        return self.learner.fit(
            [*self.gold, *lessons], loss=self.settings.loss, seed=seed_of(self.seed, number), on_step=self.on_step
        )

    def _first_round(self) -> Round:
        started = time.monotonic()
        pupil = self._fit([], 0)
        dev_logits = pupil.logits([post.id for post in self.dev])
        score = macro_f1(self.dev_gold, dev_logits > 0)
        self._keep(pupil, 0, dev_logits)
        record = Round(
            round=0,
            accepted=True,
            dev_macro_f1=score,
            best_dev_macro_f1=score,
            training_posts=len(self.gold),
            pool_left=len(self.pool),
            seconds=round(time.monotonic() - started, 3),
        )
        self._append(record)
        return record

    def _keep(self, pupil: Pupil, number: int, dev_logits: NDArray[np.float32]) -> None:
        for part, logits in (("pool", pupil.logits([post.id for post in self.pool])), ("dev", dev_logits)):
            with atomic_file(self._logits_file(part, number)) as stream:
                np.save(stream, logits)
        folder = self.folder / f"weights_{number:03}"
        folder.mkdir(exist_ok=True)
        pupil.save(folder)

    def _forget_weights(self, *, older_than: int) -> None:
        # Only once the round is on record: a kill before that goes on from the older weights.
        for folder in self.folder.glob("weights_*"):
            if int(folder.name.removeprefix("weights_")) < older_than:
                shutil.rmtree(folder)

    def _logits_file(self, part: str, number: int) -> Path:
        return self.folder / f"{part}_logits_{number:03}.npy"

    def _append(self, record: Round) -> None:
        path = self.folder / ROUNDS_FILE
        held = path.read_text() if path.exists() else ""
        write_atomically(path, held + record.to_line() + "\n")
        if self.on_round:
            self.on_round(record)

    def _read_rounds(self) -> list[Round]:
        path = self.folder / ROUNDS_FILE
        if not path.exists():
            return []
        return [Round.from_line(line) for line in path.read_text().splitlines() if line]

    def _write_batch(self, number: int, batch: Sequence[str], lessons: Sequence[Lesson]) -> None:
        held: dict[str, Any] = {"batch": list(batch), "lessons": [lesson.model_dump(mode="json") for lesson in lessons]}
        write_atomically(self.folder / f"batch_{number:03}.json", json.dumps(held))

    def _batch(self, number: int) -> list[str]:
        held: list[str] = json.loads((self.folder / f"batch_{number:03}.json").read_text())["batch"]
        return held

    def _lessons(self, number: int) -> list[Lesson]:
        held = json.loads((self.folder / f"batch_{number:03}.json").read_text())["lessons"]
        return [Lesson.model_validate(lesson) for lesson in held]


def check_classes(lessons: Sequence[Lesson], task: Task) -> None:
    """Refuse gold labels that cannot teach.

    Raises:
        BadInput: a class has no gold label.
    """
    for membership, label in ((Membership.POSITIVE, task.positive), (Membership.NEGATIVE, task.negative)):
        if not any(lesson.membership is membership for lesson in lessons):
            raise BadInput(
                f"none of the {len(lessons)} labelled posts is '{label}'; task '{task.name}' needs at least one of each label"
            )


def seed_of(seed: int, *parts: object) -> int:
    """A seed for one step of a run, unrelated to the others' but the same every time."""
    return int(content_hash([seed, *map(str, parts)])[:8], 16)
