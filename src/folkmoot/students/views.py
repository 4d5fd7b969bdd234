"""What a post shows to a student: its text, its pictures, the words read in them, and what else was perceived.

Each view becomes a unit vector; a view that a post does not have is zeros, and is said to be absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.image_encoder import ImageEncoder
from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.perception import PerceptionSettings, perceive_post
from folkmoot.perception.medium import Unreadable
from folkmoot.perception.pictures import pictures_of
from folkmoot.records import BadInput, Observation, Outcome, Post
from folkmoot.students.arrays import from_arrays
from folkmoot.students.card import VIEWS, View

PERCEIVED: tuple[View, ...] = ("ocr", "observations")
"""The views that perception is needed for."""

TOLD = ("speech", "subtitle", "caption", "sound_caption", "sound", "faces", "event", "match")
"""Kinds of observations that say what is to be heard and seen, in words."""

HEAD_FILE = "views.npz"
TEXT_FOLDER, IMAGE_FOLDER = "text_encoder", "image_encoder"


class Seen(NamedTuple):
    """`vectors` [B, D], the views side by side; `present` [B, V]; a sentence for each view that a post lacks."""

    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    without: tuple[tuple[str, ...], ...]


def read_words(observations: Sequence[Observation]) -> str:
    """The words that OCR read, in their order."""
    return _words(observations, ("ocr",))


def told_words(observations: Sequence[Observation]) -> str:
    """What perception says in words of what is heard and seen, on-screen text left out."""
    return _words(observations, TOLD)


def _words(observations: Sequence[Observation], kinds: Sequence[str]) -> str:
    held = (o for kind in kinds for o in observations if o.kind == kind and o.outcome is Outcome.LABELLED)
    return " ".join(o.text.strip() for o in held if o.text.strip())


class ViewReader:
    """Posts -> vectors of the views, by frozen encoders and by perception."""

    def __init__(
        self,
        views: Sequence[View],
        *,
        text: SentenceEncoder | None,
        image: ImageEncoder | None,
        settings: PerceptionSettings = PerceptionSettings(),
        cache: Path | None = None,
    ) -> None:
        self.views, self.text, self.image = tuple(views), text, image
        self.settings, self._cache = settings, cache
        widths = [self._width(view) for view in self.views]
        ends = np.cumsum(widths).tolist()
        self.slices = {view: slice(end - w, end) for view, end, w in zip(self.views, ends, widths, strict=True)}
        self.width: int = ends[-1]

    def _width(self, view: View) -> int:
        encoder = self.image if view == "image" else self.text
        assert encoder is not None, f"the view '{view}' needs an encoder"
        return encoder.width

    @classmethod
    def open(
        cls, views: Sequence[View], *, text: str = "embedded", image: str = "embedded", cache: Path | None = None
    ) -> ViewReader:
        """A reader of the views with the encoders that are named: `embedded` or a folder.

        Raises:
            BadInput: a view is not known or named twice, or there is no such encoder.
            MissingExtra: what runs or makes an encoder is not installed.
        """
        wrong = [view for view in views if view not in VIEWS]
        if wrong or not views or len(set(views)) < len(views):
            raise BadInput(f"views {', '.join(views) or 'none'}: name each of {', '.join(VIEWS)} at most once")
        return cls(
            views,
            text=SentenceEncoder(text, cache=cache) if set(views) != {"image"} else None,
            image=ImageEncoder.open(image, cache=cache) if "image" in views else None,
            cache=cache / "perception" if cache else None,
        )

    @classmethod
    def from_copy(cls, folder: Path, views: Sequence[View], *, text_name: str) -> ViewReader:
        """The reader whose encoders `copy_to` put into a folder."""
        return cls(
            views,
            text=SentenceEncoder.from_copy(folder / TEXT_FOLDER, name=text_name) if set(views) != {"image"} else None,
            image=ImageEncoder(folder / IMAGE_FOLDER) if "image" in views else None,
        )

    def copy_to(self, folder: Path) -> None:
        """Copy the encoders into a student's folder."""
        if self.text is not None:
            self.text.copy_to(folder / TEXT_FOLDER)
        if self.image is not None:
            self.image.copy_to(folder / IMAGE_FOLDER)

    @property
    def name(self) -> str:
        """The encoders, for the card."""
        return " + ".join(encoder.name for encoder in (self.text, self.image) if encoder is not None)

    def read(self, posts: Sequence[Post], *, on_post: Callable[[int, int], None] | None = None) -> Seen:
        """The views of posts. A medium that cannot be read is an absent view, never an exception.

        Args:
            on_post: told (posts perceived, posts in all) after each one.

        Raises:
            MissingExtra, BadInput: perception needs a tool that is not installed.
        """
        vectors = np.zeros((len(posts), self.width), dtype=np.float32)
        present = np.zeros((len(posts), len(self.views)), dtype=bool)
        words: dict[View, list[str]] = {view: [] for view in self.views if view != "image"}
        without: list[tuple[str, ...]] = []
        perceives = any(view in PERCEIVED for view in self.views)
        for row, post in enumerate(posts):
            observations = perceive_post(post, self.settings, cache=self._cache) if perceives else ()
            texts = {"text": post.text, "ocr": read_words(observations), "observations": told_words(observations)}
            missing = []
            for column, view in enumerate(self.views):
                if view == "image":
                    vector, problem = self._look(post)
                    if vector is not None:
                        vectors[row, self.slices[view]] = vector
                    present[row, column] = vector is not None
                else:
                    words[view].append(texts[view])
                    present[row, column] = bool(texts[view].strip())
                    problem = ABSENT[view]
                if not present[row, column]:
                    missing.append(problem)
            without.append(tuple(missing))
            if on_post:
                on_post(row + 1, len(posts))
        for view, texts_of_view in words.items():
            rows = np.flatnonzero(present[:, self.views.index(view)])
            if len(rows):
                assert self.text is not None
                vectors[rows, self.slices[view]] = self.text.encode([texts_of_view[row] for row in rows])
        return Seen(vectors, present, tuple(without))

    def _look(self, post: Post) -> tuple[NDArray[np.float32] | None, str]:
        """The mean vector of the post's pictures, scaled to length 1, or why there is none."""
        assert self.image is not None
        problem = "it has no picture"
        found = []
        for medium in post.media:
            try:
                pictures = pictures_of(medium, self.settings)
            except Unreadable as error:
                problem = f"its picture was not seen: {error}"
                continue
            if pictures:
                found.append(self.image.encode([picture.pixels for picture in pictures]).mean(axis=0))
        if not found:
            return None, problem
        mean = np.mean(found, axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9), ""


