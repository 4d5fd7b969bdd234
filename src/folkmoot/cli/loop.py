"""What `selftrain` and `run` share: the loop with progress for people, and its result."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from folkmoot.cli.summary import summary_told

if TYPE_CHECKING:
    from folkmoot.models.chat import ChatModel
    from folkmoot.recipes.low_resource import LowResource
    from folkmoot.recipes.low_resource_loop import Trained
    from folkmoot.runs import RunFolder

QUIET_SECONDS = 5.0


class Narrator:
    """Says on stderr what is going on: a line a stage and a round, and at most every five seconds a line of steps."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet, self.started, self._last = quiet, time.monotonic(), 0.0
        self._stage, self._since = "", 0.0

    def __call__(self, stage: str, done: int = 0, total: int = 0, note: str = "") -> None:
        if self.quiet:
            return
        now = time.monotonic()
        if stage == "training":
            if done == 1:
                self._since = now
            if done != total and now - self._last < QUIET_SECONDS:
                return
            left = (now - self._since) / max(done, 1) * (total - done)
            note = f"step {done} of {total}, {left:.0f} s left"
            if now - self._since < QUIET_SECONDS:
                return
        elif total:
            note = f"{done} of {total}" + (f", {note}" if note else "")
        elif stage == "round":
            note = f"{done}: {note}"
        self._last = now
        typer.echo(f"[{now - self.started:6.0f} s] {stage:<10} {note}", err=True)


def run_loop(
    recipe: LowResource,
    out: Path,
    *,
    model: str | None = None,
    gammas: Sequence[float] | None = None,
    spending: Mapping[str, Any] = {},
    quiet: bool = False,
    data: Path | None = None,
) -> Trained:
    """The finished loop; with several gammas one run each below `out`, and the best on dev."""
    from folkmoot.recipes.low_resource_loop import run_low_resource

    def resolve(path: str) -> Path:
        return data / path if data is not None and not Path(path).is_absolute() else Path(path)

    def model_for(run: RunFolder) -> ChatModel:
        from folkmoot.models.loading import load_model
        from folkmoot.runs import Budget, Price

        price = Price(
            input_usd_per_million=spending.get("price_in", 0.0), output_usd_per_million=spending.get("price_out", 0.0)
        )
        spent = run.ledger.totals()
        budget = Budget(
            spending.get("max_cost"), spending.get("max_calls"), spent_usd=spent.cost_usd, calls=spent.attempts
        )
        return load_model(str(model), ledger=run.ledger, budget=budget, price=price)

    command = shlex.join(["folkmoot", *sys.argv[1:]])

    def one(what: LowResource, folder: Path) -> Trained:
        with summary_told(as_json=quiet):
            return asyncio.run(
                run_low_resource(
                    what, folder, resolve=resolve, model_for=model_for if model else None,
                    announce=Narrator(quiet=quiet), command=command,
                )
            )  # fmt: skip

    if not gammas:
        return one(recipe, out)
    tried = []
    for gamma in gammas:
        rounds = {**recipe.rounds, "loss": {**recipe.rounds.get("loss", {}), "gamma": gamma}}
        tried.append(one(recipe.model_copy(update={"rounds": rounds}), out / f"gamma_{gamma:+g}"))
        if not quiet:
            typer.echo(f"gamma {gamma:+g}: dev macro-F1 {tried[-1].metrics['macro_f1']:.4f}", err=True)
    return max(tried, key=lambda trained: trained.metrics["macro_f1"])


def finish(trained: Trained, *, as_json: bool) -> None:
    """Print where everything is."""
    if as_json:
        typer.echo(trained.model_dump_json())
        return
    low, high = trained.metrics["interval95"]["macro_f1"]
    typer.echo(f"dev macro-F1 {trained.metrics['macro_f1']:.4f} (95% interval {low:.4f} to {high:.4f})")
    abstained, posts = trained.metrics["outcomes"].get("abstained", 0), trained.metrics["n"]
    if abstained:
        typer.echo(f"it abstains from {abstained} of {posts} dev posts; the figure counts each of them as missed")
    typer.echo(f"student  {trained.student}")
    if trained.shallow_student:
        typer.echo(f"shallow  {trained.shallow_student}")
    if trained.fast_student:
        typer.echo(f"fast     {trained.fast_student}")
    typer.echo(f"report   {trained.report}")
