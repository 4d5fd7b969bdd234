"""How a model declines in words, where it has no field to say so."""

from __future__ import annotations

import re

# Narrow on purpose, and only at the start: "I can't see anything offensive here" is a judgement, not a refusal.
DECLINES = re.compile(
    r"\W*(?:(?:i['’]?m|i am|we['’]?re|my apologies|i apologi[sz]e|sorry|apologies)\b[^.!?\n]{0,40}?\b)?"
    r"(?:as an ai\b[^.!?\n]{0,40}?\b)?"
    r"(?:i|we)(?: am|['’]m)? ?(?:can ?not|can['’]?t|won['’]?t|will not|unable to|not able to|must decline to|"
    r"have to decline to|refuse to|do not feel comfortable|don['’]?t feel comfortable)"
    r" (?:\w+ )?(?:(?:help|assist)(?! but)(?:\b|$)|comply|fulfil|fulfill|engage|participate|continue|"
    r"provid|creat|generat|respond|answer|process|judg|classify|label|do that|do this|discuss)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether an English text begins by declining the request.

    >>> is_refusal("I'm sorry, but I can't assist with that."), is_refusal("I can't see anything rude in this.")
    (True, False)
    """
    return DECLINES.match(text) is not None
