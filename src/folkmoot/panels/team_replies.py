"""The forms in which the members of a Delphi team answer. What is too much is told to the server, not held against
a reply.

Confidences are whole percents: servers that constrain decoding hold an integer to its bounds, and a fraction not.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, create_model

from folkmoot.panels.reply import REASON_CHARACTERS, label_field
from folkmoot.records import Task

STRICT = ConfigDict(extra="forbid", frozen=True)


def _form(name: str, **fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model(name, __config__=STRICT, **fields)
    return made


def _short(characters: int) -> Any:
    return Field(json_schema_extra={"maxLength": characters})


def _few(items: int) -> Any:
    return Field(json_schema_extra={"maxItems": items})


Bearing = Literal["supports", "refutes", "background", "irrelevant"]


class PassageBearing(BaseModel):
    """How one passage bears on the post's claims."""

    model_config = STRICT
    evidence: int = Field(ge=0)
    bearing: Bearing


class Filtered(BaseModel):
    """The evidence filter's reply (FakeAgent, Equation 2)."""

    model_config = STRICT
    passages: list[PassageBearing] = _few(5)


class LocatedSpan(BaseModel):
    """A suspicious part of a clip."""

    model_config = STRICT
    start_seconds: float
    end_seconds: float
    why: str = _short(80)


class Located(BaseModel):
    """The span locator's reply (FakeAgent, the locator's prompt)."""

    model_config = STRICT
    spans: list[LocatedSpan] = _few(2)


class Synthesis(BaseModel):
    """The synthesizer's reply (DelphiAgent)."""

    model_config = STRICT
    feedback: str = _short(REASON_CHARACTERS)
    suggestion: str = _short(REASON_CHARACTERS)
    terminate: bool


class Brevity(NamedTuple):
    """How long things should be: told to the server, which holds a small model to it."""

    claims: int
    claim: int
    anchors: int
    reason: int
    questions: int
    sentences: int
    sentence: int
    types: int


FULL = Brevity(
    claims=3, claim=160, anchors=2, reason=REASON_CHARACTERS, questions=3, sentences=5, sentence=240, types=10
)
BRIEF = Brevity(claims=1, claim=60, anchors=1, reason=100, questions=1, sentences=2, sentence=120, types=3)
"""For small models: on two cores a whole reply of a 135M model then takes some three seconds."""


class TeamReplies:
    """The forms that name the task's labels and types."""

    def __init__(self, task: Task, *, brevity: Brevity = FULL) -> None:
        label = label_field(task)
        confidence: Any = (int, Field(ge=0, le=100))
        reason: Any = (str, _short(brevity.reason))
        anchors: Any = (list[Annotated[str, _short(16)]], _few(brevity.anchors))
        finding: Any = _form("Finding", claim=(str, _short(brevity.claim)), anchors=anchors)
        sentence: Any = _form("CitedSentence", sentence=(str, _short(brevity.sentence)), anchors=anchors)
        self.types = tuple(name for names in task.attribution.values() for name in names)
        self.level: type[BaseModel] = _form(
            "Level",
            findings=(list[finding], _few(brevity.claims)),
            label=label,
            confidence_percent=confidence,
            reason=reason,
        )
        self.conclusion: type[BaseModel] = _form(
            "Conclusion", label=label, confidence_percent=confidence, reason=reason
        )
        self.plan: type[BaseModel] = _form(
            "Plan", label=label, confidence_percent=confidence, need_evidence=(bool, ...),
            questions=(list[Annotated[str, _short(80)]], _few(brevity.questions)), reason=reason,
        )  # fmt: skip
        fields: dict[str, Any] = {"label": label, "confidence_percent": confidence}
        if self.types:
            attributed: Any = _form(
                "AttributedType", type=(Literal[self.types], ...), percent=(int, Field(ge=0, le=100))
            )
            fields["types"] = (list[attributed], _few(min(brevity.types, len(self.types))))
        fields["explanation"] = (list[sentence], _few(brevity.sentences))
        self.integration: type[BaseModel] = _form("Integration", **fields)
