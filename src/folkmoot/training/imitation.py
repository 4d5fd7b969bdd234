"""Conversations with an answer to imitate, as a language model's trainer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from folkmoot.records import BadInput
from folkmoot.students.branching import Branching, read_answers
from folkmoot.students.language import padding_id
from folkmoot.students.prompting import context_tokens, read_prompt, shortened
from folkmoot.training.language_base import LanguageBase
from folkmoot.training.preference_pairs import SHORTEST_PROMPT, response_ids
from folkmoot.training.shared_prefix import TokenPair

Conversation = Sequence[dict[str, Any]]


def tokenize_lessons(
    lessons: Sequence[tuple[str, Conversation, str]], base: LanguageBase, *, max_tokens: int | None = None
) -> dict[str, TokenPair]:
    """(id, conversation, answer) as pairs whose rejected answer is empty, which SFT does not read. A prompt that is too
    long loses its middle; one whose answer leaves it no room is left out.

    Raises:
        BadInput: none is left.
    """
    limit = context_tokens(base.model, max_tokens)
    kept: dict[str, TokenPair] = {}
    for id, conversation, answer in lessons:
        ids = response_ids(base, answer)
        prompt, _, _ = read_prompt(base.model, base.reader, conversation, ())
        room = limit - len(ids)
        if room >= min(SHORTEST_PROMPT, len(prompt)):
            kept[id] = TokenPair(shortened(prompt, room), ids, ids[-1:])
    if not kept:
        raise BadInput(f"none of the {len(lessons)} answers fits into {limit} tokens with its prompt")
    return kept


@torch.inference_mode()
def weigh_answers(
    model: Any, base: LanguageBase, conversation: Conversation, answers: Sequence[str], *, max_tokens: int | None = None
) -> int:
    """Which of the answers' beginnings is the likeliest, by its position."""
    model.eval()
    offered = [base.tokenizer(text, add_special_tokens=False)["input_ids"] for text in answers]
    prompt, _, _ = read_prompt(base.model, base.reader, conversation, ())
    prompt = shortened(prompt, context_tokens(base.model, max_tokens) - max(map(len, offered)))
    likelihoods, _ = read_answers(
        model, [Branching(prompt, offered)], padding=padding_id(base.tokenizer), kinds=range(1, len(offered) + 1)
    )  # fmt: skip
    return int(torch.stack([likelihood.log_prob for likelihood in likelihoods])[:, 0].argmax())
