"""`folkmoot import`: a published data set's own files -> posts and opinions."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def import_(
    layout: Annotated[
        str,
        typer.Argument(
            help="hateful_memes, mami, davidson, sentiment140, ma_vlm, wildfakebench, fakesv, fakett, fvc, mmfakebench, "
            "mfc_bench, newsclippings, verite, five_pils, mediaeval, averitec, intentbench, intent_train, daily_omni, "
            "worldsense, social_iq2, meld, mustard or mintrec."
        ),
    ],
    path: Annotated[Path, typer.Argument(help="The data set's file or folder.")],
    out: Annotated[Path, typer.Option(help="The folder that gets a JSONL file a split.")],
    option: Annotated[list[str] | None, typer.Option(help="A reader's option, such as rule=any_neither.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Import a published data set.

    Example: `folkmoot import davidson labeled_data.csv --out hsol --option rule=majority`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats import read_layout, write_opinions, write_posts
    from folkmoot.records import BadInput

    options: dict[str, Any] = {}
    for pair in option or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadInput(f"--option {pair}: give NAME=VALUE")
        options[name] = int(value) if value.isdigit() else value
    check_output(out, inputs={"PATH": path}, folder=True)
    imported = read_layout(layout, path, **options)
    if not any(imported.splits.values()):
        raise BadInput(f"{path}: layout '{layout}' finds no post there; give the data set's own file or folder")
    for name in (*(f"{split}.jsonl" for split in imported.splits), *(n for n, _ in named_opinions(imported.opinions))):
        check_output(out / name, inputs={"PATH": path})
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for split, posts in imported.splits.items():
        write_posts(posts, out / f"{split}.jsonl")
        written[f"{split}.jsonl"] = len(posts)
    for name, opinions in named_opinions(imported.opinions):
        write_opinions(opinions, out / name)
        written[name] = len(opinions)
    if as_json:
        typer.echo(json.dumps({"task": imported.task, "written": written, "notes": list(imported.notes)}, default=str))
        return
    for name, count in written.items():
        typer.echo(f"{count:8} {out / name}")
    for note in imported.notes:
        typer.echo(f"note: {note}")


def named_opinions(opinions: Any) -> list[tuple[str, Any]]:
    """A file name for each group of opinions: one, or one a classifier label that the agents were shown."""
    if not opinions:
        return []
    first = next(iter(opinions.values()))
    if isinstance(first, dict):
        return [(f"opinions_{label}.jsonl", group) for label, group in opinions.items()]
    return [("opinions.jsonl", opinions)]
