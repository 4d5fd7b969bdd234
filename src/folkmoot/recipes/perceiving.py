"""What the verbs that look at media share: which media, which settings, and what a bank and a model add."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from folkmoot.formats.fields import did_you_mean
from folkmoot.models.loading import load_model
from folkmoot.perception import PerceptionSettings
from folkmoot.perception.captions import caption
from folkmoot.perception.hashes import read_bank
from folkmoot.perception.matching import seen_before
from folkmoot.perception.medium import kind_of
from folkmoot.records import BadInput, Media, Observation, Post

PARTS = ("ocr", "speech", "sound", "faces", "shots", "provenance", "hashes", "events")


def medium_of(path: Path) -> Media:
    """The file as a medium, of the type that its first bytes show; an unknown one counts as a video.

    Raises:
        BadInput: there is no such file.
    """
    if not path.is_file():
        raise BadInput(f"{path} is no file; name a picture, a clip or a sound")
    kind = (kind_of(path) or "video/unknown").split("/")[0]
    return Media(path=str(path.absolute()), type=kind)  # type: ignore[arg-type]


def perception_settings(without: Sequence[str], **values: Any) -> PerceptionSettings:
    """The settings with some parts left out.

    Raises:
        BadInput: there is no such part.
    """
    for part in without:
        if part not in PARTS:
            raise BadInput(
                f"no part '{part}' to leave out{did_you_mean(part, list(PARTS))}; there are {', '.join(PARTS)}"
            )
    chosen: dict[str, Any] = {**values, **dict.fromkeys(without, False)}
    return PerceptionSettings(**chosen)


async def described(
    medium: Media,
    seen: Sequence[Observation],
    settings: PerceptionSettings,
    *,
    model: str | None = None,
    bank: Path | None = None,
) -> list[Observation]:
    """The observations with what a hash bank knows of the medium and what a model sees in it."""
    found = list(seen)
    if bank is not None:
        found += seen_before(Post(id="-", media=(medium,)), seen, read_bank(bank))
    if model is not None:
        chat = load_model(model)
        try:
            found += await caption(medium, seen, chat, settings)
        finally:
            await chat.aclose()
    return found
