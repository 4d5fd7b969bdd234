"""A post's text as students read it: the same rule in training and in serving, named in the card."""

from __future__ import annotations

import html
import re

_ADDRESS = re.compile(r"https?://\S+|www\.\S+")
_ACCOUNT = re.compile(r"@\w+")
_SPACE = re.compile(r"\s+")

NORMALISATION = "social:v1"


def normalise_text(text: str) -> str:
    """The text with HTML entities read, addresses as `http`, account names as `@user`, and single spaces.

    Account names are dropped so that a student learns what is said, not who is spoken to.

    Example:
        >>> normalise_text("Tea &amp;amp; cake at https://tea.example/1 @some_body")
        'Tea & cake at http @user'
    """
    text = html.unescape(html.unescape(text))  # tweets are often escaped twice
    return _SPACE.sub(" ", _ACCOUNT.sub("@user", _ADDRESS.sub("http", text))).strip()
