"""`folkmoot export`: our records -> the files of others."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Export posts, opinions, preference pairs or a student.", no_args_is_help=True)

Source = Annotated[Path, typer.Option("--in", help="The file to read.")]
Target = Annotated[Path, typer.Option("--out", help="The file to write; its ending says the format.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")]


def say(written: dict[str, object], *, as_json: bool) -> None:
    """Print what was written."""
    typer.echo(json.dumps(written) if as_json else "  ".join(f"{key} {value}" for key, value in written.items()))


@app.command("posts")
def posts(
    source: Source,
    target: Target,
    column: Annotated[
        list[str] | None, typer.Option(help="A post's field from a column, as text=tweet; id=# numbers the rows.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write posts as JSONL, Parquet or CSV.

    Example: `folkmoot export posts --in T.jsonl --out T.parquet`
    """
    from folkmoot.cli.columns import read_columns
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats import read_posts, write_posts

    check_output(target, inputs={"--in": source})
    held = read_posts(source, columns=read_columns(column))
    write_posts(held, target)
    say({"posts": len(held), "file": str(target)}, as_json=as_json)


@app.command("opinions")
def opinions(
    target: Target,
    source: Annotated[Path | None, typer.Option("--in", help="A file of opinions.")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Verdicts, whose opinions are taken.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the opinions of a file, or of verdicts: as JSONL, Parquet, CSV or TSV, by the name; `--opinions` reads all.

    Example: `folkmoot export opinions --verdicts V.jsonl --out O.jsonl`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats import read_opinions, read_verdicts, write_opinion_table, write_opinions
    from folkmoot.records import BadInput

    if (source is None) == (verdicts is None):
        raise BadInput("name exactly one of --in and --verdicts")
    check_output(target, inputs={"--in": source, "--verdicts": verdicts})
    held = (
        read_opinions(source)
        if source
        else {verdict.id: verdict.opinions for verdict in read_verdicts(Path(str(verdicts))) if verdict.opinions}
    )
    is_lines = target.suffix in (".jsonl", ".ndjson", ".gz")
    (write_opinions if is_lines else write_opinion_table)(held, target)
    say({"posts": len(held), "opinions": sum(map(len, held.values())), "file": str(target)}, as_json=as_json)


@app.command("profiles")
def profiles(
    target: Target,
    source: Annotated[str | None, typer.Option("--in", help="A file of profiles, such as OASIS's, or 'world'.")] = None,
    specification: Annotated[
        str | None, typer.Option(help="A TOML file with the shares of each trait, or 'world': invent people.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write profiles as JSONL: those of a file, or invented ones that share out traits as a specification says.

    Example: `folkmoot export profiles --specification mine.toml --out users.jsonl`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats.profile_generator import generate_profiles, read_specification
    from folkmoot.formats.profiles import read_profiles, write_profiles
    from folkmoot.records import BadInput

    if target.suffix not in (".jsonl", ".ndjson"):
        raise BadInput(f"--out {target}: profiles are written as JSONL; name a .jsonl file")
    if (source is None) == (specification is None):
        raise BadInput("name exactly one of --in and --specification")
    check_output(target, inputs={"--in": source, "--specification": specification})
    held = read_profiles(source).profiles if source else generate_profiles(read_specification(str(specification)))
    write_profiles(held, target)
    say({"profiles": len(held), "file": str(target)}, as_json=as_json)


@app.command("pairs")
def pairs(
    source: Source,
    target: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    form: Annotated[Literal["trl", "llama_factory", "ms_swift", "hf"], typer.Option("--format")] = "trl",
    omega: Annotated[float, typer.Option(min=0, help="Weight of sc in the resampled copy.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seeds the copy.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write preference pairs for TRL, LLaMA-Factory, ms-swift or as a Hugging Face dataset, each with a copy that is
    resampled by sc, since none of them reads weights.

    Example: `folkmoot export pairs --in pairs.jsonl --format llama_factory --out lf`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats import read_pairs
    from folkmoot.formats.preference_exports import export_pairs

    check_output(target, inputs={"--in": source}, folder=True)
    written = export_pairs(read_pairs(source), target, form, omega=omega, seed=seed, images_from=source.parent)
    say({"folder": str(target), **written.model_dump()}, as_json=as_json)


@app.command("claim-review")
def claim_review(
    source: Annotated[Path, typer.Option("--verdicts", help="The verdicts.")],
    posts: Annotated[Path, typer.Option(help="The posts that they are on.")],
    target: Target,
    task: Annotated[str, typer.Option(help="A shipped task or a TOML file.")] = "micro_video",
    author: Annotated[str | None, typer.Option(help="Who stands for the reviews; without it they are drafts.")] = None,
    published: Annotated[str | None, typer.Option(help="Their date, as 2020-05-01.")] = None,
    url: Annotated[str, typer.Option(help="The page where they are to stand.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write verdicts as ClaimReview and MediaReview JSON-LD; verdicts without a label are left out.

    Example: `folkmoot export claim-review --verdicts V.jsonl --posts P.jsonl --out reviews.json`
    """
    from folkmoot.cli.outputs import check_output
    from folkmoot.formats import load_task, read_posts, read_verdicts
    from folkmoot.formats.claim_review import claim_reviews
    from folkmoot.records import BadInput
    from folkmoot.runs import write_atomically

    check_output(target, inputs={"--verdicts": source, "--posts": posts, "--task": task})
    held = {post.id: post for post in read_posts(posts)}
    verdicts = read_verdicts(source)
    if not any(verdict.id in held for verdict in verdicts):
        raise BadInput(f"{source}: no verdict is on a post of {posts}; give the posts that were judged")
    made = claim_reviews(verdicts, held, load_task(task), author=author, published=published, url=url)
    write_atomically(target, json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    say({"reviews": len(made), "file": str(target)}, as_json=as_json)


@app.command("student")
def student(
    folder: Annotated[Path, typer.Argument(help="A student's folder.")],
    form: Annotated[
        Literal["onnx", "merged", "gguf"], typer.Option("--format", help="onnx: a classifier; else: a language model.")
    ] = "onnx",
    target: Annotated[Path | None, typer.Option("--out", help="Where to write: a folder, a .gguf file.")] = None,
    dev: Annotated[Path | None, typer.Option(help="Labelled posts on which int8 must hold within 0.3 points.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a classifier as ONNX into its folder, and the shallow one within it: float32, and int8 where dev shows that it
    is as good. Write a language model merged with its adapter, or as GGUF for llama.cpp.

    Example: `folkmoot export student runs/x/student --dev D.jsonl`
    """
    if form != "onnx":
        from folkmoot.cli.outputs import check_output
        from folkmoot.training.language_export import export_language

        if target is not None:
            check_output(target, inputs={"FOLDER": folder}, folder=form == "merged")
        say(export_language(folder, target, form).model_dump(), as_json=as_json)
        return
    import numpy as np

    from folkmoot.formats import read_posts
    from folkmoot.models.tokens import encode_texts, load_tokenizer
    from folkmoot.records import BadInput, MissingExtra
    from folkmoot.students import StudentCard
    from folkmoot.students.card import SHALLOW_FOLDER

    card = StudentCard.load(folder)
    if "encoder" not in card.towers:
        say({"files": [], "note": "it runs without torch as it is"}, as_json=as_json)
        return
    try:
        from folkmoot.training.export import export_student
    except ImportError:  # its modules are torch's own
        raise MissingExtra("Exporting a student to ONNX", "train") from None
    ids = gold = None
    if dev is not None:
        held = [post for post in read_posts(dev, task=card.task) if post.label is not None]
        if not held:
            raise BadInput(f"{dev}: no post has a label, so int8 cannot be held to them; give labelled posts")
        ids = encode_texts(load_tokenizer(folder, max_tokens=card.max_tokens), [post.text for post in held])
        gold = np.array([post.label == card.task.positive for post in held])
    written = export_student(folder, dev_ids=ids, dev_gold=gold).model_dump()
    if card.second_look is not None:
        written[SHALLOW_FOLDER] = export_student(folder / SHALLOW_FOLDER, dev_ids=ids, dev_gold=gold).model_dump()
    say(written, as_json=as_json)
