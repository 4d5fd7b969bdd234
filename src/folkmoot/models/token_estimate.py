"""How many tokens a call may take, before anybody has counted them."""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot.models.chat import Message, Sampling, Schema, Usage

CHARACTERS_PER_TOKEN = 3
"""English has about four; fewer is the dearer guess."""
TOKENS_PER_MEDIUM = 1500
"""Chosen: a picture of 1,000 by 1,000 pixels takes 800 to 1,600 in the usual vision models."""


def dearest_usage(messages: Sequence[Message], schema: Schema | None, sampling: Sampling) -> Usage:
    """More tokens than a call is likely to take: a generous count of its prompt, and the longest reply."""
    characters, pictures = len(str(schema or "")), 0
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, str):
            characters += len(content)
            continue
        for part in content:
            if part.get("type") == "text":
                characters += len(part.get("text") or "")
            else:
                pictures += 1
    return Usage(
        prompt_tokens=characters // CHARACTERS_PER_TOKEN + TOKENS_PER_MEDIUM * pictures + 10,
        completion_tokens=sampling.max_tokens,
    )
