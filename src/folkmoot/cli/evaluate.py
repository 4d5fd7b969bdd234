"""`folkmoot evaluate`: verdicts, or a judge, against gold labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from folkmoot.records import Post, Verdict


def evaluate(
    gold: Annotated[Path, typer.Option(help="Posts with gold labels.")],
    verdicts: Annotated[Path | None, typer.Option(help="The verdicts to score.")] = None,
    judge: Annotated[str | None, typer.Option(help="A student's folder that judges the gold posts first.")] = None,
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file, to check the labels.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report, self-contained HTML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON, nothing else.")] = False,
) -> None:
    """Score verdicts. A post without a label counts as wrong; `selective` leaves such posts out.

    Example: `folkmoot evaluate --verdicts V.jsonl --gold T.jsonl --json`
    """
    from folkmoot.evaluation import evaluate as measure
    from folkmoot.evaluation import write_report
    from folkmoot.formats import load_task, read_posts, read_verdicts
    from folkmoot.records import BadInput

    if (verdicts is None) == (judge is None):
        raise BadInput("name exactly one of --verdicts and --judge")
    known_task = load_task(task) if task else None
    posts = read_posts(gold, task=known_task)
    labelled = [post for post in posts if post.label is not None]
    if not labelled:
        raise BadInput(f"{gold}: no post has a label, so there is nothing to score against")
    held = read_verdicts(verdicts) if verdicts else judge_now(str(judge), labelled)
    if known_task is None:
        warn_of_strangers(held, labelled)
    metrics = measure(held, labelled, known_task)
    if report:
        from folkmoot.recipes.judges import find_judge

        shown = known_task
        if shown is None and judge:
            from folkmoot.students import StudentCard

            shown = StudentCard.load(Path(str(find_judge(judge).student))).task
        if shown is None:
            raise BadInput("a report needs the task's definitions: give --task")
        opinions = {verdict.id: verdict.opinions for verdict in held if verdict.opinions}
        write_report(
            report, title=f"{shown.name}: {held[0].judge if held else 'no verdicts'}", task=shown, metrics=metrics,
            verdicts=held, gold=labelled, opinions=opinions or None,
        )  # fmt: skip
    if as_json:
        typer.echo(metrics.model_dump_json())
        return
    interval = metrics.interval95
    typer.echo(f"n {metrics.n}")
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        low, high = interval[name]
        typer.echo(f"{name} {getattr(metrics, name):.4f} (95% {low:.4f} to {high:.4f})")
    for name in ("roc_auc", "ece", "brier"):
        if getattr(metrics, name) is not None:
            typer.echo(f"{name} {getattr(metrics, name):.4f}")
    typer.echo("outcomes " + ", ".join(f"{count} {name}" for name, count in metrics.outcomes.items() if count))


def warn_of_strangers(verdicts: "list[Verdict]", gold: "list[Post]") -> None:
    """Tell of labels that one side alone names: without a task, they count as labels like the others."""
    from folkmoot.evaluation import strangers

    meant, given = strangers(verdicts, gold)
    for labels, who in ((meant, "gold posts have and no verdict gives"), (given, "verdicts give and no gold post has")):
        if labels:
            named = ", ".join(f"'{label[:80]}'" for label in labels[:5])
            typer.echo(f"{len(labels)} of the labels {who}: {named}; they count in macro-F1. --task checks.", err=True)


def judge_now(name: str, posts: "list[Post]") -> "list[Verdict]":
    """A judge's verdicts on posts, without a run folder: for judges that cost nothing."""
    import asyncio
    import tempfile

    from folkmoot.recipes.judges import build_judge, find_judge
    from folkmoot.records import BadInput
    from folkmoot.runs import VerdictLog, judge_posts

    spec = find_judge(name)
    if not spec.student:
        raise BadInput("--judge takes a student here; run a panel with 'folkmoot judge' and give its --verdicts")
    with tempfile.TemporaryDirectory() as scratch, VerdictLog(Path(scratch) / "verdicts.jsonl") as log:
        built: Any = build_judge(spec)
        asyncio.run(judge_posts(built, posts, log=log, concurrency=512))
        held = log.verdicts()
    return [held[post.id] for post in posts]
