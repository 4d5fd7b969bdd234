"""A preference pair: what a student is to say of a post, what it is not to say, and how much the difference weighs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from folkmoot.records.base import Record
from folkmoot.records.post import MediaType

Turn = dict[str, Any]
"""One message in the OpenAI convention: `role`, and `content` as text or content parts."""

MEDIA_FIELDS: dict[MediaType, str] = {"image": "images", "video": "videos", "audio": "audios"}
"""The field of a pair that names the files of each type, as LLaMA-Factory and ms-swift call their columns."""


class PreferencePair(Record):
    """A post's prompt with a chosen and a rejected answer, from a society of `n` labelled opinions.

    `sc` is the social correction value in [0, 1], `sc_range` what it could have been had every user answered.
    `n_correct` and `n_partial` are counted before anything was enhanced. `images`, `videos` and `audios` are paths
    relative to the file, one for each part of that type in the prompt, in order. `opinions` are the hashes of the
    opinions behind the pair and `calls` the ledger keys of the model calls; `flags` name doubts, such as
    `gold_doubtful`.
    """

    id: str
    prompt: tuple[Turn, ...] = Field(min_length=1)
    chosen: tuple[Turn, ...] = Field(min_length=1)
    rejected: tuple[Turn, ...] = Field(min_length=1)
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    audios: tuple[str, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    label: str | None = None
    kind: Literal["easy", "mixed", "hard"] | None = None
    sc: float = Field(default=0.0, ge=0, le=1)
    sc_range: tuple[float, float] | None = None
    n: int = Field(default=0, ge=0)
    n_correct: int = Field(default=0, ge=0)
    n_partial: int = Field(default=0, ge=0)
    opinions: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _answers_differ_and_counts_fit(self) -> Self:
        if self.chosen == self.rejected:
            raise ValueError("the chosen and the rejected answer are the same")
        if self.n_correct + self.n_partial > self.n:
            raise ValueError("n_correct and n_partial together are more than n")
        return self

    @property
    def chosen_text(self) -> str:
        """The chosen answer's words."""
        return words(self.chosen)

    @property
    def rejected_text(self) -> str:
        """The rejected answer's words."""
        return words(self.rejected)


def medium_of(part: Mapping[str, Any]) -> MediaType | None:
    """Which medium a content part stands for, in OpenAI's words or a template's; None for text.

    >>> [medium_of({"type": name}) for name in ("image_url", "input_audio", "video", "text")]
    ['image', 'audio', 'video', None]
    """
    name = str(part.get("type", "")).removeprefix("input_").removesuffix("_url")
    return next((medium for medium in get_args(MediaType) if medium == name), None)


def words(turns: tuple[Turn, ...]) -> str:
    """The text of some messages, one after the other."""
    parts = [turn.get("content") or "" for turn in turns]
    return "\n".join(
        part if isinstance(part, str) else "\n".join(str(piece.get("text") or "") for piece in part) for part in parts
    )
