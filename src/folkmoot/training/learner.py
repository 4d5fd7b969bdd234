"""What turns lessons into a pupil: the same two steps whether the encoder is frozen or tuned."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from folkmoot.models.encoder import encoder_folder, load_encoder_network
from folkmoot.models.tokens import TOKENIZER_FILE, TokenIds, encode_texts, load_tokenizer
from folkmoot.records import Lesson, Membership, Post, content_hash
from folkmoot.runs.atomic import atomic_file
from folkmoot.students.network import TextClassifier
from folkmoot.students.runtimes import network_logits, network_vectors
from folkmoot.training.examples import Examples
from folkmoot.training.frozen import FrozenSettings, fit_head
from folkmoot.training.losses import PnuSettings
from folkmoot.training.tuned import TunedSettings, fit_network

Step = Callable[[int, int], None]


class Pupil(Protocol):
    """A fitted classifier. `network` is the whole of it, ready to be saved."""

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        """The logits of posts of the learner's table, by id, [B]."""
        ...

    def network(self) -> TextClassifier: ...


class Learner(Protocol):
    """Fits pupils on one table of posts, always from the same starting weights."""

    base: str
    max_tokens: int
    is_tuned: bool

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil: ...

    def restore(self, network: TextClassifier) -> Pupil:
        """The pupil that a saved network is."""
        ...

    def save_tokenizer(self, folder: Path) -> None: ...


class TableLearner:
    """What both learners share: the posts that they may be asked about, tokenized once. Ids must differ."""

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

    def save_tokenizer(self, folder: Path) -> None:
        """Copy the tokenizer beside the student's weights."""
        shutil.copyfile(self.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)


class FrozenLearner(TableLearner):
    """Heads on vectors that are computed once and kept in `cache`."""

    is_tuned = False

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        encoder: str = "embedded",
        max_tokens: int = 64,
        settings: FrozenSettings = FrozenSettings(),
        cache: Path | None = None,
    ) -> None:
        super().__init__(posts, encoder, max_tokens)
        self.settings = settings
        self._network: Any = load_encoder_network(encoder)
        self.vectors = self._load_vectors(cache)

    def _load_vectors(self, cache: Path | None) -> torch.Tensor:
        key = content_hash([self.base, self.ids])
        path = cache / f"vectors-{key[:16]}.npy" if cache else None
        if path and path.exists():
            return torch.from_numpy(np.load(path))
        vectors = network_vectors(TextClassifier(self._network, normalised=True), self.ids)
        if path:
            with atomic_file(path) as stream:
                np.save(stream, vectors)
        return torch.from_numpy(vectors)

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        return FrozenPupil(
            self, fit_head(self.vectors, Examples.of(lessons, self.row_of), self.settings, loss, seed=seed)
        )

    def restore(self, network: TextClassifier) -> Pupil:
        return FrozenPupil(self, network.head)


class FrozenPupil:
    """A fitted head."""

    def __init__(self, learner: FrozenLearner, head: torch.nn.Linear) -> None:
        self._learner, self._head = learner, head

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors = self._learner.vectors[self._learner.rows(posts)]
            result: NDArray[np.float32] = self._head(vectors)[:, 0].numpy()
        return result

    def network(self) -> TextClassifier:
        network = TextClassifier(self._learner._network, normalised=True)
        network.head = self._head
        return network.eval()


class TunedLearner(TableLearner):
    """Encoders tuned with their heads, each from the encoder's own weights."""

    is_tuned = True

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        encoder: str = "embedded",
        max_tokens: int = 64,
        settings: TunedSettings = TunedSettings(),
    ) -> None:
        super().__init__(posts, encoder, max_tokens)
        self.settings = settings

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        torch.manual_seed(seed)
        network = TextClassifier(load_encoder_network(self.base))
        if loss.gamma == 0:  # the loss would not read the unlabelled: they would cost time and thin the batches out
            lessons = [lesson for lesson in lessons if lesson.membership is not Membership.DISAGREED]
        examples = Examples.of(lessons, self.row_of)
        return TunedPupil(
            self, fit_network(network, self.ids, examples, self.settings, loss, seed=seed, on_step=on_step)
        )

    def restore(self, network: TextClassifier) -> Pupil:
        return TunedPupil(self, network)


class TunedPupil:
    """A tuned network."""

    def __init__(self, learner: TunedLearner, network: TextClassifier) -> None:
        self._learner, self._network = learner, network

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        return network_logits(self._network, [self._learner.ids[row] for row in self._learner.rows(posts)])

    def network(self) -> TextClassifier:
        return self._network
