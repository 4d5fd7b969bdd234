"""The text student: a small classifier as a Judge, with calibrated probabilities and the right to abstain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.tokens import encode_texts, load_tokenizer
from folkmoot.records import CallPlan, Outcome, Post, Task, Verdict
from folkmoot.students.card import SHALLOW_FOLDER, Look, StudentCard
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.runtimes import Runtime, load_runtime
from folkmoot.students.text import normalise_text

MICRO_BATCH_POSTS = 512
"""Posts that are waiting together are judged together, at most so many at a time. Chosen."""


PROBABILITY_DIGITS = 4
"""What a probability is worth writing down; runtimes differ beyond it."""

READERS = ("n-grams", "shallow student", "every tower")
"""Who may decide a post, the cheapest first."""


class TextStudent:
    """Judges posts by their text. Posts awaited at the same time share a batch; each still gets its own verdict.

    Two towers may read a text, each optional: an encoder, and a lexical one of n-gram weights. Where the card says so, the
    lexical tower looks first and a shallow student second, and every tower reads only what these leave in doubt.
    """

    def __init__(
        self,
        card: StudentCard,
        *,
        tokenizer: object | None = None,
        runtime: Runtime | None = None,
        lexical: LexicalTower | None = None,
        shallow: TextStudent | None = None,
    ) -> None:
        self.card = card
        self._tokenizer, self._runtime, self._lexical, self._shallow = tokenizer, runtime, lexical, shallow
        self._waiting: list[tuple[Post, asyncio.Future[Verdict]]] = []
        self._busy: asyncio.Task[None] | None = None

    @classmethod
    def load(cls, folder: Path | str, *, runtime: str | None = None, thorough: bool = False) -> TextStudent:
        """The student of a folder.

        Args:
            runtime: `torch` or the name of an ONNX file in the folder; the fastest available by default.
            thorough: every tower reads every post, whatever a first or a second look would spare it.

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
        if thorough:
            card = card.model_copy(update={"first_look": None, "second_look": None})
        shallow = None
        if card.second_look is not None:
            shallow = TextStudent.load(folder / SHALLOW_FOLDER, runtime="torch" if runtime == "torch" else None)
        return cls(card, tokenizer=tokenizer, runtime=logits_from, lexical=lexical, shallow=shallow)

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

    def probabilities(self, posts: Sequence[Post]) -> NDArray[np.float64]:
        """The calibrated probability of the positive label for each post, [B]."""
        return self.read(posts)[0]

    def read(self, posts: Sequence[Post]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The calibrated probability of the positive label for each post, and which of `READERS` it is from, [B] each."""
        lexical, first, second = self._lexical_logits(posts), self.card.first_look, self.card.second_look
        found, reader = np.zeros(len(posts)), np.full(len(posts), len(READERS) - 1)
        left = np.arange(len(posts))

        def settle(by: int, look: Look, said: NDArray[np.float64]) -> NDArray[np.intp]:
            """The rows of `left` on which the reader is not sure; the others' are found."""
            sure = look.is_sure(said)
            found[left[sure]], reader[left[sure]] = said[sure], by
            return left[~sure]

        def rows() -> tuple[list[Post], NDArray[np.float32] | None]:
            return [posts[int(row)] for row in left], None if lexical is None else lexical[left]

        if self._runtime is not None and first is not None and lexical is not None:
            left = settle(0, first, first.calibration.of_towers(None, lexical))
        if self._shallow is not None and second is not None and len(left):
            left = settle(1, second, self._shallow._by_every_tower(*rows()))
        if len(left):
            found[left] = self._by_every_tower(*rows())
        return found, reader

    def by_every_tower(self, posts: Sequence[Post]) -> NDArray[np.float64]:
        """The probabilities [B] where every tower reads every post, though the first look be sure."""
        return self._by_every_tower(posts, self._lexical_logits(posts))

    def _by_every_tower(self, posts: Sequence[Post], lexical: NDArray[np.float32] | None) -> NDArray[np.float64]:
        return self.card.calibration.of_towers(self._encoded(posts) if self._runtime else None, lexical)

    def _encoded(self, posts: Sequence[Post]) -> NDArray[np.float32]:
        """The encoder's logits, [B]."""
        assert self._runtime is not None
        return self._runtime.logits(encode_texts(self._tokenizer, [post.text for post in posts]))

    def _lexical_logits(self, posts: Sequence[Post]) -> NDArray[np.float32] | None:
        """The lexical tower's logits [B], or None where the student has no such tower."""
        if self._lexical is None:
            return None
        return self._lexical.logits([normalise_text(post.text) for post in posts])

    def _calibrated(self, posts: Sequence[Post], logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [B] of a tower's logits [B] together with the lexical tower's."""
        return self.card.calibration.of_towers(logits, self._lexical_logits(posts))

    def verdicts(self, posts: Sequence[Post]) -> list[Verdict]:
        """The verdicts on posts, in their order."""
        return [
            self.verdict(
                post,
                float(p),
                unreadable=None if post.text.strip() else "the post has no text, and this student reads nothing else",
            )
            for post, p in zip(posts, self.probabilities(posts), strict=True)
        ]

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

    def verdict(
        self, post: Post, probability: float, *, unreadable: str | None = None, notes: tuple[str, ...] = ()
    ) -> Verdict:
        """The verdict that a calibrated probability of the positive label leads to.

        Args:
            unreadable: why the student could not look at the post at all.
        """
        task, calibration = self.card.task, self.card.calibration
        positive = str(task.positive)
        probability = round(probability, PROBABILITY_DIGITS)
        probabilities = {
            name: probability if name == positive else round(1 - probability, PROBABILITY_DIGITS)
            for name in task.label_names
        }
        if unreadable is not None:
            return Verdict(
                id=post.id, outcome=Outcome.MEDIA_MISSING, task=task.name, judge=self.name, problem=unreadable
            )
        if abs(probability - calibration.threshold) < calibration.abstain_within:
            return Verdict(
                id=post.id,
                outcome=Outcome.ABSTAINED,
                probabilities=probabilities,
                task=task.name,
                judge=self.name,
                notes=notes,
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
            notes=notes,
            quorum=1,
        )
