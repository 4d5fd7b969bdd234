"""`folkmoot judge`: posts -> verdicts, by any judge."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from folkmoot.recipes.judges import JudgeSpec
    from folkmoot.records import Post


def judge(
    posts: Annotated[
        list[str], typer.Option(help="Posts: JSONL, Parquet or CSV. With --on ray several, or any address.")
    ],
    out: Annotated[Path, typer.Option(help="The verdicts, a line a post in the posts' order; a folder with --on ray.")],
    judge_name: Annotated[str | None, typer.Option("--judge", help="A student's folder, a run, or a panel.")] = None,
    panel: Annotated[str | None, typer.Option(help="direct, chain_of_thought, few_shot or negotiation.")] = None,
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions, in place of a panel's calls.")] = None,
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file; a student knows its own.")] = None,
    model: Annotated[
        str, typer.Option(help="embedded, transformers:PATH, openai:NAME@URL or replay:RUN.")
    ] = "embedded",
    preset: Annotated[Literal["paper", "reference"], typer.Option(help="Negotiation's rules.")] = "paper",
    classifier: Annotated[Path | None, typer.Option(help="A student whose label the negotiation sees.")] = None,
    examples: Annotated[Path | None, typer.Option(help="Labelled posts for few_shot.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; OUT.run by default.")] = None,
    on: Annotated[Literal["here", "ray"], typer.Option(help="This process, or a Ray cluster.")] = "here",
    workers: Annotated[int, typer.Option(min=1, help="Ray's actors.")] = 2,
    concurrency: Annotated[int, typer.Option(min=1, help="Posts in flight.")] = 256,
    seed: Annotated[int, typer.Option(help="The models' seed.")] = 0,
    max_cost: Annotated[float | None, typer.Option(help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float, typer.Option(help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="USD per million completion tokens.")] = 0.0,
    max_failures: Annotated[float, typer.Option(help="The share of posts that may fail before exit 1.")] = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")] = False,
) -> None:
    """Judge posts. The same command again goes on where it stopped, and pays for nothing twice.

    Example: `folkmoot judge --judge runs/x/student --posts T.jsonl --out V.jsonl`
    """
    from folkmoot.recipes.judges import JudgeSpec, find_judge
    from folkmoot.records import BadInput
    from folkmoot.runs import Price

    if sum(way is not None for way in (judge_name, panel, opinions)) != 1:
        raise BadInput("name exactly one judge: --judge, --panel or --opinions")
    spec = (
        find_judge(judge_name) if judge_name else JudgeSpec(panel=panel, opinions=str(opinions) if opinions else None)
    )
    spec = spec.model_copy(
        update={
            "task": task, "model": model, "preset": preset, "seed": seed,
            "classifier": str(classifier) if classifier else None, "examples": str(examples) if examples else None,
            "price": Price(input_usd_per_million=price_in, output_usd_per_million=price_out),
        }
    )  # fmt: skip
    if on == "ray" and (max_cost is not None or max_calls is not None):
        raise BadInput("--max-cost and --max-calls hold for one process; leave them out with --on ray")
    if on == "ray":
        summary = judge_elsewhere(spec, posts, out, workers=workers, concurrency=concurrency, max_failures=max_failures)
    else:
        limits = {"max_cost_usd": max_cost, "max_calls": max_calls}
        summary = judge_here(
            spec, posts, out, run or out.with_name(out.name + ".run"), concurrency=concurrency, limits=limits,
            max_failures=max_failures, dry_run=dry_run, quiet=as_json,
        )  # fmt: skip
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        typer.echo(
            "  ".join(f"{key} {value}" for key, value in summary.model_dump().items() if value not in (None, {}))
        )


def read_all(paths: list[str]) -> list[Post]:
    """The posts of all files."""
    from folkmoot.formats import read_posts

    return [post for path in paths for post in read_posts(Path(path))]


def judge_here(
    spec: JudgeSpec, paths: list[str], out: Path, folder: Path, *, concurrency: int, limits: dict[str, Any],
    max_failures: float, dry_run: bool, quiet: bool,
) -> Any:  # fmt: skip
    """The summary of a run in this process, or the plan of one."""
    from folkmoot.cli.progress import ProgressLine
    from folkmoot.recipes.judges import build_judge, check_opinions
    from folkmoot.runs import Budget, RunFolder, judge_posts, plan_run, write_atomically

    posts = read_all(paths)
    check_opinions(spec, {post.id for post in posts})
    if dry_run:
        return plan_run(build_judge(spec), posts, spec.price)
    inputs = {**spec.files(), **{f"posts_{number}": Path(path) for number, path in enumerate(paths)}}
    configuration = {"verb": "judge", "judge": spec.model_dump(mode="json", exclude_none=True)}
    with RunFolder.open(folder, configuration, inputs=inputs) as run:
        spent = run.ledger.totals() if spec.panel else None
        budget = Budget(**limits, spent_usd=spent.cost_usd if spent else 0.0, calls=spent.attempts if spent else 0)
        opened: list[Any] = []
        built = build_judge(spec, run=run, budget=budget, opened=opened)
        with ProgressLine(quiet=quiet) as line:
            summary = asyncio.run(
                judge_and_close(
                    opened,
                    judge_posts(
                        built, posts, log=run.verdict_log, concurrency=concurrency, on_progress=line,
                        ledger=run.ledger if spec.panel else None, max_failure_share=max_failures,
                    ),
                    lambda: write_atomically(out, b"".join(line + b"\n" for line in run.verdict_log.lines([post.id for post in posts]))),
                )
            )  # fmt: skip
    return summary


async def judge_and_close(opened: list[Any], work: Any, publish: Any) -> Any:
    """The work's result. The verdicts are published also where too many failed, and the models are closed."""
    from folkmoot.records import TooManyFailures

    try:
        summary = await work
        publish()
        return summary
    except TooManyFailures:
        publish()
        raise
    finally:
        for model in opened:
            await model.aclose()


def judge_elsewhere(
    spec: JudgeSpec, shards: list[str], out: Path, *, workers: int, concurrency: int, max_failures: float
) -> Any:
    """The summary of a run on Ray. Each shard's verdicts become a file in `out`."""
    from folkmoot.recipes.judges import build_judge
    from folkmoot.runs import judge_on_ray
    from folkmoot.runs.shards import find_shards

    found = [shard for address in shards for shard in find_shards(address)]
    return judge_on_ray(
        functools.partial(build_judge, spec), found, out, workers=workers, concurrency=concurrency,
        max_failure_share=max_failures,
    )  # fmt: skip
