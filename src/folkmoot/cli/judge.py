"""`folkmoot judge`: posts -> verdicts, by any judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from folkmoot.records import Record


def judge(
    posts: Annotated[
        list[str], typer.Option(help="Posts: JSONL, Parquet or CSV; may be repeated. With --on ray, any address.")
    ],
    out: Annotated[str, typer.Option(help="The verdicts, a line a post in the posts' order; a folder with --on ray.")],
    judge_name: Annotated[
        str | None, typer.Option("--judge", help="A student's folder, a run, a panel, or a judge's recipe (TOML).")
    ] = None,
    panel: Annotated[
        str | None,
        typer.Option(
            help="direct, chain_of_thought, few_shot, negotiation, society, delphi, video_of_thought, mmd_agent, reflection."
        ),
    ] = None,
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions, in place of a panel's calls.")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="All that a student has reads every post: surer, and many times slower.")
    ] = False,
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file; a student knows its own.")] = None,
    model: Annotated[
        str | None, typer.Option(help="embedded (default), transformers:PATH, openai:NAME@URL or replay:RUN.")
    ] = None,
    preset: Annotated[
        Literal["paper", "reference", "delphi_agent"] | None,
        typer.Option(help="The rules of negotiation, delphi and reflection; the paper's by default."),
    ] = None,
    classifier: Annotated[Path | None, typer.Option(help="A student whose label the negotiation sees.")] = None,
    examples: Annotated[Path | None, typer.Option(help="Labelled posts for few_shot.")] = None,
    profiles: Annotated[str | None, typer.Option(help="The society's profiles; the shipped bank by default.")] = None,
    users: Annotated[int | None, typer.Option(min=1, help="Users that a society asks about a post; 8.")] = None,
    attempts: Annotated[int | None, typer.Option(min=1, help="Answers that reflection may try; 3.")] = None,
    suffices: Annotated[
        int | None, typer.Option(min=1, max=10, help="The reviser's score at which reflection stops; 7.")
    ] = None,
    grounder: Annotated[
        Path | None, typer.Option(help="A trained grounder's folder for reflection, in place of the model.")
    ] = None,
    router: Annotated[
        Path | None, typer.Option(help="A distilled router's folder for reflection, in place of the model.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Where evidence is: a folder or file of JSONL, text, HTML, PDF, Wikipedia XML.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Evidence from the web: wikipedia, fact-checks, searxng:URL, serper, brave; may be repeated."
        ),
    ] = None,
    search: Annotated[
        Literal["fused", "bm25", "dense"] | None, typer.Option(help="How the corpus is searched; fused.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="Only what was out before this day, as 2020-05-01.")] = None,
    allow_undated: Annotated[bool, typer.Option("--allow-undated", help="... and what has no date.")] = False,
    allowed: Annotated[list[str] | None, typer.Option(help="A domain that web evidence may come from.")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="A file that keeps what was found, to replay it offline.")
    ] = None,
    captions: Annotated[
        bool, typer.Option("--captions", help="The panel's model also describes the frames; it must take pictures.")
    ] = False,
    gate: Annotated[
        Literal["confidence", "need", "always", "never"] | None, typer.Option(help="When delphi retrieves; confidence.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="The gate's confidence; 0.6.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="What delphi (text, video, audio, evidence, refining) or reflection (events, grounding) does without."
        ),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="A post's field from a column, as text=tweet; id=# numbers the rows.")
    ] = None,
    check_media: Annotated[bool, typer.Option("--check-media", help="Refuse posts whose media are missing.")] = False,
    run: Annotated[Path | None, typer.Option(help="The run folder; OUT.run by default.")] = None,
    on: Annotated[Literal["here", "ray"], typer.Option(help="This process, or a Ray cluster.")] = "here",
    workers: Annotated[int, typer.Option(min=1, help="Ray's actors.")] = 2,
    form: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="What --on ray writes for each shard.")
    ] = "jsonl",
    concurrency: Annotated[int, typer.Option(min=1, help="Posts in flight, in each of Ray's actors.")] = 256,
    seed: Annotated[int | None, typer.Option(help="The models' seed; 0 by default.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop cleanly at so many USD.")] = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Stop cleanly after so many calls.")] = None,
    price_in: Annotated[float | None, typer.Option(min=0, help="USD per million prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="USD per million completion tokens.")] = None,
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="The share of posts that may fail before exit 1.")
    ] = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")] = False,
) -> None:
    """Judge posts. The same command again goes on where it stopped, and pays for nothing twice.

    Example: `folkmoot judge --judge runs/x/student --posts T.jsonl --out V.jsonl`
    """
    from folkmoot.cli.columns import read_columns
    from folkmoot.cli.judge_choice import chosen_judge
    from folkmoot.cli.outputs import check_output, check_verdicts
    from folkmoot.cli.progress import ProgressLine
    from folkmoot.cli.summary import in_words, summary_told
    from folkmoot.models.loading import check_takes_media
    from folkmoot.recipes.judging import PostFiles, Spending, judge_files, judge_shards, plan_files
    from folkmoot.records import BadInput

    given = {"panel": panel, "opinions": opinions, "task": task, "model": model, "preset": preset, "seed": seed,
             "classifier": classifier, "examples": examples, "profiles": profiles, "users": users,
             "attempts": attempts, "suffices": suffices, "grounder": grounder, "router": router,
             "thorough": thorough or None}  # fmt: skip
    world = {"corpus": corpus, "sources": source, "search": search, "as_of": as_of, "allowed": allowed, "gate": gate,
             "allow_undated": allow_undated or None, "snapshot": snapshot, "threshold": threshold, "without": without,
             "captions": captions or None}  # fmt: skip
    spec = chosen_judge(judge_name, given, world, price_in=price_in, price_out=price_out)
    if run is None and "://" in out:
        raise BadInput("where --out is an address, --run names the run folder on this machine")
    folder = run or Path(out.rstrip("/") + ".run")
    read = {"--posts": posts, "--judge": judge_name, "--opinions": opinions, "--examples": examples, "--task": task,
            "--profiles": profiles, "--corpus": corpus, "--snapshot": snapshot}  # fmt: skip
    check_output(out, inputs=read, folder=on == "ray")
    if on == "here":
        check_verdicts(out, folder)
    if spec.world.captions and spec.calls_model:
        check_takes_media(spec.model)
    columns = read_columns(column)
    files = PostFiles(paths=tuple(posts), columns=columns, media="check" if check_media else "ignore")
    result: Record
    with summary_told(as_json=as_json), ProgressLine(quiet=as_json) as line:
        if dry_run:
            if on == "ray":
                from folkmoot.runs.shards import find_shards

                found = [shard for address in posts for shard in find_shards(address)]
                files = files.model_copy(update={"paths": tuple(found)})
            result = plan_files(spec, files, folder)
        elif on == "ray":
            if max_cost is not None or max_calls is not None:
                raise BadInput("--max-cost and --max-calls hold for one process; leave them out with --on ray")
            result = judge_shards(
                spec, posts, out if "://" in out else str(Path(out).absolute()), folder, workers=workers,
                concurrency=concurrency, columns=columns, form=form, max_failure_share=max_failures, on_progress=line,
            )  # fmt: skip
        elif form == "parquet":
            raise BadInput("--format parquet is for --on ray; one process writes JSONL")
        else:
            result = judge_files(
                spec, files, Path(out), folder, spending=Spending(max_cost_usd=max_cost, max_calls=max_calls),
                concurrency=concurrency, max_failure_share=max_failures, on_progress=line,
            )  # fmt: skip
    typer.echo(result.model_dump_json() if as_json else in_words(result))
