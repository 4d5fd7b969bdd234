"""What `run` does with a recipe whose student is a language model."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from folkmoot.recipes.preference_distillation import Distillation, Distilled
    from folkmoot.recipes.society_loop import SocietyLoop


def run_preferences(
    recipe: SocietyLoop | Distillation,
    out: Path,
    data: Path,
    *,
    seed: int | None,
    model: str | None,
    limits: Mapping[str, float | int | None],
    prices: Mapping[str, float],
    as_json: bool,
) -> None:
    """Run the recipe, or go on with it, and print what came of it."""
    from folkmoot.cli.loop import Narrator
    from folkmoot.cli.society import tell
    from folkmoot.cli.summary import summary_told
    from folkmoot.recipes.judging import Spending
    from folkmoot.recipes.preference_distillation import Distillation, run_distillation
    from folkmoot.recipes.society_loop import run_society_loop
    from folkmoot.runs import Price

    def resolve(path: str) -> Path:
        return Path(path) if Path(path).is_absolute() else data / path

    announce = Narrator(quiet=as_json)
    command = shlex.join(["folkmoot", *sys.argv[1:]])
    if isinstance(recipe, Distillation):
        if seed is not None:
            recipe = recipe.model_copy(update={"settings": {**recipe.settings, "seed": seed}})
        student = run_distillation(recipe, out, resolve=resolve, announce=announce, command=command)
        if student is not None:  # of several processes the main one speaks
            typer.echo(student.model_dump_json() if as_json else words_of(student))
        return
    changes = {name: value for name, value in (("seed", seed), ("model", model)) if value is not None}
    with summary_told(as_json=as_json):
        done = run_society_loop(
            recipe.model_copy(update=changes), out, resolve=resolve, announce=announce, command=command,
            price=Price.model_validate(prices), spending=Spending.model_validate(limits),
        )  # fmt: skip
    if as_json:
        typer.echo(done.model_dump_json())
        return
    tell(done.society)
    typer.echo(f"pairs    {done.pairs.out} ({done.pairs.pairs})")
    typer.echo(words_of(done.student))


def words_of(student: Distilled) -> str:
    """Where the student is, and how it does on dev."""
    lines = []
    if student.metrics:
        low, high = student.metrics["interval95"]["accuracy"]
        lines.append(f"dev accuracy {student.metrics['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f})")
        lines.append(f"report   {student.report}")
    return "\n".join([*lines, f"student  {student.student}"])
