"""What no source may slip past: other domains, later dates, the post itself, the same passage twice, endless text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from urllib.parse import urlsplit

from folkmoot.evidence.retriever import Question, Retriever
from folkmoot.records import Evidence

LONGEST_CHARACTERS = 2000
"""What is kept of a passage (chosen: 500 tokens)."""
SAME_TEXT = 0.9
"""The likeness from which a passage is the post itself, or another one again (chosen)."""
SPARE = 3
"""How many times as many passages are asked for, as some are left out."""


class GuardedRetriever:
    """Another retriever's passages, without those that must not be used.

    Args:
        allowed: the domains whose pages may be used, subdomains included; None allows all. Passages of a corpus that
            name no web address are never left out by it.
        own_text: the post's words: a passage that is nothing but them is no evidence for them.
    """

    def __init__(self, retriever: Retriever, *, allowed: Sequence[str] | None = None, own_text: str = "") -> None:
        self.retriever, self.allowed, self.own_text = retriever, allowed, " ".join(own_text.split())
        self.name = retriever.name
        self.left_out: dict[str, int] = {}

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """At most `k` passages that may be used; `left_out` counts the others by reason."""
        found = await self.retriever.retrieve(question.model_copy(update={"k": min(question.k * SPARE, 1000)}))
        kept: list[Evidence] = []
        for evidence in found:
            reason = self._reason(evidence, question, kept)
            if reason is not None:
                self.left_out[reason] = self.left_out.get(reason, 0) + 1
                continue
            kept.append(evidence.model_copy(update={"passage": evidence.passage[:LONGEST_CHARACTERS]}))
            if len(kept) == question.k:
                break
        return tuple(kept)

    def _reason(self, evidence: Evidence, question: Question, kept: Sequence[Evidence]) -> str | None:
        if not evidence.passage.strip():
            return "empty"
        if not question.admits(evidence.published):
            return "undated" if evidence.published is None else "published later"
        if self.allowed is not None and not allowed_source(evidence.source, self.allowed):
            return "domain not allowed"
        text = " ".join(evidence.passage.split())
        if self.own_text and alike(text, self.own_text):
            return "the post itself"
        if any(alike(text, " ".join(other.passage.split())) for other in kept):
            return "a copy"
        return None


def allowed_source(source: str, allowed: Sequence[str]) -> bool:
    """Whether a source's domain, or one that it belongs to, is on the list; files and dumps have none and pass."""
    address = urlsplit(source)
    if address.scheme not in ("http", "https"):
        return True
    host = (address.hostname or "").rstrip(".").lower()
    return any(host == domain or host.endswith("." + domain) for domain in (d.lower().strip(". ") for d in allowed))


def alike(a: str, b: str) -> bool:
    """Whether two texts are the same but for a few signs."""
    if a == b:
        return True
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    if len(shorter) < SAME_TEXT * len(longer):
        return False
    matcher = difflib.SequenceMatcher(
        None, a[:LONGEST_CHARACTERS].casefold(), b[:LONGEST_CHARACTERS].casefold(), autojunk=False
    )
    return matcher.quick_ratio() >= SAME_TEXT and matcher.ratio() >= SAME_TEXT
