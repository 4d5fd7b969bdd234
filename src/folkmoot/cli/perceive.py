"""`folkmoot perceive`: a picture, a clip or a sound -> what is seen, heard and read in it."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def perceive(
    media: Annotated[list[Path], typer.Argument(help="Pictures, clips or sounds.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the observations as one JSON list.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with frames, words and findings; one medium.")] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Frames that stand for a video.")] = 8,
    frame_choice: Annotated[
        Literal["quality", "uniform"], typer.Option(help="The clearest of each segment, or evenly spaced.")
    ] = "quality",
    scan_seconds: Annotated[float, typer.Option(min=1, help="How much of a clip is watched and heard through.")] = 600,
    language: Annotated[
        str | None, typer.Option(help="The language spoken; the embedded speech model knows en alone.")
    ] = None,
    bank: Annotated[Path | None, typer.Option(help="Known PDQ hashes, CSV or JSONL, to look the media up in.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A vision (or audio) model that describes frames: openai:NAME@URL, ...")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out: ocr, speech, sound, faces, shots, provenance, hashes or events; may be repeated."
        ),
    ] = None,
) -> None:
    """Look at media and listen to them, with no call to anybody unless --model is given.

    Example: `folkmoot perceive clip.mp4 --html clip.html`
    """
    import asyncio

    from folkmoot.cli.outputs import check_output
    from folkmoot.models.loading import check_takes_media
    from folkmoot.perception import perceive as look
    from folkmoot.perception.hashes import read_bank
    from folkmoot.recipes.perceiving import described, medium_of, perception_settings
    from folkmoot.records import BadInput, Observation

    if html is not None and len(media) != 1:
        raise BadInput("--html writes the page of one medium; name one")
    if html is not None:
        check_output(html, option="--html", inputs={"MEDIA": media, "--bank": bank})
    if bank is not None:
        if not bank.is_file():
            raise BadInput(f"--bank {bank}: there is no such file; give a CSV or JSONL file of PDQ hashes")
        read_bank(bank)
    if model is not None:
        check_takes_media(model)
    settings = perception_settings(
        without or [], frames=frames, frame_choice=frame_choice, scan_seconds=scan_seconds, language=language
    )
    found: list[Observation] = []
    has_failed = False
    for medium in [medium_of(path) for path in media]:
        seen = look(medium, settings)
        told = asyncio.run(described(medium, seen, settings, model=model, bank=bank)) if model or bank else list(seen)
        # That a file carries no credentials says nothing of whether it could be looked at.
        has_failed |= all(observation.outcome.is_failure or observation.kind == "provenance" for observation in told)
        found += told
    if html is not None:
        from folkmoot.perception.page import page
        from folkmoot.runs import write_atomically

        write_atomically(html, page(media[0], found, settings))
    if as_json:
        import json

        typer.echo(json.dumps([observation.model_dump(mode="json") for observation in found], ensure_ascii=False))
    else:
        for observation in found:
            if observation.kind not in ("hash", "shot", "faces") or observation.outcome.is_failure:
                typer.echo(in_a_line(observation.model_dump(mode="json"), named=len(media) > 1))
        if html is not None:
            typer.echo(f"page: {html}")
    if has_failed:
        raise typer.Exit(1)


def in_a_line(observation: dict, named: bool) -> str:  # type: ignore[type-arg]
    """An observation as a line of the timeline."""
    from folkmoot.perception.page import clock

    start, end = observation["start_seconds"], observation["end_seconds"]
    when = clock(start) + (f"–{clock(end)}" if end is not None and end != start else "")
    sure = f"  {observation['confidence']:.0%}" if observation["confidence"] is not None else ""
    missing = "" if observation["outcome"] == "labelled" else f" [{observation['outcome']}]"
    name = f"{observation['media']}  " if named else ""
    return f"{name}{when:<15} {observation['kind']:<10}{missing} {observation['text']}{sure}"
