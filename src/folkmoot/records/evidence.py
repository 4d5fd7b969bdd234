"""A piece of evidence: what the world says, with its source and date."""

from __future__ import annotations

from folkmoot.records.base import Record


class Evidence(Record):
    """A passage that bears on a post. `published` is an ISO date, None where the source gives none."""

    id: str
    passage: str
    source: str = ""
    title: str = ""
    published: str | None = None
    score: float | None = None
