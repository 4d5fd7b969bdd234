"""`folkmoot synthesize`: a society's feedback -> weighted preference pairs."""

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    gold: Annotated[Path, typer.Option(help="The posts with their gold labels.")],
    out: Annotated[Path, typer.Option(help="The pairs, TRL's conversational rows with sc and its counts.")],
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file.")] = "misinformation",
    run: Annotated[Path | None, typer.Option(help="The run folder of `folkmoot society`.")] = None,
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions, in place of a run.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Recorded assessments, in place of the judge's calls.")] = None,
    scot: Annotated[Path | None, typer.Option(help="Recorded reasoning (and assessments), in place of calls.")] = None,
    profiles: Annotated[str | None, typer.Option(help="The users' profiles, so that they stay who they are.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="A second annotator's id, user, class, beside the judge's.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="embedded, transformers:PATH, openai:NAME@URL or replay:RUN.")
    ] = "embedded",
    partial_above: Annotated[float, typer.Option(min=0, max=1, help="How sure a partly right user must be.")] = 0.5,
    confident_partials_only: Annotated[
        bool, typer.Option("--confident-partials-only", help="N_P counts only those; all partly right users else.")
    ] = False,
    folder: Annotated[Path | None, typer.Option("--folder", help="This run's own folder; OUT.run by default.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="USD per million completion tokens.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")] = False,
) -> None:
    """Turn what a society got right and wrong into preference pairs. The same command again goes on where it stopped.

    Example: `folkmoot synthesize --run runs/s --gold P.jsonl --out pairs.jsonl`
    """
    import asyncio

    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.summary import in_words, summary_told
    from folkmoot.recipes.judging import Spending
    from folkmoot.recipes.synthesis import Synthesis, plan_synthesis
    from folkmoot.recipes.synthesis import synthesize as make
    from folkmoot.runs import Price
    from folkmoot.supervision.scot import ScotSettings

    read = {"--gold": gold, "--opinions": opinions, "--classes": classes, "--scot": scot, "--profiles": profiles,
            "--audit": audit, "--task": task}  # fmt: skip
    check_output(out, inputs=read)
    what = Synthesis(
        task=task, gold=str(gold), society=str(run) if run else None, opinions=str(opinions) if opinions else None,
        classes=str(classes) if classes else None, scot=str(scot) if scot else None, profiles=profiles, model=model,
        settings=ScotSettings(partial_above=partial_above, confident_partials_only=confident_partials_only),
    )  # fmt: skip
    if dry_run:
        plan = plan_synthesis(what)
        typer.echo(plan.model_dump_json() if as_json else in_words(plan))
        return

    def on_post(done: int, total: int) -> None:
        if not as_json and (done == total or done % 20 == 0):
            typer.echo(f"{done} of {total} posts", err=True)

    with summary_told(as_json=as_json):
        result = asyncio.run(
            make(
                what, out, folder or Path(f"{out}.run"), audit=audit, on_post=on_post,
                price=Price(input_usd_per_million=price_in, output_usd_per_million=price_out),
                spending=Spending(max_cost_usd=max_cost, max_calls=max_calls),
            )
        )  # fmt: skip
    if as_json:
        typer.echo(result.model_dump_json())
        return
    shown = result.model_dump(exclude={"skipped_posts", "audit"})
    typer.echo("  ".join(f"{name} {value}" for name, value in shown.items() if value not in (None, {}, 0, 0.0)))
    if result.audit:
        typer.echo("audit  " + in_words(result.audit))
