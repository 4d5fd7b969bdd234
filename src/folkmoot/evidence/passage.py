"""A passage of a corpus, and how longer texts are cut into passages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from folkmoot.records import Evidence, Record
from folkmoot.records.dates import iso_date

PASSAGE_CHARACTERS = 900
"""About 200 tokens, within the encoder's 256 (chosen)."""
SENTENCE_END = re.compile(r"(?<=[.!?。！？])([\"'”’)\]]*)\s+|(?<=[。！？])")
"""Where a sentence ends; the group holds the closing marks, which are still the sentence's."""


class Passage(Record):
    """A piece of a source that can be cited."""

    id: str
    text: str
    title: str = ""
    url: str = ""
    published: str | None = None

    @property
    def searched(self) -> str:
        """What is looked through: the title and the text."""
        return f"{self.title}: {self.text}" if self.title else self.text

    def evidence(self, score: float, *, retriever: str, question: str) -> Evidence:
        """The passage as something found."""
        return Evidence(
            id=self.id, passage=self.text, source=self.url, title=self.title, published=iso_date(self.published),
            score=round(score, 6), retriever=retriever, question=question,
        )  # fmt: skip


def sentences_of(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph, each with its closing marks.

    >>> list(sentences_of('He said "Go." She went.'))
    ['He said "Go."', 'She went.']
    """
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        yield paragraph[start : end.start() + len(end[1] or "")]
        start = end.end()
    yield paragraph[start:]


def split_text(text: str, *, characters: int = PASSAGE_CHARACTERS) -> Iterator[str]:
    """The text in passages of whole sentences, none much longer than `characters`.

    >>> list(split_text("One. Two. Three.", characters=9))
    ['One. Two.', 'Three.']
    """
    passage = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in sentences_of(" ".join(paragraph.split())):
            for start in range(0, len(sentence), characters):
                piece = sentence[start : start + characters].strip()
                if not piece:
                    continue
                if passage and len(passage) + len(piece) + 1 > characters:
                    yield passage
                    passage = ""
                passage = f"{passage} {piece}".strip()
        if len(passage) > characters // 2:
            yield passage
            passage = ""
    if passage:
        yield passage
