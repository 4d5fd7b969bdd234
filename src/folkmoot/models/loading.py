"""From what a user writes after `--model` to a model."""

from __future__ import annotations

import re
from difflib import get_close_matches

from folkmoot.models.chat import ChatModel
from folkmoot.models.ledgered import LedgeredModel
from folkmoot.models.limits import Limits
from folkmoot.models.replayed import ReplayedModel
from folkmoot.models.retries import Retries
from folkmoot.records import BadInput
from folkmoot.runs.budget import Budget, Price
from folkmoot.runs.ledger import Ledger

FORMS = ("embedded", "embedded:deterministic", "transformers:PATH", "openai:NAME@URL", "replay:RUN")
NAME_AT_URL = re.compile(r"(?P<name>.+?)@(?P<url>https?://.+)")


def load_model(
    spec: str,
    *,
    ledger: Ledger | None = None,
    budget: Budget | None = None,
    price: Price | None = None,
    limits: Limits = Limits(),
    retries: Retries = Retries(),
    api_key: str | None = None,
    timeout_seconds: float = 120.0,
    slots: int = 2,
    context_tokens: int = 4096,
    threads: int = 1,
) -> ChatModel:
    """The model that a spec names: one of `embedded`, `embedded:deterministic`, `transformers:PATH`,
    `openai:NAME@URL`, `replay:RUN`. With a ledger, every call goes through it and through the budget.

    A replayed call costs nothing, so neither budget nor price apply to `replay`. `limits`, `retries`, `api_key` and
    `timeout_seconds` are for `openai`; `slots`, `context_tokens` and `threads` for `embedded`.

    Raises:
        BadInput: the spec is none of these, or what it names is not there.
        MissingExtra: a package that the model needs is not installed.
    """
    if budget is not None and ledger is None:
        raise ValueError("a budget needs the ledger that its calls are counted in")
    kind, _, rest = spec.partition(":")
    model: ChatModel
    if spec == "embedded" or spec == "embedded:deterministic":
        from folkmoot.models.embedded import EmbeddedModel

        model = EmbeddedModel(slots=slots, deterministic=bool(rest), context_tokens=context_tokens, threads=threads)
    elif kind == "transformers" and rest:
        from folkmoot.models.transformers import TransformersModel

        model = TransformersModel(rest)
    elif kind == "openai" and (found := NAME_AT_URL.fullmatch(rest)):
        from folkmoot.models.openai import OpenAIModel

        model = OpenAIModel(
            found["name"], found["url"], api_key=api_key, limits=limits, retries=retries,
            timeout_seconds=timeout_seconds,
        )  # fmt: skip
    elif kind == "replay" and rest:
        model = ReplayedModel(rest)
    else:
        raise BadInput(_unknown(spec, kind))
    if ledger is None:
        return model
    return keep_calls(model, ledger, budget=budget, price=price or Price())


def check_takes_media(spec: str) -> None:
    """Nothing, where the model that the spec names may take pictures and sounds; an endpoint shows it only when asked.

    Raises:
        BadInput: it reads text only.
    """
    kind = spec.partition(":")[0]
    if kind in ("embedded", "transformers"):
        raise BadInput(
            f"the model '{kind}' reads text only and cannot describe pictures or sounds; give one that takes them, as "
            "openai:NAME@URL"
        )


def keep_calls(model: ChatModel, ledger: Ledger, *, budget: Budget | None, price: Price) -> ChatModel:
    """The model with its calls in the ledger; a replayed call was paid for when it was recorded."""
    if isinstance(model, ReplayedModel):
        return LedgeredModel(model, ledger)
    return LedgeredModel(model, ledger, budget=budget, price=price)


def _unknown(spec: str, kind: str) -> str:
    # An address may hold a password: only the part before the first colon is repeated.
    near = get_close_matches(kind, {form.partition(":")[0] for form in FORMS}, n=1)
    same = next((form for form in reversed(FORMS) if form.partition(":")[0] == kind), None)
    hint = f" Write it as '{same}'." if same else f" Did you mean '{near[0]}'?" if near else ""
    shown = kind if ":" not in spec else f"{kind}:..."
    return f"'{shown}' names no model.{hint} Accepted: {', '.join(FORMS)}."
