"""Passages that mean something like the question: nearest vectors of a sentence encoder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.evidence.keyword import nearest
from folkmoot.evidence.passage import Passage
from folkmoot.evidence.retriever import Question
from folkmoot.models.encoder import Encoder
from folkmoot.models.weights import cache_folder
from folkmoot.records import Evidence
from folkmoot.runs.atomic import atomic_file

BLOCK = 512


class DenseRetriever:
    """The cosine of MiniLM's vectors, exact over all passages: 100,000 are 150 MB and some 20 ms a question.

    Vectors are kept by the hash of each block of texts, so a corpus that grew is encoded only where it grew, and an
    interrupted encoding goes on where it stopped.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        encoder: Encoder,
        *,
        cache: Path | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """
        Args:
            cache: where vectors are kept; `vectors` in `cache_folder()` by default.
            on_progress: is told how many passages are encoded, of how many.
        """
        self.passages, self.encoder = tuple(passages), encoder
        self.name = f"{encoder.name} of {len(self.passages):,} passages"
        folder = cache or cache_folder() / "vectors"
        blocks = []
        for start in range(0, len(self.passages), BLOCK):
            texts = [passage.searched for passage in self.passages[start : start + BLOCK]]
            blocks.append(_vectors(texts, encoder, folder))
            if on_progress is not None:
                on_progress(min(start + BLOCK, len(self.passages)), len(self.passages))
        self._vectors: NDArray[np.float32] = (
            np.concatenate(blocks) if blocks else np.zeros((0, encoder.width), dtype=np.float32)
        )

    def scores(self, question: str) -> NDArray[np.float32]:
        """Each passage's cosine with the question, [P]."""
        return np.asarray(self._vectors @ self.encoder.encode([question])[0], dtype=np.float32)

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """The passages with the highest cosines."""
        scores = await asyncio.to_thread(self.scores, question.text)
        return nearest(self.passages, scores, question, retriever=self.encoder.name, above=-1.0)


def _vectors(texts: Sequence[str], encoder: Encoder, folder: Path) -> NDArray[np.float32]:
    digest = hashlib.sha256(encoder.name.encode())
    for text in texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    kept = folder / f"{digest.hexdigest()}.npy"
    if kept.is_file():
        vectors: NDArray[np.float32] = np.load(kept)
        if vectors.shape == (len(texts), encoder.width):
            return vectors
    vectors = encoder.encode(texts)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(kept) as file:
        np.save(file, vectors)
    return vectors
