"""`folkmoot compare`: judges side by side, with intervals and paired tests."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from folkmoot.records import Post, Verdict


def compare(
    gold: Annotated[Path, typer.Option(help="Posts with gold labels.")],
    verdicts: Annotated[
        list[Path], typer.Option(help="Verdicts of one judge; give two or more, the first is the reference.")
    ],
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file, to check the labels.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON, nothing else.")] = False,
) -> None:
    """Compare judges on the same posts: paired bootstrap and McNemar's test.

    Example: `folkmoot compare --gold T.jsonl --verdicts A.jsonl --verdicts B.jsonl`
    """
    from folkmoot.cli.scores import warn_of_missing
    from folkmoot.evaluation import compare_judges
    from folkmoot.formats import load_task, read_posts, read_verdicts
    from folkmoot.records import BadInput

    if len(verdicts) < 2:
        raise BadInput("comparing needs at least two files of verdicts: give --verdicts twice")
    if len({str(path) for path in verdicts}) < len(verdicts):
        raise BadInput("the same file of verdicts was given twice")
    known = load_task(task) if task else None
    posts = [post for post in read_posts(gold, task=known, needs_content=False) if post.label is not None]
    if not posts:
        raise BadInput(f"{gold}: no post has a label, so there is nothing to score against")
    stems = [path.stem for path in verdicts]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in verdicts]
    held = {name: read_verdicts(path) for name, path in zip(names, verdicts, strict=True)}
    for name, given in held.items():
        warn_of_missing(given, posts, name)
    if posts[0].question is not None:
        compare_questions(held, posts, as_json=as_json)
        return
    result = compare_judges(held, posts, task=known)
    if as_json:
        typer.echo(result.model_dump_json())
        return
    typer.echo(f"{'judge':<24} {'accuracy':>9} {'macro-F1':>9}  95% interval of macro-F1")
    for name, metrics in result.judges.items():
        low, high = metrics.interval95["macro_f1"]
        typer.echo(f"{name:<24} {metrics.accuracy:9.4f} {metrics.macro_f1:9.4f}  {low:.4f} to {high:.4f}")
    for comparison in result.comparisons:
        difference = comparison.macro_f1
        typer.echo(
            f"{comparison.first} - {comparison.second}: macro-F1 {difference.value:+.4f} "
            f"({difference.interval95[0]:+.4f} to {difference.interval95[1]:+.4f}), McNemar p = {comparison.mcnemar.p:.4f}"
        )


def compare_questions(held: "dict[str, list[Verdict]]", gold: "list[Post]", *, as_json: bool) -> None:
    """Print judges' answers side by side, each against the first."""
    from folkmoot.evaluation.answers import compare_answers, score_answers

    scores = {name: score_answers(verdicts, gold) for name, verdicts in held.items()}
    comparisons = compare_answers(held, gold)
    if as_json:
        found = {"judges": {name: one.model_dump(mode="json") for name, one in scores.items()},
                 "comparisons": [one.model_dump(mode="json") for one in comparisons]}  # fmt: skip
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{'judge':<24} {'accuracy':>9}  95% interval      answered of {len(gold)}")
    for name, one in scores.items():
        typer.echo(
            f"{name:<24} {one.accuracy:9.4f}  {one.interval95[0]:.4f} to {one.interval95[1]:.4f}  {one.answered}"
        )
    for pair in comparisons:
        typer.echo(
            f"{pair.first} - {pair.second}: accuracy {pair.difference:+.4f} "
            f"({pair.interval95[0]:+.4f} to {pair.interval95[1]:+.4f}), McNemar p = {pair.mcnemar.p:.4f}"
        )
