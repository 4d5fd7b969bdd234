"""The seeing student: a linear head on the vectors of a post's views, which are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from folkmoot.records import Lesson, Post, content_hash
from folkmoot.runs.atomic import atomic_file
from folkmoot.students.card import Tower, View
from folkmoot.students.views import Gauge, Seen, ViewHead, ViewReader
from folkmoot.training.examples import Examples
from folkmoot.training.frozen import FrozenSettings, fit_head
from folkmoot.training.learner import Finished, Pupil, Step
from folkmoot.training.losses import PnuSettings


class SeeingLearner:
    """Heads on the views of one table of posts, kept in `cache`. Ids must differ."""

    is_tuned = False
    tower: Tower = "views"
    max_tokens = 256

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        reader: ViewReader,
        taught: Sequence[Post],
        settings: FrozenSettings = FrozenSettings(),
        cache: Path | None = None,
        on_post: Step | None = None,
    ) -> None:
        """
        Args:
            posts: every post that the learner may be asked about.
            taught: those of them that the centre and scale of the views are taken from; dev stays out of it.
            on_post: told (posts looked at, posts in all).
        """
        self.reader, self.settings = reader, settings
        self.views: tuple[View, ...] = reader.views
        self.base = reader.name
        self.row_of: Mapping[str, int] = {post.id: row for row, post in enumerate(posts)}
        slices = list(reader.slices.values())
        seen = self._load(posts, cache, on_post)
        self.shown: Mapping[str, bool] = {p.id: bool(there.any()) for p, there in zip(posts, seen.present, strict=True)}
        """Whether a post shows any of the views, by its id."""
        rows = [self.row_of[post.id] for post in taught]
        self.gauge = Gauge.of(Seen(seen.vectors[rows], seen.present[rows], ()), slices)
        self.vectors = torch.from_numpy(self.gauge.apply(seen, slices))

    def _load(self, posts: Sequence[Post], cache: Path | None, on_post: Step | None) -> Seen:
        media = [[medium.sha256 or medium.path for medium in post.media] for post in posts]
        key = content_hash([self.base, self.views, self.reader.settings.hash, [p.text for p in posts], media])
        path = cache / f"views-{key[:16]}.npz" if cache else None
        if path and path.exists():
            with np.load(path, allow_pickle=False) as held:
                return Seen(held["vectors"], held["present"], ())
        seen = self.reader.read(posts, on_post=on_post)
        if path:
            with atomic_file(path) as stream:
                np.savez(stream, vectors=seen.vectors, present=seen.present)
        return seen

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        head = fit_head(self.vectors, Examples.of(lessons, self.row_of), self.settings, loss, seed=seed)
        weights = head.weight.detach()[0].numpy().copy()
        return SeeingPupil(self, ViewHead(weights, float(head.bias.detach()[0]), self.gauge))

    def load(self, folder: Path) -> Pupil:
        return SeeingPupil(self, ViewHead.load(folder))

    def finish(
        self, folder: Path, pupil: Pupil, *, dev: Sequence[Post], gold: NDArray[np.bool_], export: bool
    ) -> Finished:
        """The head and copies of the encoders, which are ONNX files already."""
        pupil.save(folder)
        self.reader.copy_to(folder)
        return Finished(pupil.logits([post.id for post in dev]).astype(np.float64), {})


class SeeingPupil:
    """A fitted head."""

    def __init__(self, learner: SeeingLearner, head: ViewHead) -> None:
        self._learner, self._head = learner, head

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        rows = [self._learner.row_of[post] for post in posts]
        return np.asarray(self._learner.vectors[rows].numpy() @ self._head.weights + self._head.bias, dtype=np.float32)

    def save(self, folder: Path) -> None:
        self._head.save(folder)
