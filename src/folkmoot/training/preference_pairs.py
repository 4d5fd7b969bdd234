"""Preference pairs as token ids: what a language model's trainer reads, and what it had to cut or leave out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from folkmoot.records import BadInput, PreferencePair, Record
from folkmoot.students.media_files import UnreadableMedia
from folkmoot.students.prompting import context_tokens, read_prompt, shortened
from folkmoot.training.language_base import LanguageBase
from folkmoot.training.shared_prefix import TokenPair

VERDICT = " (verdict)"
SHORTEST_PROMPT = 16
"""Tokens of a prompt that must be left after it was cut (chosen): less tells the model nothing."""


class PairCounts(Record):
    """What became of the pairs: `verdicts` of those used are taught once more by their last lines alone; `cut` prompts
    were too long for the context; `left_out` counts pairs by reason.

    A response is never cut.
    """

    pairs: int = 0
    used: int = 0
    verdicts: int = 0
    cut: int = 0
    left_out: dict[str, int] = Field(default_factory=dict)
    ids_left_out: tuple[str, ...] = ()

    def in_words(self) -> str:
        """What is taught: the pairs, and how many verdict lines beside them.

        >>> PairCounts(used=4, verdicts=4).in_words()
        '4 pairs and 4 verdict lines'
        """
        return f"{self.used} pairs" + (f" and {self.verdicts} verdict lines" if self.verdicts else "")


def tokenize_pairs(
    pairs: Sequence[PreferencePair],
    base: LanguageBase,
    *,
    max_tokens: int | None = None,
    folder: Path | None = None,
    verdicts: bool = False,
) -> tuple[dict[str, TokenPair], PairCounts]:
    """The pairs that can be learned, by id, and the counts of all.

    A prompt and its longer response fit into `max_tokens`, the model's context by default: a longer prompt of text
    loses its middle, one with media is left out, as is a pair whose response alone is too long.

    Args:
        folder: where relative paths of media start.
        verdicts: also teach each pair's last lines by themselves, where they differ: a student that weighs its labels
            in one prefill has said nothing before its verdict. Such a pair's id ends in `VERDICT`.

    Raises:
        BadInput: no pair is left, or one has media that the model does not read.
    """
    limit = context_tokens(base.model, max_tokens)
    kept: dict[str, TokenPair] = {}
    left_out: dict[str, int] = {}
    ids: list[str] = []
    cut = 0

    def leave_out(pair: PreferencePair, reason: str) -> None:
        left_out[reason] = left_out.get(reason, 0) + 1
        ids.append(pair.id)

    for pair in pairs:
        chosen, rejected = (response_ids(base, text) for text in (pair.chosen_text, pair.rejected_text))
        if chosen == rejected:
            leave_out(pair, "its answers are the same tokens")
            continue
        try:
            prompt, media, positions = read_prompt(
                base.model, base.reader, pair.prompt, pair.images, folder, videos=pair.videos, audios=pair.audios
            )
        except UnreadableMedia as error:
            leave_out(pair, str(error))
            continue
        room = limit - max(len(chosen), len(rejected))
        if room < min(SHORTEST_PROMPT, len(prompt)):
            leave_out(pair, "a response is longer than the context")
            continue
        if len(prompt) > room:
            if media:
                leave_out(pair, "a prompt with media is longer than the context")
                continue
            prompt = shortened(prompt, room)
            cut += 1
        kept[pair.id] = TokenPair(prompt, chosen, rejected, media, positions, pair.sc)
        last = [text.rstrip().rsplit("\n", 1)[-1] for text in (pair.chosen_text, pair.rejected_text)]
        if verdicts and last[0] != last[1]:
            ends = [response_ids(base, line) for line in last]
            kept[pair.id + VERDICT] = TokenPair(prompt, ends[0], ends[1], media, positions, pair.sc)
    used = sum(not name.endswith(VERDICT) for name in kept)
    counts = PairCounts(
        pairs=len(pairs), used=used, verdicts=len(kept) - used, cut=cut, left_out=left_out, ids_left_out=tuple(ids)
    )
    if not kept:
        reasons = "; ".join(f"{count} because {reason}" for reason, count in left_out.items()) or "none was given"
        raise BadInput(f"no preference pair can be learned: {reasons}")
    return kept, counts


def response_ids(base: LanguageBase, text: str) -> list[int]:
    """A response's tokens and the end of the turn."""
    ids: list[int] = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    end = base.tokenizer.eos_token_id
    return [*ids, end] if end is not None and (not ids or ids[-1] != end) else ids
