"""The low-resource loop as a recipe: what decides its outcome, and the rules that go by a name.

Paper: MA-VLM + PNU loss, AAAI 2026 (arXiv 2511.13759).
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from pydantic import Field, StrictBool

from folkmoot.formats.fields import shown, suggestion
from folkmoot.models.encoder import LARGE
from folkmoot.records import BadInput, Record
from folkmoot.students.card import VIEWS, View


class EncoderChoice(Record):
    """`base` is `embedded` or a transformers folder; `tune` trains it, otherwise it stays frozen.

    `views` is what the student reads of a post; with more than its text, encoders stay frozen. `image` is `embedded` or
    a CLIP's or SigLIP's folder. `layers` is what a frozen encoder's head sees: its last layer, or all of them side by side.
    """

    base: str = "embedded"
    views: tuple[View, ...] = ("text",)
    image: str = "embedded"
    tune: StrictBool = False
    layers: Literal["last", "all"] = "last"
    max_tokens: int = Field(default=64, gt=1)
    threads: int | None = None
    """Threads for torch; part of what makes two runs the same bytes."""


class PanelChoice(Record):
    """Who makes the panel's opinions where none are recorded."""

    name: str = "negotiation"
    preset: Literal["paper", "reference"] = "paper"


class LowResource(Record):
    """Everything that decides the outcome of a run; kept in `run.toml`.

    The sub-tables `rounds`, `frozen`, `tuned`, `distillation` and `shallow` hold the fields of the settings of the same name in
    the training room, which checks them.
    """

    kind: Literal["selftrain"] = "selftrain"
    task: str
    labelled: str
    pool: str | None = None
    dev: str
    opinions: str | None = None
    agents: tuple[str, ...] | None = None
    """Whose recorded opinions are heard; everybody's by default. With `heard` `first`, only their first round's."""
    seed: int = 0
    panel: PanelChoice = PanelChoice()
    encoder: EncoderChoice = EncoderChoice()
    rounds: dict[str, Any] = Field(default_factory=dict)
    frozen: dict[str, Any] = Field(default_factory=dict)
    tuned: dict[str, Any] = Field(default_factory=dict)
    distillation: dict[str, Any] | None = None
    shallow: dict[str, Any] | None = None
    """A second student with a tuned one's first layers; none by default."""
    lexical: StrictBool = False
    estimate_prior: StrictBool = False
    abstain_accuracy: float | None = Field(default=None, gt=0, le=1)
    first_look: float | None = Field(default=None, gt=0.5, lt=1)
    """The encoder is spared where the lexical tower is sure, as long as this share of dev posts keeps its label."""
    export: StrictBool = True
    title: str | None = None


PRESETS: dict[str, dict[str, Any]] = {
    "folkmoot": {
        "rounds": {
            "batch": 4000,
            "agreement": {"source": "panel", "heard": "first"},
            "loss": {"gamma": 0.0, "weighting": "pooled", "unlabelled": "pool"},
        },
        "tuned": {"batch_size": 10},
        "distillation": {"members": 1},
        "lexical": True,
        "first_look": 0.995,
    },
    "paper": {"rounds": {"batch": 500, "agreement": {"source": "both"}, "loss": {"gamma": 0.1}}},
    "reference": {
        "rounds": {
            "batch": 500,
            "agreement": {"source": "both", "rule": "reference"},
            "selection": "proportional",
            "acceptance": "ties",
            "loss": {
                "gamma": 0.1,
                "correction": "leak",
                "weighting": "halves",
                "nu_uses_complement_prior": False,
                "mean_over_present": False,
            },
        },
        "panel": {"preset": "reference"},
    },
}
"""Rules by name: what did best on dev here (docs/log.md), the paper's, and the released code's."""

LARGE_RULES: dict[str, Any] = {
    "tuned": {"batch_size": 16, "learning_rate": 5e-5, "precision": "bfloat16"},
    "distillation": {
        "members": 1,
        "encoders": [{"base": "embedded", "tuned": {"batch_size": 10, "precision": "bfloat16"}}],
    },
    "shallow": {"layers": 3, "deep_share": 0.1, "tuned": {"batch_size": 16, "dropout": 0.0, "precision": "bfloat16"}},
}
"""What the preset `folkmoot` changes where the larger embedded encoder is tuned."""


def rules_of(preset: str, *, encoder: str, tune: bool) -> dict[str, Any]:
    """The tables of a preset, for an encoder that is tuned or stays frozen.

    On dev a frozen encoder gained from more lessons, a tuned one from surer ones: `folkmoot` hears the last round for the
    one and the first for the other. It lets a frozen text encoder's head see all layers.
    """
    chosen = copy.deepcopy(PRESETS[preset])
    if preset == "folkmoot" and not tune:
        chosen["rounds"]["agreement"]["heard"] = "last"
        chosen["encoder"] = {"layers": "all"}
    elif preset == "folkmoot" and encoder == LARGE:
        chosen |= copy.deepcopy(LARGE_RULES)
    return chosen


def read_views(joined: str) -> list[str]:
    """The views of a list joined by commas.

    Raises:
        BadInput: one is not known, or stands there twice.
    """
    views = [view.strip() for view in joined.split(",")]
    for view in views:
        if view not in VIEWS:
            raise BadInput(f"view '{view}' is not known. {suggestion(view, VIEWS)}")
    if len(set(views)) < len(views):
        raise BadInput(f"views '{joined}': name each at most once")
    return views


def read_gammas(joined: str) -> list[float]:
    """The gammas of a list joined by commas.

    Raises:
        BadInput: one is no number from -1 to 1.
    """
    gammas = []
    for part in joined.split(","):
        try:
            gammas.append(float(part))
        except ValueError:
            raise BadInput(
                f"--gamma-sweep: {shown(part.strip())} is no number; give some such as '-0.1,0,0.1'"
            ) from None
        if not -1 <= gammas[-1] <= 1:
            raise BadInput(f"--gamma-sweep: {gammas[-1]:g} arrived; from -1 to 1 is accepted")
    return gammas
