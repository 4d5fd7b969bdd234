"""`folkmoot screen`: the posts that are worth a society's time."""

from pathlib import Path
from typing import Annotated

import typer


def screen(
    posts: Annotated[
        Path, typer.Option(help="The posts to choose from, with labels to be balanced unless --any-label.")
    ],
    validation: Annotated[Path, typer.Option(help="Posts like those that matter; never kept themselves.")],
    out: Annotated[Path, typer.Option(help="The kept posts; beside it OUT.why.jsonl says what became of each.")],
    keep: Annotated[int, typer.Option(min=1, help="How many to keep at most.")] = 500,
    any_label: Annotated[bool, typer.Option("--any-label", help="Don't balance the labels.")] = False,
    against: Annotated[
        list[Path] | None, typer.Option(help="A benchmark that training must not have seen; may be repeated.")
    ] = None,
    duplicate_above: Annotated[
        float, typer.Option(min=0.01, max=1, help="Cosine from which posts are the same.")
    ] = 0.95,
    leak_above: Annotated[float, typer.Option(min=0.01, max=1, help="The same for benchmarks.")] = 0.95,
    similarity_weight: Annotated[float, typer.Option(min=0, max=1, help="Its share; the rest is transport's.")] = 0.5,
    encoder: Annotated[str, typer.Option(help="`embedded` or a transformers folder.")] = "embedded",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")] = False,
) -> None:
    """Keep the posts closest to a validation set (embedding similarity and optimal transport), balanced over labels,
    without near-duplicates and without what stands in a benchmark.

    Example: `folkmoot screen --posts TRAIN.jsonl --validation V.jsonl --keep 300 --against TEST.jsonl --out P.jsonl`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.summary import in_words
    from folkmoot.recipes.screening import screen_files
    from folkmoot.supervision.screening import ScreeningSettings

    for written in (out, out.with_name(out.name + ".why.jsonl")):
        check_output(written, inputs={"--posts": posts, "--validation": validation, "--against": against or ()})
    settings = ScreeningSettings(
        keep=keep, balance=not any_label, duplicate_above=duplicate_above, leak_above=leak_above,
        similarity_weight=similarity_weight,
    )  # fmt: skip
    done = screen_files(posts, validation, out, settings, against=against or (), encoder=encoder)
    typer.echo(done.model_dump_json() if as_json else in_words(done))
