"""A society's whole loop from one file: opinions, pairs, a student, its verdicts and a report.

Paper: "Thinking as Society" (SCPO), ICLR 2026.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from folkmoot.formats.assessments import read_scot
from folkmoot.formats.profiles import WORLD
from folkmoot.models.weights import base_folder
from folkmoot.recipes.announcing import Announce, say_nothing
from folkmoot.recipes.judging import Spending
from folkmoot.recipes.launched import one_process
from folkmoot.recipes.preference_distillation import (
    Distillation,
    Distilled,
    preference_settings,
    read_dev,
    run_distillation,
)
from folkmoot.recipes.settings import settings_of
from folkmoot.recipes.society import SocietyRecipe, SocietyRun, read_gathering, run_society
from folkmoot.recipes.synthesis import Synthesis, Synthesized, assessments, synthesize
from folkmoot.records import BadInput, Record
from folkmoot.runs import Price


class SocietyLoop(Record):
    """Three steps, each with a run folder of its own below the loop's: `society`, `synthesis`, `student`.

    `posts` need gold labels. `opinions` and `scot`, where given, take the place of the calls. The sub-tables hold the
    fields of `SocietyRecipe`, `ScotSettings` and `Distillation` that are not named here.
    """

    kind: Literal["society_loop"] = "society_loop"
    task: str
    posts: str
    profiles: str = WORLD
    plan: str | None = None
    opinions: str | None = None
    scot: str | None = None
    dev: str | None = None
    model: str = "embedded"
    seed: int = 0
    society: dict[str, Any] = Field(default_factory=dict)
    synthesis: dict[str, Any] = Field(default_factory=dict)
    distillation: dict[str, Any] = Field(default_factory=dict)
    title: str | None = None


class SocietyLooped(Record):
    """What the three steps left."""

    folder: str
    society: SocietyRun
    pairs: Synthesized
    student: Distilled


def run_society_loop(
    recipe: SocietyLoop,
    out: Path,
    *,
    resolve: Callable[[str], Path] = Path,
    price: Price = Price(),
    spending: Spending = Spending(),
    announce: Announce = say_nothing,
    command: str = "",
) -> SocietyLooped:
    """The loop finished in `out`, from wherever it stood; a limit on the spending holds for each of the first two steps.

    Raises:
        BadInput: a file or a setting cannot be used, told before the first step; or a launcher has started several
            processes (`folkmoot distill` alone is for those).
        FolkmootError: as the steps.
    """
    one_process("A whole society's loop")

    def place(path: str | None) -> str | None:
        return str(resolve(path)) if path is not None else None

    profiles = recipe.profiles if recipe.profiles == WORLD else str(resolve(recipe.profiles))
    posts = str(resolve(recipe.posts))
    pairs_file = out / "pairs.jsonl"
    common: dict[str, Any] = {"task": recipe.task, "model": recipe.model, "profiles": profiles}
    society = settings_of(
        SocietyRecipe,
        {**common, "posts": posts, "plan": place(recipe.plan), "seed": recipe.seed, "opinions": place(recipe.opinions),
         **recipe.society}, "society",
    )  # fmt: skip
    synthesis = settings_of(
        Synthesis,
        {**common, "gold": posts, "society": str(out / "society"), "scot": place(recipe.scot),
         "settings": recipe.synthesis}, "synthesis",
    )  # fmt: skip
    distillation = settings_of(
        Distillation,
        {"task": recipe.task, "pairs": str(pairs_file), "dev": place(recipe.dev), "title": recipe.title,
         **recipe.distillation, "settings": {"seed": recipe.seed, **recipe.distillation.get("settings", {})}},
        "distillation",
    )  # fmt: skip
    check_files(society, synthesis, distillation)
    announce("society", note="the users judge")
    heard = asyncio.run(run_society(society, out / "society", price=price, spending=spending))
    announce("synthesis", note=f"{heard.posts} posts become pairs")
    made = asyncio.run(synthesize(synthesis, pairs_file, out / "synthesis", price=price, spending=spending))
    announce("student", note=f"{made.pairs} pairs teach {distillation.base}")
    student = run_distillation(distillation, out / "student", announce=announce, command=command)
    assert student is not None  # this is the one process
    return SocietyLooped(folder=str(out), society=heard, pairs=made, student=student)


def check_files(society: SocietyRecipe, synthesis: Synthesis, distillation: Distillation) -> None:
    """Nothing, where every step can read what the recipe names and has settings that it accepts.

    Raises:
        BadInput: a file or a setting cannot be used.
        MissingExtra: the `distill` extra is not installed.
    """
    read = read_gathering(society)
    if all(post.label is None for post in read.posts):
        raise BadInput(f"{society.posts}: no post has a gold label, so no pair can be made; add 'label' to the posts")
    for path in filter(None, (synthesis.scot, synthesis.classes)):
        assessments(Path(path))
    if synthesis.scot:
        read_scot(Path(synthesis.scot))
    preference_settings(distillation, "distillation.settings")
    base_folder(distillation.base)
    read_dev(distillation, read.task, Path)