ABSENT: dict[View, str] = {
    "text": "it has no text",
    "ocr": "no words were read in its media",
    "observations": "nothing more was perceived in its media",
}


class Gauge(NamedTuple):
    """How vectors are centred and scaled before the head reads them, as the training posts have them."""

    centre: NDArray[np.float32]  # [D]
    scale: NDArray[np.float32]  # [D]

    @classmethod
    def of(cls, seen: Seen, slices: Sequence[slice]) -> Gauge:
        """Each view centred at its mean and scaled to mean length 1 over the posts that have it."""
        centre, scale = (np.zeros(seen.vectors.shape[1], dtype=np.float32) for _ in range(2))
        for column, part in enumerate(slices):
            there = seen.vectors[seen.present[:, column], part]
            if len(there):
                centre[part] = there.mean(axis=0)
                scale[part] = 1 / max(float(np.linalg.norm(there - centre[part], axis=1).mean()), 1e-6)
        return cls(centre, scale)

    def apply(self, seen: Seen, slices: Sequence[slice]) -> NDArray[np.float32]:
        """The vectors as the head reads them, [B, D]; absent views are zeros."""
        there = np.zeros(seen.vectors.shape, dtype=np.float32)
        for column, part in enumerate(slices):
            there[:, part] = seen.present[:, column, None]
        return np.asarray((seen.vectors - self.centre) * self.scale * there, dtype=np.float32)


class ViewHead(NamedTuple):
    """logit = bias + sum over the views that are there of (x - centre) * scale . weight."""

    weights: NDArray[np.float32]  # [D]
    bias: float
    gauge: Gauge

    def logits(self, seen: Seen, slices: Sequence[slice]) -> NDArray[np.float32]:
        """The logit of the positive label for each post, [B]."""
        return np.asarray(self.gauge.apply(seen, slices) @ self.weights + self.bias, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write `views.npz`."""
        np.savez(
            folder / HEAD_FILE, weights=self.weights, bias=np.float32(self.bias), centre=self.gauge.centre,
            scale=self.gauge.scale,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> ViewHead:
        """The head that `save` wrote.

        Raises:
            BadInput: the file is missing or damaged.
        """
        return from_arrays(
            folder / HEAD_FILE,
            lambda held: cls(held["weights"], float(held["bias"]), Gauge(held["centre"], held["scale"])),
        )
