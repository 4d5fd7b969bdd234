"""A piece of evidence: what the world says, with its source and date."""

from __future__ import annotations

from folkmoot.records.base import Record


class Evidence(Record):
    """A passage that bears on a post.

    `source` is its address or file, `published` an ISO date (None where the source gives none), `retriever` who found
    it and by which question, `score` the retriever's own measure: higher is nearer.
    """

    id: str
    passage: str
    source: str = ""
    title: str = ""
    published: str | None = None
    score: float | None = None
    retriever: str = ""
    question: str = ""
