"""What a model sees in a frame and hears in a sound, as observations. The model comes through the room's one door."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.prompt import load_prompt
from folkmoot.models.structured import ask
from folkmoot.models.untrusted import DATA_NOTICE
from folkmoot.perception.frames import frame_pictures, jpeg
from folkmoot.perception.hearing import RATE_HZ, read_sound
from folkmoot.perception.medium import Unreadable, check, open_picture
from folkmoot.perception.settings import PerceptionSettings
from folkmoot.records import Media, Observation, Outcome

SHELF = Path(__file__).parent / "prompts"
SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=200)
SHOWN_SIDE = 768
"""Pictures are sent no larger (chosen: what vision-language models tile at)."""
HEARD_SECONDS = 60.0
"""How much of a sound is sent (chosen: two megabytes)."""


class Description(BaseModel):
    """The form of the reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    description: str


async def caption(
    medium: Media,
    observations: Sequence[Observation],
    model: ChatModel,
    settings: PerceptionSettings = PerceptionSettings(),
    *,
    language: str = "en",
) -> tuple[Observation, ...]:
    """A `caption` for the picture, or for each frame that was chosen of the video; a `sound_caption` for a sound.

    A model's failure is the observation's outcome.

    Args:
        observations: what `perceive` saw in the medium, for the times of the frames.

    Raises:
        EndpointDown, BudgetReached, StorageFailed: no further call can be made.
    """
    prompt = load_prompt("captions", "captioner", version=1, language=language, shelf=SHELF)
    system = {"role": "system", "content": prompt.text("system", data_notice=DATA_NOTICE)}
    path = Path(medium.path)

    async def described(kind: str, text: str, part: dict[str, Any], seconds: float | None) -> Observation:
        messages: list[dict[str, Any]] = [system, {"role": "user", "content": [{"type": "text", "text": text}, part]}]
        answer = await ask(model, messages, Description, sampling=SAMPLING)
        words = answer.value.description.strip() if answer.value is not None else ""
        return Observation(
            kind=kind, text=words or f"No description: {str(answer.problem).rstrip('.')}.",
            start_seconds=seconds, end_seconds=seconds,
            tool=model.name, outcome=answer.outcome, media=path.name, detail={"calls": list(answer.calls)},
        )  # fmt: skip

    try:
        kind = await asyncio.to_thread(check, medium, settings)
        if kind.startswith("audio/"):
            sound = await asyncio.to_thread(read_sound, path, kind, seconds=HEARD_SECONDS)
            part = {"type": "input_audio", "input_audio": {"data": _wav(sound.samples), "format": "wav"}}
            return (await described("sound_caption", prompt.text("sound"), part, 0.0),)
        if kind.startswith("image/"):
            picture = np.asarray(await asyncio.to_thread(open_picture, path, settings))
            shown: list[tuple[float | None, bytes]] = [(None, jpeg(picture, largest_side=SHOWN_SIDE))]
        else:
            times = [o.start_seconds for o in observations if o.kind == "frame" and o.start_seconds is not None]
            frames = await asyncio.to_thread(frame_pictures, path, kind, times)
            shown = [(frame.seconds, jpeg(frame.pixels, largest_side=SHOWN_SIDE)) for frame in frames]
    except Unreadable as error:
        return (
            Observation(
                kind="caption", text=f"{error}.", outcome=Outcome.MEDIA_MISSING, media=path.name, tool=model.name
            ),
        )
    return tuple(
        await asyncio.gather(
            *(
                described("caption", prompt.text("picture", seconds=seconds), picture_part(content), seconds)
                for seconds, content in shown
            )
        )
    )


def picture_part(content: bytes) -> dict[str, Any]:
    """A JPEG as a content part of a message."""
    encoded = base64.b64encode(content).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}}


def _wav(samples: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return base64.b64encode(buffer.getvalue()).decode("ascii")
