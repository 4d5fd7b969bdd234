"""A post: what somebody published, untrusted, with its media."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from folkmoot.records.base import Record
from folkmoot.records.question import Question

MediaType = Literal["image", "video", "audio"]


class Media(Record):
    """One picture, clip or sound. `path` is absolute once read, relative to the posts' file when written."""

    path: str
    type: MediaType = "image"
    sha256: str | None = None


class Post(Record):
    """What is judged. `label` is gold where somebody knows it, and no judge ever reads it."""

    id: str = Field(min_length=1)
    text: str = ""
    media: tuple[Media, ...] = ()
    label: str | None = None
    attribution: tuple[str, ...] = ()
    split: str | None = None
    question: Question | None = Field(default=None, exclude_if=lambda question: question is None)
    """What is asked about it, for a task whose answers are a question's."""
    meta: dict[str, Any] = Field(default_factory=dict)

    def blind(self) -> Post:
        """The same post without anything a judge must not see: gold label, attribution, split, meta."""
        return Post(id=self.id, text=self.text, media=self.media, question=self.question)
