"""One page for a medium: its frames, a timeline of what is heard and read, and every finding. Self-contained."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from folkmoot.perception.frames import frame_pictures, jpeg
from folkmoot.perception.medium import Unreadable, kind_of, open_picture
from folkmoot.perception.pictures import pictures_of
from folkmoot.perception.settings import PerceptionSettings
from folkmoot.records import Media, Observation, Outcome

SHOWN_SIDE = 420
LANES = (
    ("shot", "Shots"), ("ocr", "On screen"), ("subtitle", "Subtitles"), ("speech", "Speech"), ("sound", "Sound"),
    ("event", "Events"),
)  # fmt: skip
FINDINGS = ("provenance", "match", "container", "caption", "sound_caption", "limit")
FACTS = {"provenance": "Provenance", "match": "Seen before", "container": "Container", "caption": "Caption",
         "sound_caption": "Sound", "limit": "Left out"}  # fmt: skip


def page(path: Path, observations: Sequence[Observation], settings: PerceptionSettings = PerceptionSettings()) -> str:
    """The page as HTML. Nothing in it runs; what a stranger wrote is text."""
    frames = _frames(path, observations, settings)
    ends = [o.end_seconds for o in observations if o.end_seconds is not None]
    duration = max(ends, default=0.0)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clock"] = clock
    folder = resources.files("folkmoot.perception") / "templates"
    ordered = sorted(
        (o for o in observations if o.kind in dict(LANES) and o.kind not in ("shot", "sound")),
        key=lambda o: (o.start_seconds if o.start_seconds is not None else 0.0, o.kind),
    )
    return environment.from_string((folder / "perceived.html.j2").read_text("utf-8")).render(
        name=path.name,
        css=Markup((folder / "perceived.css").read_text("utf-8")),
        duration=duration,
        frames=frames,
        **timeline(observations, duration),
        findings=[
            {"title": FACTS[o.kind], "o": o, "wrong": o.detail.get("state") == "invalid" or o.outcome.is_failure}
            for o in observations
            if o.kind in FINDINGS
        ],
        missing=[o for o in observations if o.outcome is not Outcome.LABELLED and o.kind not in FINDINGS],
        said=[o for o in ordered if o.outcome is Outcome.LABELLED],
        lane_names=dict(LANES),
        tools=sorted({o.tool for o in observations if o.tool}),
    )


def clock(seconds: float | None) -> str:
    """Seconds as minutes and seconds.

    >>> clock(83.46)
    '1:23.5'
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _frames(path: Path, observations: Sequence[Observation], settings: PerceptionSettings) -> list[dict[str, Any]]:
    shown = [o for o in observations if o.kind == "frame" and o.outcome is Outcome.LABELLED]
    if not shown:
        return []
    faces = {o.start_seconds: o.detail.get("count") for o in observations if o.kind == "faces"}
    captions = {o.start_seconds: o.text for o in observations if o.kind == "caption"}
    try:
        if shown[0].start_seconds is None:
            import numpy as np

            pictures: list[tuple[float | None, Any]] = [(None, np.asarray(open_picture(path, settings)))]
        else:
            times = [o.start_seconds for o in shown if o.start_seconds is not None]
            pictures = [(f.seconds, f.pixels) for f in frame_pictures(path, str(kind_of(path)), times)]
    except Unreadable:
        return []
    return [
        {
            "seconds": seconds,
            "picture": base64.b64encode(jpeg(pixels, largest_side=SHOWN_SIDE if seconds is not None else 900)).decode(),
            "faces": faces.get(seconds),
            "caption": captions.get(seconds),
            "quality": next((o.confidence for o in shown if o.start_seconds == seconds), None),
        }
        for seconds, pixels in pictures
    ]


def shown_frames(path: Path, settings: PerceptionSettings = PerceptionSettings()) -> list[dict[str, Any]]:
    """The frames that stand for a medium, as base64 JPEG, chosen as `perceive` chooses; empty where it cannot be shown."""
    try:
        pictures = pictures_of(Media(path=str(path)), settings)
    except Unreadable:
        return []
    return [
        {"seconds": seconds, "picture": base64.b64encode(jpeg(pixels, largest_side=SHOWN_SIDE)).decode()}
        for seconds, pixels in pictures
    ]


def timeline(observations: Sequence[Observation], duration: float) -> dict[str, Any]:
    """What the templates draw: `lanes` of bars, each in per cent of the duration, and `ticks` of the clock."""
    lanes = [_lane(kind, title, observations, duration) for kind, title in LANES]
    return {"lanes": [lane for lane in lanes if lane["bars"]], "ticks": _ticks(duration)}


def _lane(kind: str, title: str, observations: Sequence[Observation], duration: float) -> dict[str, Any]:
    bars = [
        {
            "left": 100 * o.start_seconds / duration,
            "width": max(0.35, 100 * ((o.end_seconds or o.start_seconds) - o.start_seconds) / duration),
            "text": o.text,
            "when": f"{clock(o.start_seconds)} to {clock(o.end_seconds)}",
            "kind": o.detail.get("kind", kind),
        }
        for o in observations
        if o.kind == kind and o.outcome is Outcome.LABELLED and o.start_seconds is not None and duration
    ]
    rows: list[list[dict[str, Any]]] = []
    for bar in sorted(bars, key=lambda b: b["left"]):
        row = next((row for row in rows if row[-1]["left"] + row[-1]["width"] <= bar["left"] + 0.01), None)
        if row is None:
            row = []
            rows.append(row)
        row.append(bar)
    return {"kind": kind, "title": title, "bars": bars, "rows": rows[:8], "more": max(0, len(rows) - 8)}


def _ticks(duration: float) -> list[dict[str, Any]]:
    if not duration:
        return []
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600) if duration / s <= 9), 3600)
    return [
        {"left": 100 * n * step / duration, "text": clock(float(n * step))[:-2]}
        for n in range(int(duration // step) + 1)
    ]
