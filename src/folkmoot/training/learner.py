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
from folkmoot.records import Lesson, Post, bytes_hash, canonical_json
from folkmoot.students.network import TextClassifier
from folkmoot.students.runtimes import network_logits
from folkmoot.students.tokens import TOKENIZER_FILE, TokenIds, encode_texts, load_tokenizer
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
    width: int
    max_tokens: int
    is_tuned: bool

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil: ...

    def restore(self, network: TextClassifier) -> Pupil:
        """The pupil that a saved network is."""
        ...

    def save_tokenizer(self, folder: Path) -> None: ...


class Table:
    """The posts that a learner may be asked about, tokenized once. Ids are unique across all parts."""

    def __init__(self, posts: Sequence[Post], encoder: str, *, max_tokens: int) -> None:
        self.folder = encoder_folder(encoder)
        self.row_of: Mapping[str, int] = {post.id: row for row, post in enumerate(posts)}
        self.ids: TokenIds = encode_texts(
            load_tokenizer(self.folder, max_tokens=max_tokens), [post.text for post in posts]
        )

    def rows(self, posts: Sequence[str]) -> list[int]:
        """Positions of posts."""
        return [self.row_of[post] for post in posts]

    def save_tokenizer(self, folder: Path) -> None:
        """Copy the tokenizer beside the student's weights."""
        shutil.copyfile(self.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)


class FrozenLearner:
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
        self.table = Table(posts, encoder, max_tokens=max_tokens)
        self.base, self.max_tokens, self.settings = encoder, max_tokens, settings
        self._network: Any = load_encoder_network(encoder)
        self.width = int(self._network.config.hidden_size)
        self.vectors = self._load_vectors(cache)

    def _load_vectors(self, cache: Path | None) -> torch.Tensor:
        key = bytes_hash(canonical_json([str(self.base), self.table.ids]).encode())
        path = cache / f"vectors-{key[:16]}.npy" if cache else None
        if path and path.exists():
            return torch.from_numpy(np.load(path))
        network = TextClassifier(self._network, self.width, normalised=True).eval()
        vectors = encode_network(network, self.table.ids)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, vectors)
            partial.replace(path)
        return torch.from_numpy(vectors)

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        head = fit_head(self.vectors, Examples.of(lessons, self.table.row_of), self.settings, loss, seed=seed)
        return FrozenPupil(self, head)

    def restore(self, network: TextClassifier) -> Pupil:
        return FrozenPupil(self, network.head)

    def save_tokenizer(self, folder: Path) -> None:
        self.table.save_tokenizer(folder)


class FrozenPupil:
    """A fitted head."""

    def __init__(self, learner: FrozenLearner, head: torch.nn.Linear) -> None:
        self._learner, self._head = learner, head

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors = self._learner.vectors[self._learner.table.rows(posts)]
            result: NDArray[np.float32] = self._head(vectors)[:, 0].numpy()
        return result

    def network(self) -> TextClassifier:
        network = TextClassifier(self._learner._network, self._learner.width, normalised=True)
        network.head = self._head
        return network.eval()


class TunedLearner:
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
        self.table = Table(posts, encoder, max_tokens=max_tokens)
        self.base, self.max_tokens, self.settings = encoder, max_tokens, settings
        self.width = int(load_encoder_network(encoder).config.hidden_size)

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Step | None = None) -> Pupil:
        torch.manual_seed(seed)
        network = TextClassifier(load_encoder_network(self.base), self.width)
        examples = Examples.of(lessons, self.table.row_of)
        return TunedPupil(
            self, fit_network(network, self.table.ids, examples, self.settings, loss, seed=seed, on_step=on_step)
        )

    def restore(self, network: TextClassifier) -> Pupil:
        return TunedPupil(self, network)

    def save_tokenizer(self, folder: Path) -> None:
        self.table.save_tokenizer(folder)


class TunedPupil:
    """A tuned network."""

    def __init__(self, learner: TunedLearner, network: TextClassifier) -> None:
        self._learner, self._network = learner, network

    def logits(self, posts: Sequence[str]) -> NDArray[np.float32]:
        return network_logits(self._network, [self._learner.table.ids[row] for row in self._learner.table.rows(posts)])

    def network(self) -> TextClassifier:
        return self._network


def encode_network(network: TextClassifier, ids: TokenIds) -> NDArray[np.float32]:
    """The pooled vectors [B, D] of a network's encoder."""
    from folkmoot.students.runtimes import BATCH_POSTS
    from folkmoot.students.tokens import batches_by_length, pad

    vectors = np.zeros((len(ids), network.head.in_features), dtype=np.float32)
    with torch.inference_mode():
        for positions in batches_by_length([len(row) for row in ids], BATCH_POSTS):
            tokens, mask = pad([ids[position] for position in positions])
            vectors[positions] = network.pool(torch.from_numpy(tokens), torch.from_numpy(mask)).numpy()
    return vectors
