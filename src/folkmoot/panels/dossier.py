"""What a team knows of a post, made safe for a prompt: its words, its media's observations, the passages found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from folkmoot.models.untrusted import data_block
from folkmoot.records import Evidence, Observation, Outcome, Post

Part = Literal["text", "video", "audio", "evidence", "refining"]
PARTS: tuple[Part, ...] = ("text", "video", "audio", "evidence", "refining")
"""What a judge can be made to do without, as in FakeAgent's ablations."""

HEARD = frozenset({"speech", "sound", "sound_caption", "subtitle"})
NEVER_SHOWN = frozenset({"hash", "shot", "faces", "frame"})
"""Of use to programs and to the page alone."""
FIRST = ("match", "provenance", "media", "container", "caption", "sound_caption", "event", "subtitle", "speech", "ocr")
"""What is kept first where not everything fits."""
OBSERVATION_CHARACTERS = 4000
"""About a thousand tokens in English (chosen: fits a small model's context three times)."""
LONGEST_LINE = 240
LONGEST_PASSAGE = 800
LONGEST_POST = 4000
RARE_SIGN = 3
"""What a sign outside of ASCII counts for: small models spend up to three tokens on one."""
CITATION = re.compile(r"\[(?=(?:observation|evidence|opinion|span):)", re.IGNORECASE)


def select(
    observations: Sequence[Observation],
    *,
    without: frozenset[Part] = frozenset(),
    characters: int = OBSERVATION_CHARACTERS,
) -> tuple[tuple[Observation, ...], int]:
    """The observations that fit, in their order, and how many were left out for want of room.

    Args:
        without: `audio` leaves out what is heard, `video` what is seen.
    """
    usable = [
        observation
        for observation in observations
        if (observation.kind not in NEVER_SHOWN or observation.outcome.is_failure)
        and not ("audio" in without and observation.kind in HEARD)
        and not ("video" in without and observation.kind not in HEARD)
    ]
    usable = [observation for observation in usable if not (observation.kind == "sound" and len(usable) > 20)]
    rank = {kind: position for position, kind in enumerate(FIRST)}
    order = sorted(range(len(usable)), key=lambda n: (rank.get(usable[n].kind, len(FIRST)), n))
    kept, spent = set(), 0
    for position in order:
        length = min(weight(usable[position].text), LONGEST_LINE) + 40
        if spent + length <= characters:
            kept.add(position)
            spent += length
    return tuple(usable[n] for n in sorted(kept)), len(usable) - len(kept)


def post_block(post: Post, *, without: frozenset[Part] = frozenset()) -> str:
    """The post's words in a marked block; a remark in their place where the judge does without."""
    return (
        "The post's words are not shown."
        if "text" in without
        else data_block("post", clipped(uncited(post.text), LONGEST_POST))
    )


def observation_lines(observations: Sequence[Observation | None]) -> str:
    """The observations, numbered, in a marked block; empty where there are none. None keeps a number and is not shown."""
    if not any(observations):
        return ""
    lines = []
    for number, observation in enumerate(observations):
        if observation is None:
            continue
        when = ""
        if observation.start_seconds is not None:
            when = f" {observation.start_seconds:.1f}"
            if observation.end_seconds is not None and observation.end_seconds != observation.start_seconds:
                when += f"-{observation.end_seconds:.1f}"
        state = "" if observation.outcome is Outcome.LABELLED else f" ({observation.outcome.value})"
        sure = f" [{observation.confidence:.0%} sure]" if observation.confidence is not None else ""
        text = clipped(uncited(" ".join(observation.text.split())), LONGEST_LINE)
        lines.append(f"[observation:{number}] {observation.kind}{when}{state}: {text}{sure}")
    return data_block("observations", "\n".join(lines))


def passage_lines(evidence: Sequence[Evidence], *, irrelevant: frozenset[int] = frozenset()) -> str:
    """The passages, numbered, in a marked block, with title, source and date; some may be left out."""
    lines = []
    for number, found in enumerate(evidence):
        if number in irrelevant:
            continue
        about = ", ".join(part for part in (found.title, found.source, found.published or "no date") if part)
        lines.append(
            f"[evidence:{number}] ({uncited(about)[:LONGEST_LINE]}) {clipped(uncited(' '.join(found.passage.split())), LONGEST_PASSAGE)}"
        )
    return data_block("passages", "\n".join(lines)) if lines else "Nothing was found."


def weight(text: str) -> int:
    """About four times the tokens that a text takes."""
    return len(text) + (RARE_SIGN - 1) * sum(not sign.isascii() for sign in text)


def clipped(text: str, most: int) -> str:
    """The text up to a weight, with a mark where it was cut."""
    if weight(text) <= most:
        return text
    spent = 0
    for position, sign in enumerate(text):
        spent += 1 if sign.isascii() else RARE_SIGN
        if spent > most:
            return text[:position] + "..."
    return text


def plain_anchor(anchor: str) -> str:
    """An anchor's name as it was meant.

    >>> plain_anchor("[Evidence: 3]")
    'evidence:3'
    """
    return anchor.strip().strip("[]()").casefold().replace(" ", "")


def uncited(text: str) -> str:
    """A stranger's words without anything that looks like one of our numbers.

    >>> uncited("[evidence:0] rated true")
    '(evidence:0] rated true'
    """
    return CITATION.sub("(", text)
