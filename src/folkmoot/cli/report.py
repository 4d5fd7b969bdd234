"""`folkmoot report`: a run, or verdicts and gold labels -> one page that a person wants to read."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path | None, typer.Option(help="A run folder; the options below replace what it holds.")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="The verdicts to report on.")] = None,
    gold: Annotated[Path | None, typer.Option(help="Posts with gold labels.")] = None,
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file.")] = None,
    out: Annotated[Path, typer.Option(help="The page, self-contained HTML.")] = Path("report.html"),
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions, for the contested posts.")] = None,
    case: Annotated[
        str | None, typer.Option(help="A post's id: the page of its verdict alone, with frames, evidence and opinions.")
    ] = None,
    posts: Annotated[Path | None, typer.Option(help="The posts, for --case; a run's own by default.")] = None,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the posts' texts, which are masked otherwise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the page's path as JSON.")] = False,
) -> None:
    """Write a report. Posts are masked until the reader asks, unless --reveal is given.

    Example: `folkmoot report --verdicts V.jsonl --gold T.jsonl --task offensive --out report.html`
    """
    import json

    from folkmoot.cli.outputs import check_output, check_own
    from folkmoot.evaluation import evaluate, write_report
    from folkmoot.formats import load_task, read_opinions, read_posts, read_verdicts
    from folkmoot.recipes.reporting import gold_posts, read_run
    from folkmoot.records import BadInput

    check_output(
        out, inputs={"--verdicts": verdicts, "--gold": gold, "--opinions": opinions, "--posts": posts, "--task": task}
    )
    if run is not None:
        check_own(out, run)
    held = read_run(run) if run else None
    known = load_task(task) if task else held.task if held else None
    if known is None:
        raise BadInput("a report needs the task's definitions: give --task")
    judged = read_verdicts(verdicts) if verdicts else held.verdicts if held else None
    if judged is None:
        raise BadInput(f"{run} holds no verdicts yet" if run else "a report needs --run, or --verdicts and --gold")
    if case is not None:
        from folkmoot.recipes.case_page import case_page, find_case
        from folkmoot.runs import write_atomically

        files = [posts] if posts else [path for path in (held.gold if held else ()) if path.exists()]
        if not files:
            raise BadInput("--case shows the post beside its verdict: give --posts")
        asked = known if known.answers == "question" else None
        found = find_case(judged, [post for path in files for post in read_posts(path, task=asked)], case)
        write_atomically(out, case_page(*found, known, masked=not reveal))
        typer.echo(json.dumps({"report": str(out)}) if as_json else f"report {out}")
        return
    if known.answers == "question":
        raise BadInput(
            "answers to questions are scored by 'folkmoot evaluate'; a page shows one of them: give --case ID"
        )
    if gold is None and held is None:
        raise BadInput("a report needs the gold labels: give --gold")
    labelled = gold_posts([gold] if gold else held.gold if held else [], known)
    source = opinions or (held.opinions if held else None)
    if source is not None and (opinions is not None or source.exists()):
        heard = read_opinions(source, task=known)
    else:
        heard = {verdict.id: verdict.opinions for verdict in judged if verdict.opinions}
    pool = held.pool if held and held.pool and held.pool.exists() else None
    own = held if held is not None and verdicts is None else None
    write_report(
        out, title=title or f"{known.name}: {judged[0].judge if judged else 'no verdicts'}", task=known,
        metrics=evaluate(judged, labelled, known), verdicts=judged, gold=labelled, opinions=heard or None,
        posts=read_posts(pool) if pool else (),
        rounds=own.rounds if own else None, comparison=own.comparison if own else None,
        cost=held.cost if held else None, provenance=held.provenance if held else None, masked=not reveal,
    )  # fmt: skip
    typer.echo(json.dumps({"report": str(out)}) if as_json else f"report {out}")
