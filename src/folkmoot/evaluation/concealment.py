"""Post texts that a page holds without showing them."""

from __future__ import annotations

import base64
import json
import re

LONGEST_TEXT = 4000
"""Chosen: a report is for reading; the whole text stays in the posts' file."""


def conceal(text: str) -> str:
    """The text as base64 of UTF-8: no reader, screenshot, search or crawler meets it until it is decoded."""
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def shorten(text: str) -> str:
    """The text, cut where it is longer than a report should hold, and without characters that HTML forbids."""
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", text)
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}… [cut here: {len(text):,} characters in all]"


def flatten(value: object) -> str:
    """A value of the provenance as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
