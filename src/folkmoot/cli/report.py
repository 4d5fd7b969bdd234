"""`folkmoot report`: verdicts and gold labels -> one page that a person wants to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    verdicts: Annotated[Path, typer.Option(help="The verdicts to report on.")],
    gold: Annotated[Path, typer.Option(help="Posts with gold labels.")],
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file.")],
    out: Annotated[Path, typer.Option(help="The page, self-contained HTML.")] = Path("report.html"),
    opinions: Annotated[Path | None, typer.Option(help="Recorded opinions, for the contested posts.")] = None,
    run: Annotated[Path | None, typer.Option(help="A run folder, for its cost and provenance.")] = None,
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

    from folkmoot.evaluation import evaluate, write_report
    from folkmoot.formats import load_task, read_opinions, read_posts, read_verdicts
    from folkmoot.recipes.low_resource import flat
    from folkmoot.runs import RunFolder

    known = load_task(task)
    posts = [post for post in read_posts(gold, task=known) if post.label is not None]
    held = read_verdicts(verdicts)
    heard = read_opinions(opinions, task=known) if opinions else {v.id: v.opinions for v in held if v.opinions}
    cost = provenance = None
    if run:
        folder = RunFolder.read(run)
        cost = folder.ledger.totals().model_dump() if folder.file("ledger.sqlite").exists() else None
        provenance = flat(folder.manifest)
    write_report(
        out, title=title or f"{known.name}: {held[0].judge if held else 'no verdicts'}", task=known,
        metrics=evaluate(held, posts, known), verdicts=held, gold=posts, opinions=heard or None, cost=cost,
        provenance=provenance, masked=not reveal,
    )  # fmt: skip
    typer.echo(json.dumps({"report": str(out)}) if as_json else f"report {out}")
