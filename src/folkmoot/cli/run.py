"""`folkmoot run RECIPE.toml`: a whole loop from one file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from folkmoot.recipes.social import SocialLoop


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/offensive.toml.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/NAME by default.")] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="FOLKMOOT_DATA", help="The folder of the recipe's files; ./data by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the recipe's seed.")] = None,
    model: Annotated[str | None, typer.Option(help="Who speaks in the panel where no opinions are recorded.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="USD per million completion tokens.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
) -> None:
    """Run a recipe, or go on with it where it stopped.

    Example: `folkmoot run recipes/offensive.toml --data data --out runs/offensive`
    """
    from folkmoot.cli.loop import finish, run_loop
    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.preferences import run_preferences
    from folkmoot.recipes.low_resource import LowResource
    from folkmoot.recipes.reading import read_recipe
    from folkmoot.recipes.settings import BadSettings
    from folkmoot.recipes.social import SocialLoop
    from folkmoot.records import BadInput

    if recipe.is_dir():
        raise BadInput(f"{recipe} is a folder; name a recipe's TOML file, such as recipes/offensive.toml")
    folder, place = data or Path("data"), out or Path("runs") / recipe.stem
    check_output(place, inputs={"RECIPE": recipe, "--data": data}, folder=True)
    what = read_recipe(recipe)
    try:
        if isinstance(what, SocialLoop):
            run_parts(what, place, folder, seed=seed, as_json=as_json)
        elif isinstance(what, LowResource):
            if seed is not None:
                what = what.model_copy(update={"seed": seed})
            spending = {"max_cost": max_cost, "max_calls": max_calls, "price_in": price_in, "price_out": price_out}
            trained = run_loop(what, place, model=model, spending=spending, quiet=as_json, data=folder)
            finish(trained, as_json=as_json)
        else:
            limits = {"max_cost_usd": max_cost, "max_calls": max_calls}
            prices = {"input_usd_per_million": price_in, "output_usd_per_million": price_out}
            run_preferences(what, place, folder, seed=seed, model=model, limits=limits, prices=prices, as_json=as_json)
    except BadSettings as error:
        raise BadInput(f"{recipe}, {error}") from None


def run_parts(loop: "SocialLoop", out: Path, data: Path, *, seed: int | None, as_json: bool) -> None:
    """Train the parts of a reflection team, and say where each is."""
    from folkmoot.cli.loop import Narrator
    from folkmoot.recipes.social import run_social

    if seed is not None:
        tables = {name: getattr(loop, name) for name in ("router", "reasoner", "grounder")}
        loop = loop.model_copy(update={name: {**fields, "seed": seed} for name, fields in tables.items() if fields})
    done = run_social(
        loop, out, resolve=lambda path: Path(path) if Path(path).is_absolute() else data / path,
        announce=Narrator(quiet=as_json),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in done]))
        return
    for one in done:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in one.dev.items())
        typer.echo(f"{one.part:<9} {one.folder}  taught by {one.taught}{f'; dev {scores}' if scores else ''}")
