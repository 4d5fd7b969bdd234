"""A student's card: what it decides, how it was made, and how far its probabilities can be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from folkmoot.records import BadInput, Record, Task

CARD_FILE = "card.json"
SHALLOW_FOLDER = "shallow"
Card = TypeVar("Card", bound=Record)

View = Literal["text", "image", "ocr", "observations"]
"""What a post shows: its text, its pictures, the words read in them, and what else was perceived."""
VIEWS: tuple[View, ...] = get_args(View)

Tower = Literal["encoder", "views", "lexical"]
"""What a student reads a post with: a transformer encoder of its text, frozen encoders of its views (`students.views`),
or weights of word and character n-grams."""


class Calibration(Record):
    """P(positive) = sigmoid(s), s = scale * logit + lexical_scale * lexical logit + shift, fitted on dev.

    The first logit is the encoder's or the views'. With `beta` = (a, b, c) it is sigmoid(a * softplus(s) - b *
    softplus(-s) + c): a score whose two sides mean different things, as an n-gram tower's. (1, 1, 0) changes nothing.

    Paper: Platt 1999; Kull, Silva Filho and Flach 2017, beta calibration.

    A post is positive where the calibrated probability reaches `threshold`. The student abstains where
    |probability - threshold| < `abstain_within`; 0 means that it always decides.
    """

    scale: float = 1.0
    lexical_scale: float = 0.0
    shift: float = 0.0
    beta: tuple[float, float, float] | None = None
    threshold: float = Field(default=0.5, gt=0, lt=1)
    abstain_within: float = Field(default=0.0, ge=0, lt=1)

    def probabilities(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """P(positive) of scores s, [B]."""
        scores = np.asarray(scores, dtype=np.float64)
        if self.beta is not None:
            above, below, offset = self.beta
            scores = above * np.logaddexp(0, scores) - below * np.logaddexp(0, -scores) + offset
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -40, 40))))

    def of_towers(
        self, logits: NDArray[np.floating] | None, lexical: NDArray[np.floating] | None
    ) -> NDArray[np.float64]:
        """P(positive) of a tower's logits and the lexical tower's, [B]; None where there is no such tower."""
        total = np.full(len(next(given for given in (logits, lexical) if given is not None)), self.shift)
        if logits is not None:
            total += self.scale * logits
        if lexical is not None:
            total += self.lexical_scale * lexical
        return self.probabilities(total)


class Look(Record):
    """A reader that costs less looks before one that costs more: where its probability of a label is `sure_from` or more,
    it is the student's."""

    sure_from: float = Field(ge=0.5, le=1)

    def is_sure(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the reader's own P(positive) stands, [B]."""
        return np.asarray(np.maximum(probabilities, 1 - probabilities) >= self.sure_from)


class FirstLook(Look):
    """The lexical tower reads every post, an encoder only those on which the tower, by `calibration`, is not sure."""

    calibration: Calibration


class SecondLook(Look):
    """Of the posts that n-grams leave, the encoder reads only those on which a shallow student is not sure.

    That student, with a card and a calibration of its own, lies in the folder `SHALLOW_FOLDER`.
    """


class StudentCard(Record):
    """The JSON beside a student's weights. `lineage` leads back to its lessons, run and inputs by hash."""

    name: str
    version: int = 1
    towers: tuple[Tower, ...] = ("encoder",)
    task: Task
    base: str
    views: tuple[View, ...] = ("text",)
    max_tokens: int = Field(default=64, gt=1)
    is_tuned: bool = False
    calibration: Calibration = Calibration()
    first_look: FirstLook | None = None
    second_look: SecondLook | None = None
    dev: dict[str, Any] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)
    intended_use: str = "Triage and research. A verdict that matters to a person belongs in front of a person."
    limits: str = "Text only, binary, in the language and period of its training posts."

    def save(self, folder: Path) -> None:
        """Write the card into a student's folder."""
        write_card(self, folder / CARD_FILE)

    @classmethod
    def load(cls, folder: Path) -> StudentCard:
        """The card of a student's folder.

        Raises:
            BadInput: the folder is no student's, or its card is damaged.
        """
        return read_card(cls, Path(folder) / CARD_FILE, made_by="selftrain")


def write_card(card: Record, path: Path) -> None:
    """Writes a student's card, of either kind, for people to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


def read_card(kind: type[Card], path: Path, *, made_by: str) -> Card:
    """The card at a path.

    Args:
        made_by: the command whose runs leave such a student.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        if other := next(path.parent.glob("*card.json"), None):
            raise BadInput(
                f"{path.parent} holds another kind of student: it has {other.name}, not {path.name}. Use what "
                f"'folkmoot {made_by} ... --out RUN' leaves in RUN/student."
            ) from None
        raise BadInput(
            f"{path.parent} is not a student's folder: it has no {path.name}. "
            f"Make one with 'folkmoot {made_by} ... --out RUN' and use RUN/student."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}, field '{field}': {first['msg']}. Restore the card or train again.") from None
