"""`folkmoot evaluate`: verdicts, or a judge, against gold labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from folkmoot.records import Post, Task, Verdict


def evaluate(
    gold: Annotated[Path, typer.Option(help="Posts with gold labels.")],
    verdicts: Annotated[
        Path | None, typer.Option(help="The verdicts to score: a file, or the folder of --on ray.")
    ] = None,
    judge: Annotated[str | None, typer.Option(help="A student's folder that judges the gold posts first.")] = None,
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file, to check the labels.")] = None,
    types: Annotated[
        bool, typer.Option("--types", help="Also score the types of deception, with real recall; needs --task.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="A model that rates the explanations from 1 to 5 (G-Eval).")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report, self-contained HTML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON, nothing else.")] = False,
) -> None:
    """Score verdicts. A post without a label counts as wrong; `selective` leaves such posts out.

    Example: `folkmoot evaluate --verdicts V.jsonl --gold T.jsonl --json`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.scores import say_answers, say_metrics, warn_of_missing, warn_of_strangers
    from folkmoot.evaluation import evaluate as measure
    from folkmoot.evaluation import write_report
    from folkmoot.formats import load_task, read_posts, read_verdicts
    from folkmoot.records import BadInput

    if (verdicts is None) == (judge is None):
        raise BadInput("name exactly one of --verdicts and --judge")
    if report is not None:
        read = {"--gold": gold, "--verdicts": verdicts, "--judge": judge, "--task": task}
        check_output(report, option="--report", inputs=read)
    known_task = load_task(task) if task else None
    posts = read_posts(gold, task=known_task, needs_content=False)
    labelled = [post for post in posts if post.label is not None]
    if not labelled:
        raise BadInput(f"{gold}: no post has a label, so there is nothing to score against")
    held = read_verdicts(verdicts) if verdicts else judge_now(str(judge), labelled)
    warn_of_missing(held, labelled, str(verdicts or judge))
    if labelled[0].question is not None:
        if types or report:
            raise BadInput("answers to questions have neither deceptions' types nor this report; leave both out")
        say_answers(held, labelled, as_json=as_json)
        return
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
    more = further_scores(held, labelled, known_task, types=types, model=model)
    if as_json:
        import json

        typer.echo(json.dumps({**metrics.model_dump(mode="json"), **more}))
        return
    say_metrics(metrics, more)


def further_scores(
    held: "list[Verdict]", gold: "list[Post]", task: "Task | None", *, types: bool, model: str | None
) -> dict[str, Any]:
    """What is scored only where it is asked for, or where verdicts explain themselves by anchors."""
    from folkmoot.evaluation.attribution import score_attribution
    from folkmoot.evaluation.grounding import ground
    from folkmoot.records import BadInput

    more: dict[str, Any] = {}
    if types:
        if task is None:
            raise BadInput("--types needs the task and its types: give --task")
        more["attribution"] = score_attribution(held, gold, task).model_dump(mode="json")
    if any(verdict.evidence or verdict.observations for verdict in held):
        more["grounding"] = ground(held).model_dump(mode="json")
    if model is not None:
        from folkmoot.recipes.explaining import rate_explanations

        rated = rate_explanations(held, {post.id: post for post in gold}, model)
        more["explanations"] = {name: rating.model_dump(mode="json") for name, rating in rated.items()}
    return more


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
