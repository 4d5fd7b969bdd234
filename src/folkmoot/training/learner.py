"""What turns lessons into a pupil: the same two steps whether the encoder is frozen or tuned."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from folkmoot.models.encoder import encoder_folder, load_encoder_network
from folkmoot.models.tokens import TOKENIZER_FILE, TokenIds, encode_texts, load_tokenizer
from folkmoot.records import Lesson, Membership, Post, content_hash
from folkmoot.runs.atomic import atomic_file
from folkmoot.students.card import Tower, View
from folkmoot.students.network import TextClassifier
from folkmoot.students.runtimes import load_runtime, network_logits, network_vectors
from folkmoot.training.examples import Examples
from folkmoot.training.export import export_student
from folkmoot.training.frozen import FrozenSettings, fit_head
from folkmoot.training.losses import PnuSettings
from folkmoot.training.tuned import TunedSettings, fit_network

Step = Callable[[int, int], None]


class Pupil(Protocol):
    """A fitted classifier."""

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        """The logits of posts of the learner's table, by id, [B]."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `Learner.load` needs."""
        ...


class Learner(Protocol):
    """Fits pupils on one table of posts, always from the same starting weights."""

    base: str
    views: tuple[View, ...]
    max_tokens: int
    is_tuned: bool
    tower: Tower

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil: ...

    def load(self, folder: Path) -> Pupil:
        """The pupil that was saved in a folder."""
        ...

    def finish(
        self, folder: Path, pupil: Pupil, *, dev: Sequence[Post], gold: NDArray[np.bool_], export: bool
    ) -> Finished:
        """Make the folder one that serves without the learner: weights, encoders, tokenizer, exports.

        Args:
            gold: whether each dev post is positive, [B]; an int8 model is kept only where dev macro-F1 holds.
        """
        ...


class Finished(NamedTuple):
    """The logits [B] on dev of the very runtime that will serve, and what became of the int8 export."""

    logits: NDArray[np.float64]
    int8: dict[str, Any]


class TableLearner:
    """What both text learners share: the posts that they may be asked about, tokenized once. Ids must differ."""

    views: tuple[View, ...] = ("text",)
    tower: Tower = "encoder"

    def __init__(self, posts: Sequence[Post], encoder: str, max_tokens: int) -> None:
        self.base, self.max_tokens = encoder, max_tokens
        self.folder = encoder_folder(encoder)
        self.row_of: Mapping[str, int] = {post.id: row for row, post in enumerate(posts)}
        self.ids: TokenIds = encode_texts(
            load_tokenizer(self.folder, max_tokens=max_tokens), [post.text for post in posts]
        )

    def rows(self, posts: Sequence[str]) -> list[int]:
        """Positions of posts in the table."""
        return [self.row_of[post] for post in posts]

    def finish(
        self, folder: Path, pupil: Pupil, *, dev: Sequence[Post], gold: NDArray[np.bool_], export: bool
    ) -> Finished:
        """Weights and tokenizer, and the ONNX files; calibrated is what will serve, int8 rounding included."""
        pupil.save(folder)
        shutil.copyfile(self.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        ids = encode_texts(load_tokenizer(folder, max_tokens=self.max_tokens), [post.text for post in dev])
        int8 = export_student(folder, dev_ids=ids, dev_gold=gold).model_dump() if export else {}
        return Finished(load_runtime(folder).logits(ids).astype(np.float64), int8)


class FrozenLearner(TableLearner):
    """Heads on vectors that are computed once and kept in `cache`: the encoder's last layer's, or those of every layer."""

    is_tuned = False

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        encoder: str = "embedded",
        max_tokens: int = 64,
        settings: FrozenSettings = FrozenSettings(),
        every_layer: bool = False,
        cache: Path | None = None,
    ) -> None:
        super().__init__(posts, encoder, max_tokens)
        self.settings, self.every_layer = settings, every_layer
        self._network: Any = load_encoder_network(encoder)
        self.vectors = self._load_vectors(cache)

    def classifier(self) -> TextClassifier:
        """The encoder as it came, with a new head."""
        return TextClassifier(self._network, normalised=True, every_layer=self.every_layer)

    def _load_vectors(self, cache: Path | None) -> torch.Tensor:
        key = content_hash([self.base, self.ids, *(["every layer"] if self.every_layer else [])])
        path = cache / f"vectors-{key[:16]}.npy" if cache else None
        if path and path.exists():
            return torch.from_numpy(np.load(path))
        vectors = network_vectors(self.classifier(), self.ids)
        if path:
            with atomic_file(path) as stream:
                np.save(stream, vectors)
        return torch.from_numpy(vectors)

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        return FrozenPupil(
            self, fit_head(self.vectors, Examples.of(lessons, self.row_of), self.settings, loss, seed=seed)
        )

    def load(self, folder: Path) -> Pupil:
        return FrozenPupil(self, TextClassifier.load(folder).head)


class FrozenPupil:
    """A fitted head."""

    def __init__(self, learner: FrozenLearner, head: torch.nn.Linear) -> None:
        self._learner, self._head = learner, head

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors = self._learner.vectors[self._learner.rows(posts)]
            result: NDArray[np.float32] = self._head(vectors)[:, 0].numpy()
        return result

    def save(self, folder: Path) -> None:
        network = self._learner.classifier()
        network.head = self._head
        network.eval().save(folder)


class TunedLearner(TableLearner):
    """Encoders tuned with their heads, each from the encoder's own weights, or all from those of `start`."""

    is_tuned = True

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        encoder: str = "embedded",
        max_tokens: int = 64,
        settings: TunedSettings = TunedSettings(),
        start: TextClassifier | None = None,
    ) -> None:
        super().__init__(posts, encoder, max_tokens)
        self.settings, self.start = settings, start

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        torch.manual_seed(seed)
        network = TextClassifier(load_encoder_network(self.base)) if self.start is None else copy.deepcopy(self.start)
        if loss.gamma == 0:  # the loss would not read the unlabelled: they would cost time and thin the batches out
            lessons = [lesson for lesson in lessons if lesson.membership is not Membership.DISAGREED]
        examples = Examples.of(lessons, self.row_of)
        return TunedPupil(
            self, fit_network(network, self.ids, examples, self.settings, loss, seed=seed, on_step=on_step)
        )

    def load(self, folder: Path) -> Pupil:
        return TunedPupil(self, TextClassifier.load(folder))


class TunedPupil:
    """A tuned network."""

    def __init__(self, learner: TunedLearner, network: TextClassifier) -> None:
        self._learner, self.network = learner, network

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        with self._learner.settings.autocast():
            return network_logits(self.network, [self._learner.ids[row] for row in self._learner.rows(posts)])

    def save(self, folder: Path) -> None:
        self.network.save(folder)
