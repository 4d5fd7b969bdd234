"""`folkmoot adapt`: questions answered with an adapter for each, beside the controls that keep it honest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from folkmoot.recipes.test_time import AdaptationResult


def adapt(
    posts: Annotated[Path, typer.Option(help="Posts with questions.")],
    out: Annotated[Path, typer.Option(help="The run folder. The same command again goes on where it stopped.")],
    base: Annotated[str, typer.Option(help="`embedded`, or the folder of a transformers model.")] = "embedded",
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file, of questions.")] = "social_intent",
    preset: Annotated[
        Literal["default", "intentbench"],
        typer.Option(
            help="The released code's defaults (3 attempts, 7, 1e-5) or its IntentBench script's (5, 8, 3e-4)."
        ),
    ] = "default",
    attempts: Annotated[int | None, typer.Option(min=1, help="Attempts at a question.")] = None,
    suffices: Annotated[float | None, typer.Option(min=1, max=10, help="The score that ends it.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Of the adapter's steps.")] = None,
    lora_rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.")] = None,
    score: Annotated[
        Literal["greedy", "expected"] | None, typer.Option(help="The likeliest score, or the mean by likelihood.")
    ] = None,
    thought_tokens: Annotated[int | None, typer.Option(min=0, help="The most tokens of thought; 0 for none.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="No further attempt after so long a time.")] = None,
    hide_options: Annotated[
        bool, typer.Option("--hide-options", help="The reviser doesn't see the options, as in the released code.")
    ] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for torch; part of what repeats bytes.")] = None,
    seed: Annotated[int, typer.Option(help="Seeds every draw.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
) -> None:
    """Answer questions three ways: without adaptation, as the best of T samples, and adapted. Where the gold answers are
    known, says what each was worth, and apart from them the oracle, which looks at the gold.

    Example: `folkmoot adapt --posts Q.jsonl --out runs/adapt --score expected --rows 50`
    """
    from folkmoot.cli.loop import Narrator
    from folkmoot.cli.outputs import check_output
    from folkmoot.recipes.test_time import INTENTBENCH, Adaptation, run_adaptation

    check_output(out, inputs={"--posts": posts, "--base": base, "--task": task}, folder=True)
    given = {
        "attempts": attempts, "suffices": suffices, "learning_rate": learning_rate, "rank": lora_rank, "score": score,
        "thought_tokens": thought_tokens, "max_seconds": max_seconds, "options_to_reviser": False if hide_options else None,
    }  # fmt: skip
    settings = (INTENTBENCH if preset == "intentbench" else {}) | {n: v for n, v in given.items() if v is not None}
    recipe = Adaptation(
        task=task, posts=str(posts), base=base, settings=settings, rows=rows, seed=seed, threads=threads
    )
    result = run_adaptation(recipe, out, announce=Narrator(quiet=as_json))
    typer.echo(result.model_dump_json() if as_json else in_words(result))


def in_words(result: "AdaptationResult") -> str:
    """The arms a line each, the comparisons, and the oracle apart."""
    lines = [f"questions {result.questions}; verdicts of each arm in {result.folder}"]
    for arm, seconds in result.seconds.items():
        scores = result.scores.get(arm)
        said = ""
        if scores is not None:
            low, high = scores.interval95
            said = f"accuracy {scores.accuracy:.4f} (95% {low:.4f} to {high:.4f}), "
        lines.append(f"{arm:<8} {said}{seconds:.1f} s a question")
    for pair in result.comparisons:
        low, high = pair.interval95
        lines.append(
            f"{pair.first} - {pair.second}: {pair.difference:+.4f} ({low:+.4f} to {high:+.4f}), "
            f"McNemar p = {pair.mcnemar.p:.4f}"
        )
    if result.oracle:
        told = ", ".join(f"{arm} {share:.4f}" for arm, share in result.oracle.items())
        lines.append(f"oracle (looks at the gold answers; no method): {told}")
    if result.drift:
        lines.append("drift    " + ", ".join(f"{name} {value:.4g}" for name, value in result.drift.items()))
    lines.append(f"memory   {result.peak_gib:.2f} GiB at the most")
    return "\n".join(lines)
