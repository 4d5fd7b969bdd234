"""An anchor: the piece of the post or of the world that a sentence of an explanation rests on."""

from __future__ import annotations

from typing import Literal

from folkmoot.records.base import Record
from folkmoot.records.verdict import Verdict

AnchorKind = Literal["passage", "span", "box", "words", "hash", "finding", "opinion", "post"]
POST_ANCHOR = "post"


class Anchor(Record):
    """What `evidence:3` and its like stand for. Seconds are of the medium, the box is in its pixels."""

    name: str
    kind: AnchorKind
    text: str = ""
    source: str = ""
    published: str | None = None
    media: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    box: tuple[float, float, float, float] | None = None


def resolve(name: str, verdict: Verdict) -> Anchor | None:
    """The anchor of that name; None where the verdict has nothing of that name, so that the citation is void.

    An observation is an anchor of `words` where it was spoken, of `box` where it stands in a picture, of `hash` where
    the same was seen before, of `span` where it has a time, else a `finding` on the file.
    """
    if name == POST_ANCHOR:
        return Anchor(name=name, kind="post")
    kind, _, number = name.partition(":")
    if not number.isascii() or not number.isdecimal():
        return None
    position = int(number)
    if kind == "evidence" and position < len(verdict.evidence):
        found = verdict.evidence[position]
        return Anchor(name=name, kind="passage", text=found.passage, source=found.source or found.title or found.id,
                      published=found.published)  # fmt: skip
    if kind == "opinion" and position < len(verdict.opinions):
        return Anchor(name=name, kind="opinion", text=verdict.opinions[position].rationale)
    if kind == "span" and position < len(verdict.spans):
        span = verdict.spans[position]
        return Anchor(
            name=name, kind="span", text=span.why, media=span.media, start_seconds=span.start, end_seconds=span.end
        )
    if kind == "observation" and position < len(verdict.observations):
        seen = verdict.observations[position]
        if seen.outcome.is_failure:
            return None  # what could not be seen supports nothing
        where: AnchorKind = (
            "words" if seen.kind in ("speech", "subtitle")
            else "hash" if seen.kind == "match"
            else "box" if seen.box is not None
            else "span" if seen.start_seconds is not None and seen.kind != "container"
            else "finding"
        )  # fmt: skip
        return Anchor(name=name, kind=where, text=seen.text, source=seen.tool, media=seen.media, box=seen.box,
                      start_seconds=seen.start_seconds, end_seconds=seen.end_seconds)  # fmt: skip
    return None
