"""Passages that share words with the question: BM25."""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.evidence.passage import Passage
from folkmoot.evidence.retriever import Question
from folkmoot.records import Evidence, MissingExtra


class KeywordRetriever:
    """BM25 (Robertson's k1 = 1.5, b = 0.75) over title and text, through bm25s. Chinese, Japanese and Thai, which put
    no spaces between words, are searched by pairs of signs."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """
        Raises:
            MissingExtra: bm25s is not installed.
        """
        try:
            import bm25s
        except ImportError:
            raise MissingExtra("Searching a corpus", "evidence") from None
        self.passages = tuple(passages)
        self.name = f"bm25 of {len(self.passages):,} passages"
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._bm25s: Any = bm25s
        self._index: Any = bm25s.BM25()
        tokens = self._tokens([passage.searched for passage in self.passages])
        self._is_empty = not any(len(ids) for ids in tokens.ids)
        if not self._is_empty:
            self._index.index(tokens, show_progress=False)

    def _tokens(self, texts: Sequence[str], *, as_ids: bool = True) -> Any:
        return self._bm25s.tokenize(
            [spaced(text) for text in texts], stopwords="en", return_ids=as_ids, show_progress=False
        )

    def scores(self, question: str) -> NDArray[np.float32]:
        """Each passage's score, [P]; 0 where no word is shared."""
        words = self._tokens([question], as_ids=False)[0]
        if self._is_empty or not words:
            return np.zeros(len(self.passages), dtype=np.float32)
        return np.asarray(self._index.get_scores(words), dtype=np.float32)

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """The passages with the highest scores, of those that share a word with the question."""
        scores = await asyncio.to_thread(self.scores, question.text)
        return nearest(self.passages, scores, question, retriever="bm25", above=0.0)


def nearest(
    passages: Sequence[Passage], scores: NDArray[np.float32], question: Question, *, retriever: str, above: float
) -> tuple[Evidence, ...]:
    """The `k` admitted passages with the highest scores above a bound; equal scores in the corpus's order."""
    found: list[Evidence] = []
    for position in np.argsort(-scores, kind="stable"):
        if scores[position] <= above or len(found) == question.k:
            break
        passage = passages[position]
        if question.admits(passage.published):
            found.append(passage.evidence(float(scores[position]), retriever=retriever, question=question.text))
    return tuple(found)


def spaced(text: str) -> str:
    """The text with its unspaced scripts as overlapping pairs of signs.

    >>> spaced("全球变暖 is real")
    '全球 球变 变暖 is real'
    """
    out: list[str] = []
    run = ""
    for sign in text + " ":
        if _is_unspaced(sign):
            run += sign
            continue
        if run:
            pairs = [run[n : n + 2] for n in range(len(run) - 1)] or [run]
            out.append(
                (" " if out and not out[-1].isspace() else "") + " ".join(pairs) + ("" if sign.isspace() else " ")
            )
            run = ""
        out.append(sign)
    return "".join(out)[:-1]


def _is_unspaced(sign: str) -> bool:
    code = ord(sign)
    return code > 0x0E00 and (
        0x0E00 <= code <= 0x0E7F
        or 0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0x20000 <= code <= 0x3FFFF
        or unicodedata.name(sign, "").startswith("CJK COMPATIBILITY")
    )
