"""`folkmoot distill`: preference pairs -> a language-model student."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def distill(
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file.")],
    pairs: Annotated[Path, typer.Option(help="Preference pairs: `folkmoot synthesize` writes them, or TRL's rows.")],
    out: Annotated[Path, typer.Option(help="The run folder; the same again goes on where it stopped.")],
    base: Annotated[str, typer.Option(help="`embedded`, or the folder of a transformers model.")] = "embedded",
    loss: Annotated[Literal["sft", "dpo", "orpo", "scpo"], typer.Option(help="What is minimised.")] = "scpo",
    omega: Annotated[float, typer.Option(min=0, help="How much more a post weighs that all got wrong (scpo).")] = 1.0,
    lam: Annotated[float, typer.Option("--lambda", min=0, help="Weight of the odds-ratio term (orpo, scpo).")] = 0.1,
    beta: Annotated[float, typer.Option(min=0.001, help="DPO's beta.")] = 0.1,
    after: Annotated[Literal["sft"] | None, typer.Option(help="Learn the chosen answers first; DPO needs it.")] = None,
    dev: Annotated[Path | None, typer.Option(help="Labelled posts that choose the weights and calibrate.")] = None,
    dev_rows: Annotated[int | None, typer.Option(min=1, help="Score only so many of them, the first.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Leave out pairs with a flag, such as doubtful gold.")] = False,
    reasoning: Annotated[
        bool, typer.Option("--reasoning", help="The student reasons before it decides; slower.")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="How often each pair is seen.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Pairs a step.")] = 4,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest rate of the schedule.")] = 2e-4,
    lora_rank: Annotated[int, typer.Option(min=0, help="Rank of the adapters; 0 trains every weight.")] = 16,
    max_tokens: Annotated[int | None, typer.Option(min=2, help="Prompt and answer together; the context's.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Stop after so many looks at dev without gain.")] = None,
    dev_every: Annotated[int | None, typer.Option(min=1, help="Steps between looks at dev; an epoch's.")] = None,
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="Compute passes in bfloat16 (on a GPU).")] = False,
    checkpointing: Annotated[bool, typer.Option("--gradient-checkpointing", help="Less memory, more time.")] = False,
    two_passes: Annotated[bool, typer.Option("--two-passes", help="Read the prompt once for each answer.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for torch; part of what repeats bytes.")] = None,
    seed: Annotated[int, typer.Option(help="Seeds order, adapters and dropout.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
) -> None:
    """Teach a language model what a society's right and wrong reasoning is, weighted by how far the society erred.

    Example: `folkmoot distill --task misinformation --pairs pairs.jsonl --loss scpo --omega 1 --dev D.jsonl --out runs/y`
    """
    import shlex
    import sys

    from folkmoot.cli.judge import in_words
    from folkmoot.cli.loop import Narrator
    from folkmoot.cli.preferences import words_of
    from folkmoot.recipes.preference_distillation import Distillation, plan_distillation, run_distillation

    recipe = Distillation(
        task=task, pairs=str(pairs), dev=str(dev) if dev else None, base=base, after=after, dev_rows=dev_rows,
        mode="reasoning" if reasoning else "likelihood", clean=clean, threads=threads,
        settings={
            "loss": loss, "omega": omega, "lam": lam, "beta": beta, "epochs": epochs, "batch_size": batch,
            "learning_rate": learning_rate, "lora_rank": lora_rank, "max_tokens": max_tokens, "patience": patience,
            "dev_every": dev_every, "dtype": "bfloat16" if bfloat16 else "float32", "seed": seed,
            "gradient_checkpointing": checkpointing, "shared_prefix": not two_passes,
        },
    )  # fmt: skip
    if dry_run:
        plan = plan_distillation(recipe)
        typer.echo(plan.model_dump_json() if as_json else in_words(plan))
        return
    command = shlex.join(["folkmoot", *sys.argv[1:]])
    result = run_distillation(recipe, out, announce=Narrator(quiet=as_json), command=command)
    typer.echo(result.model_dump_json() if as_json else words_of(result))
