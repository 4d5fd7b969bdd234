"""`folkmoot selftrain`: a few labels, a pool and a panel -> a student and a report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Source = Literal["classifier", "panel", "both"]


def selftrain(
    task: Annotated[str, typer.Option(help="A shipped task or a task's TOML file.")],
    labelled: Annotated[Path, typer.Option(help="Posts with gold labels.")],
    dev: Annotated[Path, typer.Option(help="Posts with gold labels that choose between rounds; never trained on.")],
    out: Annotated[Path, typer.Option(help="The run folder. The same command again goes on where it stopped.")],
    pool: Annotated[Path | None, typer.Option(help="Unlabelled posts.")] = None,
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions on pool posts, in place of calls.")] = None,
    agents: Annotated[
        str | None, typer.Option(help="Whose recorded opinions are heard, joined by commas; everybody's by default.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Who speaks in the panel where no opinions are recorded.")] = None,
    panel: Annotated[str, typer.Option(help="The panel.")] = "negotiation",
    preset: Annotated[
        Literal["folkmoot", "paper", "reference"],
        typer.Option(
            help="Rules that did best on dev here, the paper's, or the released code's. Options below override."
        ),
    ] = "folkmoot",
    source: Annotated[Source | None, typer.Option(help="Whose word makes a pseudo-label.")] = None,
    heard: Annotated[Literal["last", "first"] | None, typer.Option(help="Which round's agreement counts.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pool posts a round.")] = None,
    gamma: Annotated[float | None, typer.Option(min=-1, max=1, help="Weight of the PU (> 0) or NU (< 0) part.")] = None,
    gamma_sweep: Annotated[str | None, typer.Option(help="Several gammas, such as '-0.1,0,0.1'; dev chooses.")] = None,
    prior: Annotated[float, typer.Option(min=0.01, max=0.99, help="The pool's share of positives.")] = 0.5,
    estimate_prior: Annotated[bool, typer.Option(help="Also estimate that share, for the report.")] = False,
    encoder: Annotated[str, typer.Option(help="`embedded`, `embedded-large` or a transformers folder.")] = "embedded",
    views: Annotated[
        str, typer.Option(help="What the student reads of a post, joined by commas: text, image, ocr, observations.")
    ] = "text",
    image_encoder: Annotated[
        str, typer.Option(help="`embedded` or the folder of a CLIP or SigLIP; for the view `image`.")
    ] = "embedded",
    tune_encoder: Annotated[bool, typer.Option(help="Train the encoder too.")] = False,
    layers: Annotated[
        Literal["last", "all"] | None,
        typer.Option(help="The layers that the head of a frozen text encoder sees; by the preset."),
    ] = None,
    committee: Annotated[
        int | None, typer.Option(min=0, help="Pupils that label the pool for the student; 0: none.")
    ] = None,
    lexical: Annotated[bool | None, typer.Option(help="Add the n-gram tower, and write the fast student.")] = None,
    first_look: Annotated[
        float | None,
        typer.Option(
            help="Spare the encoder where n-grams are sure, as long as this share of dev posts keeps its label; 0: never."
        ),
    ] = None,
    shallow: Annotated[
        int | None,
        typer.Option(min=0, help="Also write a student with so many of the tuned encoder's layers; 0: none."),
    ] = None,
    deep_share: Annotated[
        float | None,
        typer.Option(help="The share of posts, the most doubtful, that goes past it to the whole encoder; 0: all go."),
    ] = None,
    abstain_accuracy: Annotated[
        float | None, typer.Option(help="Abstain so that the rest is this accurate on dev.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seeds every random choice.")] = 0,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="USD per million completion tokens.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
) -> None:
    """Learn a student from a few labels, a pool of unlabelled posts and a panel.

    Example: `folkmoot selftrain --task offensive --labelled L.jsonl --pool P.jsonl --dev D.jsonl --opinions O.jsonl
    --out runs/x --tune-encoder`
    """
    from folkmoot.cli.loop import finish, run_loop
    from folkmoot.cli.outputs import check_output
    from folkmoot.recipes.low_resource import LowResource, read_gammas, read_views, rules_of
    from folkmoot.records import BadInput

    if abstain_accuracy is not None and not 0 < abstain_accuracy <= 1:
        raise BadInput(f"--abstain-accuracy {abstain_accuracy:g}: more than 0 and at most 1 is accepted")
    if first_look and not 0.5 < first_look < 1:
        raise BadInput(f"--first-look {first_look:g}: more than 0.5 and less than 1 is accepted, or 0 for none")
    if deep_share and not 0 < deep_share < 1:
        raise BadInput(f"--deep-share {deep_share:g}: more than 0 and less than 1 is accepted, or 0 for all posts")
    gammas = read_gammas(gamma_sweep) if gamma_sweep is not None else None
    read = {"--labelled": labelled, "--dev": dev, "--pool": pool, "--opinions": opinions, "--task": task}
    check_output(out, inputs=read, folder=True)
    chosen = rules_of(preset, encoder=encoder, tune=tune_encoder)
    rounds, loss, agreement = chosen["rounds"], chosen["rounds"]["loss"], chosen["rounds"]["agreement"]
    for place, field, value in (
        (rounds, "batch", batch), (agreement, "source", source), (agreement, "heard", heard), (loss, "gamma", gamma),
        (loss, "prior", prior), (chosen, "lexical", lexical), (chosen, "first_look", first_look or None),
    ):  # fmt: skip
        if value is not None:
            place[field] = value
    if first_look == 0 or (first_look is None and (views != "text" or not chosen.get("lexical"))):
        chosen.pop("first_look", None)
    by_preset = chosen.pop("encoder", {})
    if layers is None:
        layers = by_preset.get("layers", "last") if views == "text" else "last"
    if committee is not None:
        chosen["distillation"] = {**chosen.get("distillation", {}), "members": committee} if committee else None
    if shallow is not None:
        chosen["shallow"] = {**(chosen.get("shallow") or {}), "layers": shallow} if shallow else None
    if deep_share is not None:
        if not chosen.get("shallow"):
            raise BadInput("--deep-share is for a shallow student: add --shallow LAYERS, or leave it out")
        chosen["shallow"]["deep_share"] = deep_share or None
    chosen["panel"] = {**chosen.get("panel", {}), "name": panel}
    recipe = LowResource.model_validate(
        {
            "task": task,
            "labelled": str(labelled),
            "pool": str(pool) if pool else None,
            "dev": str(dev),
            "opinions": str(opinions) if opinions else None,
            "agents": [name.strip() for name in agents.split(",")] if agents else None,
            "seed": seed,
            "encoder": {
                "base": encoder,
                "tune": tune_encoder,
                "views": read_views(views),
                "image": image_encoder,
                "layers": layers,
            },
            "estimate_prior": estimate_prior,
            "abstain_accuracy": abstain_accuracy,
            **chosen,
        }
    )
    spending = {"max_cost": max_cost, "max_calls": max_calls, "price_in": price_in, "price_out": price_out}
    finish(run_loop(recipe, out, model=model, gammas=gammas, spending=spending, quiet=as_json), as_json=as_json)
