"""`folkmoot trace`: from one prediction of a student back to its lessons, opinions and inputs."""

import json
from pathlib import Path
from typing import Annotated

import typer


def trace(
    judge: Annotated[Path, typer.Option(help="The student's folder within its run, or the run.")],
    posts: Annotated[Path, typer.Option(help="The file that holds the post.")],
    post: Annotated[str, typer.Option("--id", help="The post's id.")],
    nearest: Annotated[int, typer.Option(min=1, help="How many of the closest lessons to name.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON.")] = False,
) -> None:
    """Name the lessons and opinions behind a student's prediction. Texts are not printed.

    Example: `folkmoot trace --judge runs/x/student --posts T.jsonl --id p1`
    """
    from folkmoot.formats import read_posts
    from folkmoot.recipes.lineage import trace_prediction
    from folkmoot.records import BadInput

    found = next((held for held in read_posts(posts) if held.id == post), None)
    if found is None:
        raise BadInput(f"{posts} has no post '{post}'")
    result = trace_prediction(judge, found, nearest=nearest)
    if as_json:
        typer.echo(result.model_dump_json())
        return
    verdict = result.verdict
    sure = f" {verdict.probability}" if verdict.probability is not None else ""
    by = f", its {result.decided_by}" if result.decided_by else ""
    typer.echo(f"{verdict.id}: {verdict.label or verdict.outcome}{sure} by {verdict.judge}{by}")
    typer.echo(f"student {result.student}\n  card {result.card}\n  run {result.run}")
    for name, value in result.inputs.items():
        typer.echo(f"  input {name}: {value}")
    typer.echo(
        f"taught by {sum(result.lessons.values())} lessons ({'hash holds' if result.lessons_hash_holds else 'CHANGED'})"
    )
    for membership, count in sorted(result.lessons.items()):
        typer.echo(f"  {count:6} {membership}")
    for pair in result.nearest_pairs:
        label = " ".join(filter(None, [pair.label, f"({pair.kind})" if pair.kind else None]))
        sc = f"sc {pair.sc:.3f}, {pair.n_correct} of {pair.n} right, {pair.n_partial} partly" if pair.n else None
        known = [pair.id, label, sc, f"likeness {pair.likeness:.2f}", f"pair {pair.pair[:12]}"]
        typer.echo(f"  {'  '.join(filter(None, known))}")
        if pair.opinions:
            typer.echo(f"      opinions {', '.join(one[:12] for one in pair.opinions)}")
    if not result.nearest:
        return
    typer.echo(f"the {len(result.nearest)} closest lessons, by shared n-grams:")
    for lesson in result.nearest:
        target = f"target {lesson.lesson.target}  " if lesson.lesson.target is not None else ""
        typer.echo(
            f"  {lesson.lesson.post}  {lesson.lesson.membership}  {target}"
            f"likeness {lesson.likeness:.2f}  lesson {lesson.lesson.hash[:12]}"
        )
        for opinion in lesson.opinions:
            calls = f"  calls {', '.join(call[:12] for call in opinion.calls)}" if opinion.calls else ""
            typer.echo(
                f"      {opinion.agent}, round {opinion.round}: {opinion.label or opinion.outcome} "
                f"({json.dumps(opinion.confidence)})  {opinion.hash[:12]}{calls}"
            )
