"""`folkmoot society`: posts and profiles -> what a society thinks of the posts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from folkmoot.recipes.society import SocietyRun


def society(
    posts: Annotated[Path, typer.Option(help="Posts: JSONL, Parquet or CSV.")],
    out: Annotated[Path, typer.Option(help="The run folder; the same again goes on where it stopped.")],
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file.")] = "misinformation",
    profiles: Annotated[str, typer.Option(help="Our JSONL, OASIS's Reddit JSON or Twitter CSV, or 'world'.")] = "world",
    users: Annotated[int, typer.Option(min=1, help="Users asked about a post.")] = 8,
    seed: Annotated[int, typer.Option(help="Seeds the draw of users and the models.")] = 0,
    epsilon: Annotated[float, typer.Option(min=1e-9, help="Weight of a user without a shared interest.")] = 0.01,
    repeats: Annotated[int, typer.Option(min=0, help="Ask each user so often again, for the persona test.")] = 0,
    plan: Annotated[Path | None, typer.Option(help="Rows with id and users (who is asked) or topics.")] = None,
    opinions: Annotated[Path | None, typer.Option(help="A recorded society's opinions, in place of calls.")] = None,
    aggregate: Annotated[
        list[str] | None,
        typer.Option(help="Count as confidence, dawid_skene or glad too; may be repeated. All by default."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="embedded, transformers:PATH, openai:NAME@URL or replay:RUN.")
    ] = "embedded",
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="USD per million completion tokens.")] = 0.0,
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="The share of posts that may fail before exit 1.")
    ] = 0.05,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many calls it takes and what they cost, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")] = False,
) -> None:
    """Let profiled users judge posts, each alone and in role. OUT/verdicts.jsonl is their vote, with every opinion.

    Example: `folkmoot society --task misinformation --posts P.jsonl --users 6 --out runs/s`
    """
    import asyncio

    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.progress import ProgressLine
    from folkmoot.cli.summary import in_words, summary_told
    from folkmoot.recipes.judging import Spending
    from folkmoot.recipes.society import HOWS, SocietyRecipe, forecast, run_society
    from folkmoot.records import BadInput
    from folkmoot.runs import Price

    for how in aggregate or ():
        if how not in HOWS:
            raise BadInput(f"--aggregate {how}: no such way of counting; accepted: {', '.join(HOWS)}")
    check_output(
        out, inputs={"--posts": posts, "--profiles": profiles, "--plan": plan, "--opinions": opinions, "--task": task},
        folder=True,
    )  # fmt: skip
    what = SocietyRecipe(
        task=task, posts=str(posts), profiles=profiles, users=users, seed=seed, epsilon=epsilon, repeats=repeats,
        model=model, plan=str(plan) if plan else None, opinions=str(opinions) if opinions else None,
        aggregate=tuple(how for how in HOWS if how == "vote" or not aggregate or how in aggregate),
    )  # fmt: skip
    price = Price(input_usd_per_million=price_in, output_usd_per_million=price_out)
    if dry_run:
        plan_ = forecast(what, price=price)
        typer.echo(plan_.model_dump_json() if as_json else in_words(plan_))
        return
    with summary_told(as_json=as_json), ProgressLine(quiet=as_json) as line:
        result = asyncio.run(
            run_society(
                what, out, price=price, spending=Spending(max_cost_usd=max_cost, max_calls=max_calls),
                max_failure_share=max_failures, on_progress=line,
            )
        )  # fmt: skip
    if as_json:
        typer.echo(result.model_dump_json())
    else:
        tell(result)


def tell(result: "SocietyRun") -> None:
    """Print what the society said and what it is worth."""
    outcomes = ", ".join(f"{count} {name}" for name, count in result.outcomes.items())
    typer.echo(f"{result.posts} posts: {outcomes}; {result.calls} calls, {result.cost_usd:.4f} USD; {result.out}")
    if result.plan:
        covered = ", ".join(f"{trait} {share:.0%}" for trait, share in result.plan.coverage.items())
        typer.echo(
            f"seats   {result.plan.seated_users} of {result.plan.bank} users; traits covered: {covered or 'unknown'}"
        )
        if result.plan.effective_users_mean is not None:
            typer.echo(f"draws   as diverse as {result.plan.effective_users_mean:.1f} equally likely users (Kish)")
    if result.profiles_without_interests:
        typer.echo(f"note    {result.profiles_without_interests} profiles name no interest: chance alone seats them")
    if result.effect:
        verdict = "COLLAPSED: profiles change nothing that chance does not" if result.effect.is_collapsed else "real"
        typer.echo(
            f"persona effect {verdict} (p {result.effect.p:.4f}, {result.effect.basis}, alpha "
            f"{result.effect.alpha if result.effect.alpha is None else round(result.effect.alpha, 3)}, "
            f"{result.effect.voices:.2f} voices a post)"
        )
    for how, score in result.scores.items():
        low, high = score["interval95"]["accuracy"]
        typer.echo(
            f"{how:<12} accuracy {score['accuracy']:.4f} (95% {low:.4f} to {high:.4f}), macro-F1 {score['macro_f1']:.4f}"
        )
