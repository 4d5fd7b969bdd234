"""The seeing student: frozen encoders of a post's views and one linear head, as a Judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import Post, Verdict
from folkmoot.students.card import StudentCard
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.text_student import TextStudent
from folkmoot.students.views import Seen, ViewHead, ViewReader


class SeeingStudent(TextStudent):
    """Judges a post by those of its views that are there; what it did without stands in the verdict's notes.

    It decides on any post that has one of its views.
    """

    def __init__(
        self, card: StudentCard, *, reader: ViewReader, head: ViewHead, lexical: LexicalTower | None = None
    ) -> None:
        super().__init__(card, lexical=lexical)
        self.reader, self.head = reader, head

    @classmethod
    def load(cls, folder: Path | str, *, runtime: str | None = None, thorough: bool = False) -> SeeingStudent:
        """The student of a folder.

        Raises:
            BadInput: the folder is no student's.
            MissingExtra: what would run it is not installed.
        """
        folder = Path(folder)
        card = StudentCard.load(folder)
        return cls(
            card,
            reader=ViewReader.from_copy(folder, card.views, text_name=card.base),
            head=ViewHead.load(folder),
            lexical=LexicalTower.load(folder) if "lexical" in card.towers else None,
        )

    @property
    def runtime(self) -> str:
        return "onnxruntime"

    def view_logits(self, posts: Sequence[Post]) -> tuple[NDArray[np.float32], Seen]:
        """The head's logits [B], and what was seen."""
        seen = self.reader.read(posts)
        return self.head.logits(seen, list(self.reader.slices.values())), seen

    def probabilities(self, posts: Sequence[Post]) -> NDArray[np.float64]:
        return self._calibrated(posts, self.view_logits(posts)[0])

    def verdicts(self, posts: Sequence[Post]) -> list[Verdict]:
        logits, seen = self.view_logits(posts)
        return [
            self.verdict(
                post,
                float(p),
                unreadable=None
                if there.any()
                else "the post shows nothing that this student reads: " + "; ".join(gone),
                notes=tuple(f"Decided without: {problem}." for problem in gone),
            )
            for post, p, there, gone in zip(
                posts, self._calibrated(posts, logits), seen.present, seen.without, strict=True
            )
        ]
