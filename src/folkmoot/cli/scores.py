"""What `folkmoot evaluate` prints: metrics, answers to questions, and what is scored beside them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from folkmoot.evaluation import Metrics
    from folkmoot.records import Post, Verdict


def say_metrics(metrics: "Metrics", more: Mapping[str, Any]) -> None:
    """Print the metrics and the further scores, a line each."""
    typer.echo(f"n {metrics.n}")
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        low, high = metrics.interval95[name]
        typer.echo(f"{name} {getattr(metrics, name):.4f} (95% {low:.4f} to {high:.4f})")
    for name in ("roc_auc", "ece", "brier"):
        if getattr(metrics, name) is not None:
            typer.echo(f"{name} {getattr(metrics, name):.4f}")
    say_further(more)
    typer.echo("outcomes " + ", ".join(f"{count} {name}" for name, count in metrics.outcomes.items() if count))


def say_answers(held: "Sequence[Verdict]", gold: "Sequence[Post]", *, as_json: bool) -> None:
    """Print how right the answers are: pooled, by type, and as IntentBench's table where it has its columns."""
    from folkmoot.evaluation.answers import intentbench_row, score_answers

    scores = score_answers(held, gold)
    if as_json:
        typer.echo(scores.model_dump_json())
        return
    low, high = scores.interval95
    typer.echo(f"questions {scores.n}, answered {scores.answered}; those without an answer count as wrong")
    typer.echo(f"accuracy {scores.accuracy:.4f} (95% {low:.4f} to {high:.4f})")
    if scores.chance is not None:
        typer.echo(f"chance {scores.chance:.4f}")
    for name, one in scores.per_type.items():
        low, high = one.interval95
        typer.echo(f"type {name}: {one.accuracy:.4f} (95% {low:.4f} to {high:.4f}), n {one.n}")
    if any(value != "–" for name, value in intentbench_row(scores) if name != "Overall"):
        typer.echo("IntentBench " + " | ".join(f"{name} {value}" for name, value in intentbench_row(scores)))
    typer.echo("outcomes " + ", ".join(f"{count} {name}" for name, count in scores.outcomes.items()))


def say_further(more: Mapping[str, Any]) -> None:
    """Print the further scores, a line each."""
    if "attribution" in more:
        scores = more["attribution"]
        for name in ("fake_recall", "real_recall", "balanced", "mean_detected", "macro_f1_of_types", "first_named"):
            if scores[name] is not None:
                typer.echo(f"{name} {scores[name]:.4f}")
        for name, one in scores["per_type"].items():
            if one["support"]:
                typer.echo(
                    f"type {name}: detected {one['detected']:.4f}, named {one['recall']:.4f}, n {one['support']}"
                )
    if more.get("grounding", {}).get("supported") is not None:
        typer.echo(f"sentences with an anchor {more['grounding']['supported']:.4f}")
    for name, rating in more.get("explanations", {}).items():
        if rating["mean"] is not None:
            typer.echo(f"{name} {rating['mean']:.2f} of 5, {rating['rated']} rated, {rating['unrated']} not")


def warn_of_missing(verdicts: "Sequence[Verdict]", gold: "Sequence[Post]", where: str) -> None:
    """Tell how many gold posts have no verdict: they count as wrong.

    Raises:
        BadInput: none has one, so the two files belong to different posts.
    """
    from folkmoot.records import BadInput

    known = {verdict.id for verdict in verdicts}
    missing = sum(post.id not in known for post in gold)
    if gold and missing == len(gold):
        raise BadInput(f"{where}: no verdict is on any of the {len(gold)} gold posts; give verdicts on these posts")
    if missing:
        typer.echo(f"{where}: {missing} of {len(gold)} gold posts have no verdict; they count as wrong", err=True)


def warn_of_strangers(verdicts: "Sequence[Verdict]", gold: "Sequence[Post]") -> None:
    """Tell of labels that one side alone names: without a task, they count as labels like the others."""
    from folkmoot.evaluation import strangers

    meant, given = strangers(verdicts, gold)
    for labels, who in ((meant, "gold posts have and no verdict gives"), (given, "verdicts give and no gold post has")):
        if labels:
            named = ", ".join(f"'{label[:80]}'" for label in labels[:5])
            typer.echo(f"{len(labels)} of the labels {who}: {named}; they count in macro-F1. --task checks.", err=True)
