"""`folkmoot distill`: preference pairs -> a language-model student."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def distill(
    out: Annotated[Path, typer.Option(help="The run folder; the same again goes on where it stopped.")],
    task: Annotated[str | None, typer.Option(help="A shipped task or a TOML file; social_intent for a part.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Preference pairs: `folkmoot synthesize` writes them, or TRL's rows.")
    ] = None,
    part: Annotated[
        Literal["student", "router", "reasoner", "grounder"],
        typer.Option(help="A judge of its own, or a part of the reflection team, which learns from --examples."),
    ] = "student",
    examples: Annotated[
        Path | None,
        typer.Option(help="For a part: posts with a teacher's plans or rationales, or spans in clips (JSONL)."),
    ] = None,
    base: Annotated[str, typer.Option(help="`embedded`, or the folder of a transformers model.")] = "embedded",
    loss: Annotated[Literal["sft", "dpo", "orpo", "scpo"], typer.Option(help="What is minimised.")] = "scpo",
    omega: Annotated[float, typer.Option(min=0, help="How much more a post weighs that all got wrong (scpo).")] = 1.0,
    lam: Annotated[float, typer.Option("--lambda", min=0, help="Weight of the odds-ratio term (orpo, scpo).")] = 0.1,
    beta: Annotated[float, typer.Option(min=0.001, help="DPO's beta.")] = 0.1,
    after: Annotated[
        Literal["sft"] | None, typer.Option(help="Learn the chosen answers first, as is usual before DPO.")
    ] = None,
    dev: Annotated[Path | None, typer.Option(help="Labelled posts that choose the weights and calibrate.")] = None,
    dev_rows: Annotated[int | None, typer.Option(min=1, help="Score only so many of them, the first.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples of a part.")] = None,
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

    from folkmoot.cli.loop import Narrator
    from folkmoot.cli.outputs import check_output
    from folkmoot.cli.preferences import words_of
    from folkmoot.cli.summary import in_words
    from folkmoot.recipes.preference_distillation import Distillation, plan_distillation, run_distillation
    from folkmoot.records import BadInput

    read = {"--pairs": pairs, "--examples": examples, "--dev": dev, "--task": task, "--base": base}
    check_output(out, inputs=read, folder=True)
    if part != "student":
        if examples is None or pairs is not None:
            raise BadInput(f"a {part} learns from --examples, not from --pairs")
        if dry_run:
            raise BadInput("--dry-run is for a student; a part says its steps as it learns")
        settings = {
            "epochs": epochs, "batch_size": batch, "learning_rate": learning_rate, "lora_rank": lora_rank,
            "max_tokens": max_tokens, "gradient_checkpointing": checkpointing,
            "dtype": "bfloat16" if bfloat16 else "float32",
        } if part != "grounder" else {}  # fmt: skip
        distill_part(
            part, examples, dev, out, base=base, rows=rows, task=task, seed=seed, threads=threads, settings=settings,
            as_json=as_json,
        )  # fmt: skip
        return
    if pairs is None or task is None:
        raise BadInput("a student is distilled for a --task from --pairs")
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
    if result is not None:  # of several processes the main one speaks
        typer.echo(result.model_dump_json() if as_json else words_of(result))


def distill_part(part: str, examples: Path, dev: Path | None, out: Path, *, as_json: bool, **fields: Any) -> None:
    """Train a part of the reflection team and say how it does on dev."""
    from folkmoot.cli.loop import Narrator
    from folkmoot.recipes.settings import settings_of
    from folkmoot.recipes.social import PartRecipe, run_part

    given = {name: value for name, value in fields.items() if value is not None}
    named = {"part": part, "examples": str(examples), "dev": str(dev) if dev else None}
    recipe = settings_of(PartRecipe, {**named, **given}, part)
    result = run_part(recipe, out, announce=Narrator(quiet=as_json))
    if as_json:
        typer.echo(result.model_dump_json())
        return
    typer.echo(f"{result.part}   {result.folder}, taught by {result.taught}, {result.left_out} left out")
    for name, value in result.dev.items():
        typer.echo(f"dev {name} {value:.4g}")
