"""The text student: a small classifier as a Judge, with calibrated probabilities and the right to abstain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.tokens import encode_texts, load_tokenizer
from folkmoot.records import CallPlan, Outcome, Post, Task, Verdict
from folkmoot.students.card import StudentCard
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.runtimes import Runtime, load_runtime
from folkmoot.students.text import normalise_text

MICRO_BATCH_POSTS = 512
"""Posts that are waiting together are judged together, at most so many at a time. Chosen."""


PROBABILITY_DIGITS = 4
"""What a probability is worth writing down; runtimes differ beyond it."""


class TextStudent:
    """Judges posts by their text. Posts awaited at the same time share a batch; each still gets its own verdict.

    Two towers may read a text, each optional: an encoder, and a lexical one of n-gram weights.
    """

    def __init__(
        self,
        card: StudentCard,
        *,
        tokenizer: object | None = None,
        runtime: Runtime | None = None,
        lexical: LexicalTower | None = None,
    ) -> None:
        self.card = card
        self._tokenizer, self._runtime, self._lexical = tokenizer, runtime, lexical
        self._waiting: list[tuple[Post, asyncio.Future[Verdict]]] = []
        self._busy: asyncio.Task[None] | None = None

    @classmethod
    def load(cls, folder: Path | str, *, runtime: str | None = None) -> TextStudent:
        """The student of a folder.

        Args:
            runtime: `torch` or the name of an ONNX file in the folder; the fastest available by default.

        Raises:
            BadInput: the folder is no student's.
            MissingExtra: what would run it is not installed.
        """
        folder = Path(folder)
        card = StudentCard.load(folder)
        tokenizer = logits_from = None
        if "encoder" in card.towers:
            tokenizer = load_tokenizer(folder, max_tokens=card.max_tokens)
            logits_from = load_runtime(folder, prefer=runtime)
        lexical = LexicalTower.load(folder) if "lexical" in card.towers else None
        return cls(card, tokenizer=tokenizer, runtime=logits_from, lexical=lexical)

    @property
    def name(self) -> str:
        return f"{self.card.name}:v{self.card.version}"

    @property
    def task(self) -> Task:
        return self.card.task

    @property
    def runtime(self) -> str:
        """What computes the logits, for the report."""
        return self._runtime.name if self._runtime else "numpy"

    def plan(self, post: Post) -> CallPlan:
        return CallPlan()

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The calibrated probability of the positive label for each text, [B]."""
        calibration = self.card.calibration
        total = np.full(len(texts), calibration.shift)
        if self._runtime is not None:
            total += calibration.scale * self._runtime.logits(encode_texts(self._tokenizer, texts))
        if self._lexical is not None:
            total += calibration.lexical_scale * self._lexical.logits([normalise_text(text) for text in texts])
        return np.asarray(1 / (1 + np.exp(-np.clip(total, -40, 40))))

    def verdicts(self, posts: Sequence[Post]) -> list[Verdict]:
        """The verdicts on posts, in their order."""
        probabilities = self.probabilities([post.text for post in posts])
        return [self._verdict(post, float(p)) for post, p in zip(posts, probabilities, strict=True)]

    async def judge(self, post: Post) -> Verdict:
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((post, future))
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._judge_waiting())
        return await future

    async def _judge_waiting(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # lets every caller that is ready join the batch
            batch, self._waiting = self._waiting[:MICRO_BATCH_POSTS], self._waiting[MICRO_BATCH_POSTS:]
            try:
                verdicts = await asyncio.to_thread(self.verdicts, [post for post, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), verdict in zip(batch, verdicts, strict=True):
                if not future.done():
                    future.set_result(verdict)

    def _verdict(self, post: Post, probability: float) -> Verdict:
        task, calibration = self.card.task, self.card.calibration
        positive = str(task.positive)
        probability = round(probability, PROBABILITY_DIGITS)
        probabilities = {
            name: probability if name == positive else round(1 - probability, PROBABILITY_DIGITS)
            for name in task.label_names
        }
        if not post.text.strip():
            return Verdict(
                id=post.id,
                outcome=Outcome.MEDIA_MISSING,
                task=task.name,
                judge=self.name,
                problem="the post has no text, and this student reads nothing else",
            )
        if abs(probability - calibration.threshold) < calibration.abstain_within:
            return Verdict(
                id=post.id,
                outcome=Outcome.ABSTAINED,
                probabilities=probabilities,
                task=task.name,
                judge=self.name,
                problem="the probability lies within the student's margin of doubt",
            )
        label = positive if probability >= calibration.threshold else task.negative
        return Verdict(
            id=post.id,
            outcome=Outcome.LABELLED,
            label=label,
            probability=probabilities[label],
            probabilities=probabilities,
            task=task.name,
            judge=self.name,
            quorum=1,
        )
