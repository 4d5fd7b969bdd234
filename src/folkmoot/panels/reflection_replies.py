"""The forms in which the members of a reflection team answer. Lengths are told to the server, not held against a
reply."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, create_model

from folkmoot.records import Question

STRICT = ConfigDict(extra="forbid", frozen=True)
Modality = Literal["visual", "speech", "sound", "text"]


class Lengths(NamedTuple):
    """How long things should be."""

    events: int
    phrase: int
    thought: int
    anchors: int


FULL = Lengths(events=6, phrase=120, thought=500, anchors=4)
BRIEF = Lengths(events=2, phrase=50, thought=140, anchors=2)
"""For small models, which otherwise spend their time on words."""


def _short(characters: int) -> Any:
    return Field(json_schema_extra={"maxLength": characters})


class TeamForms:
    """The forms at one length."""

    def __init__(self, lengths: Lengths = FULL) -> None:
        phrase = (str, _short(lengths.phrase))
        seconds: Any = (float, Field(ge=0))
        event: Any = create_model(
            "Event", __config__=STRICT, start_seconds=seconds, end_seconds=seconds, who=phrase, what=phrase,
            modality=(Modality, ...), rarity=(int, Field(ge=1, le=5)), why=phrase,
        )  # fmt: skip
        self.events: type[BaseModel] = create_model(
            "Events", __config__=STRICT,
            events=(list[event], Field(json_schema_extra={"maxItems": lengths.events})),
        )  # fmt: skip
        self.plan: type[BaseModel] = create_model(
            "RoutingPlan", __config__=STRICT, ground=(bool, ...), query=phrase, reason=phrase
        )
        self.span: type[BaseModel] = create_model(
            "GroundedSpan", __config__=STRICT, start_seconds=seconds, end_seconds=seconds, why=phrase
        )
        self.review: type[BaseModel] = create_model(
            "Review", __config__=STRICT, reason=phrase, score=(int, Field(ge=1, le=10))
        )
        self.lengths = lengths

    def reasoning(self, question: Question) -> type[BaseModel]:
        """The reasoner's form, whose answer can only be one to this question."""
        return _reasoning(question.kind, question.answers, self.lengths)


@lru_cache(maxsize=256)
def _reasoning(kind: str, answers: tuple[str, ...], lengths: Lengths) -> type[BaseModel]:
    thought = (str, _short(lengths.thought))
    answer: Any = (str, _short(lengths.thought))
    if kind in ("choice", "yes_no"):
        answer = (Literal[answers], ...)
    elif kind == "choices":
        letter: Any = Literal[answers]
        answer = (list[letter], Field(min_length=1, json_schema_extra={"maxItems": len(answers)}))
    anchor = Annotated[str, _short(16)]
    form: type[BaseModel] = create_model(
        "Reasoning", __config__=STRICT, context=thought, think=thought,
        anchors=(list[anchor], Field(json_schema_extra={"maxItems": lengths.anchors})), answer=answer,
    )  # fmt: skip
    return form


def answer_words(question: Question) -> str:
    """What the answer must be, in words for a prompt."""
    return {
        "choice": "one letter of " + ", ".join(question.answers),
        "choices": "a list of all letters that are right, of " + ", ".join(question.answers),
        "yes_no": "yes or no",
        "free": "the answer in a few words",
    }[question.kind]


def question_words(question: Question, *, options: bool = True) -> str:
    """The question with its options, each by its letter."""
    lines = [question.text]
    if options and question.options:
        lines += [f"{letter}. {option}" for letter, option in zip(question.letters, question.options, strict=True)]
    return "\n".join(lines)
