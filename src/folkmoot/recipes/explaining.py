"""A judge model that rates explanations, for `evaluation.g_eval`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from folkmoot.evaluation.g_eval import Rate, Rating, g_eval
from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.loading import load_model
from folkmoot.models.prompt import load_prompt
from folkmoot.models.structured import ask
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.records import Post, Verdict, resolve

SHELF = Path(__file__).parent / "prompts"
SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=160)


class Rated(BaseModel):
    """The judge's reply: first why, then how much, as G-Eval's chain of thought has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reason: str = Field(json_schema_extra={"maxLength": 300})
    rating: int = Field(ge=1, le=5)


def rating_by(model: ChatModel, *, language: str = "en") -> Rate:
    """A callable that has the model rate one explanation by one criterion; the post and the passages are data to it."""
    prompt = load_prompt("g_eval", "rater", version=1, language=language, shelf=SHELF)
    system = {"role": "system", "content": prompt.text("system", data_notice=DATA_NOTICE)}

    async def rate(criterion: str, post: Post, verdict: Verdict) -> int | None:
        lines = []
        for sentence in verdict.explanation:
            anchors = [anchor for name in sentence.anchors if (anchor := resolve(name, verdict)) is not None]
            cited = "; ".join(f"{anchor.kind}: {anchor.text[:200]}" for anchor in anchors) or "nothing"
            lines.append(f"{sentence.sentence} (rests on {cited})")
        text = prompt.text(
            "rate", criterion=criterion, post=data_block("post", post.text), label=verdict.label,
            explanation=data_block("explanation", "\n".join(lines)),
        )  # fmt: skip
        answer = await ask(model, [system, {"role": "user", "content": text}], Rated, sampling=SAMPLING)
        return answer.value.rating if answer.value is not None else None

    return rate


def rate_explanations(verdicts: Sequence[Verdict], posts: Mapping[str, Post], model: str) -> dict[str, Rating]:
    """G-Eval's ratings of the verdicts' explanations by the model of a spec, by criterion."""

    async def work() -> dict[str, Rating]:
        chat = load_model(model)
        try:
            return await g_eval(verdicts, posts, rating_by(chat))
        finally:
            await chat.aclose()

    return asyncio.run(work())
