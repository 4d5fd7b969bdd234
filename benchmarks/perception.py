"""Perception on real clips and pictures: words heard, words read, provenance, copies found, and time.

    python benchmarks/perception.py --data DIR

- *speech*: word error rate of the embedded Whisper tiny against the known words of two clips.
- *on-screen text*: ten known lines burnt into each real clip, one every clip's tenth, in two sizes: the share found
  (four fifths of the signs right) and found at the right time (within a second). And the lines that a person reads in
  one real clip.
- *content credentials*: each sample picture's state, and a tampered copy's.
- *copies*: each sample picture re-encoded, resized, captioned above and below, and with words over it, looked up in a
  bank of all pictures; false matches are counted over every pair of different pictures.
- *time*: seconds a clip, tools loaded, nothing cached.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from folkmoot.perception import PerceptionSettings, perceive
from folkmoot.perception.hashes import HashBank, Known, pdq, picture_hashes
from folkmoot.records import Media, Observation

LINES = (
    "BREAKING NEWS TONIGHT", "Filmed on 12 March 2014", "source: harbour office", "3,500 people left", "NOT A DRILL",
    "Watch until the end", "Bridge closed again", "water level 4.2 m", "Recorded by a neighbour", "share before deleted",
)  # fmt: skip
READ_BY_A_PERSON = {
    "x3555e2g3t8": ("你们帮我看看守约在哪", "兰陵王，那么", "大个百里守约你没看到吗", "在哪？没看", "见啊！")
}


def look(path: Path, kind: str, **settings: Any) -> tuple[Observation, ...]:
    with tempfile.TemporaryDirectory() as cache:
        return perceive(Media(path=str(path), type=kind), PerceptionSettings(**settings), cache=Path(cache))


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.casefold()).split()


def word_errors(said: list[str], known: list[str]) -> float:
    """Levenshtein's distance in words over the number of known words."""
    row = list(range(len(said) + 1))
    for n, word in enumerate(known, 1):
        before, row[0] = row[0], n
        for m, other in enumerate(said, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (word != other))
    return row[-1] / len(known)


def speech(data: Path) -> None:
    for line in (data / "speech_samples" / "samples.jsonl").read_text().splitlines():
        row = json.loads(line)
        known = row["meta"]["gold"]["transcript"]
        if known is None:
            continue
        medium = row["media"][0]
        seen = look(
            data / "speech_samples" / medium["path"], medium["type"], ocr=False, faces=False, shots=False, hashes=False
        )
        said = words(" ".join(o.text for o in seen if o.kind == "speech"))
        heard = words(known)
        print(f"speech {row['id']}: word error rate {word_errors(said, heard):.3f} over {len(heard)} words")
        cut = heard[: max((n for n, w in enumerate(heard, 1) if said and w == said[-1]), default=len(heard))]
        if cut != heard:
            print(f"  up to the last word heard: {word_errors(said, cut):.3f} over {len(cut)} words")


def alike(a: str, b: str) -> bool:
    a, b = (re.sub(r"\W", "", text.casefold()) for text in (a, b))
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.8 or (len(a) >= 4 and a in b)


def burn(source: Path, target: Path, height: int) -> float:
    """The clip with each line in its tenth of the time, `height` pixels high on a picture 720 wide; its length."""
    font = ImageFont.load_default(height)
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        video = clip.streams.video[0]
        seconds = float(clip.duration / 1e6)
        scale = 720 / video.codec_context.width
        size = (720, int(video.codec_context.height * scale) // 2 * 2)
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for frame in clip.decode(video):
            picture = Image.fromarray(frame.to_ndarray(format="rgb24", width=size[0], height=size[1]))
            line = LINES[min(9, int(10 * (frame.time or 0) / seconds))]
            draw = ImageDraw.Draw(picture)
            place = (24, int(size[1] * 0.8))
            draw.text(
                place, line, font=font, fill=(255, 255, 255), stroke_width=max(1, height // 16), stroke_fill=(0, 0, 0)
            )
            shown = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            shown.pts, shown.time_base = frame.pts, frame.time_base
            for packet in stream.encode(shown):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return seconds


def on_screen(data: Path) -> None:
    clips = [
        *sorted((data / "micro_videos_zh" / "media").glob("*.mp4")),
        data / "speech_samples" / "media" / "nasa_13013.mp4",
    ]
    quiet = {"speech": False, "sound": False, "faces": False, "hashes": False, "events": False}
    for height in (24, 36):
        found = timely = total = 0
        for clip in clips:
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "burnt.mp4"
                seconds = burn(clip, target, height)
                read = [o for o in look(target, "video", **quiet) if o.kind == "ocr"]
            for n, line in enumerate(LINES):
                total += 1
                hits = [o for o in read if alike(line, o.text)]
                found += bool(hits)
                start = n * seconds / 10
                timely += any(abs((o.start_seconds or 0) - start) <= 1 for o in hits)
        print(
            f"on-screen text, {height} of 720 pixels: {found} of {total} lines found ({found / total:.3f}), {timely} within a second"
        )
    for name, lines in READ_BY_A_PERSON.items():
        read = [
            o.text
            for o in look(data / "micro_videos_zh" / "media" / f"{name}.mp4", "video", **quiet)
            if o.kind == "ocr"
        ]
        got = [line for line in lines if any(alike(line, text) for text in read)]
        print(f"on-screen text of {name}: {len(got)} of {len(lines)} lines that a person reads")


def credentials(data: Path) -> None:
    folder = data / "ai_and_c2pa_images"
    expected = {"m0001": "valid", "m0002": "absent", "m0006": "valid", "m0007": "remote", "m0009": "absent"}
    quiet = {"ocr": False, "faces": False, "hashes": False}
    right = 0
    for path in sorted((folder / "media").iterdir()):
        found = next(o for o in look(path, "image", **quiet) if o.detail.get("source") == "c2pa")
        right += found.detail["state"] == expected[path.stem]
        print(f"  {path.stem}: {found.text}")
    print(f"content credentials: {right} of {len(expected)} states right")
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("m0001", "m0006"):
            content = bytearray((folder / "media" / f"{name}.jpg").read_bytes())
            content[-5000] ^= 0xFF
            forged = Path(temporary) / f"{name}.jpg"
            forged.write_bytes(content)
            found = next(o for o in look(forged, "image", **quiet) if o.detail.get("source") == "c2pa")
            print(f"  {name} with one byte changed: {found.detail['state']}")


def copies_of(picture: Image.Image) -> dict[str, Image.Image]:
    width, height = picture.size
    font = ImageFont.load_default(max(14, height // 16))

    def encoded(quality: int) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    def captioned(above: bool, colour: tuple[int, int, int]) -> Image.Image:
        bar = height // 5
        page = Image.new("RGB", (width, height + bar), colour)
        page.paste(picture, (0, bar if above else 0))
        ink = tuple(255 - value for value in colour)
        ImageDraw.Draw(page).text(
            (10, bar // 4 if above else height + bar // 4), "This happened today!", font=font, fill=ink
        )
        return page

    words_over = picture.copy()
    ImageDraw.Draw(words_over).text(
        (width // 10, height * 3 // 4), "THIS HAPPENED TODAY", font=font, fill=(255, 255, 0)
    )
    return {
        "JPEG quality 30": encoded(30), "JPEG quality 10": encoded(10), "half size": picture.resize((max(1, width // 2), max(1, height // 2))),
        "quarter size": picture.resize((max(1, width // 4), max(1, height // 4))), "caption above, white": captioned(True, (255, 255, 255)),
        "caption below, black": captioned(False, (0, 0, 0)), "words over it": words_over,
    }  # fmt: skip


def copies(data: Path) -> None:
    paths = {
        "sample pictures": sorted((data / "ai_and_c2pa_images" / "media").iterdir()),
        "pictures of fact-checked posts": sorted((data / "mediaeval_verify" / "media").iterdir())[:120],
    }
    for name, chosen in paths.items():
        pictures = [Image.open(path).convert("RGB") for path in chosen]
        originals = [pdq(np.asarray(picture)) for picture in pictures]
        bank = HashBank(Known(str(n), hashed.hex) for n, hashed in enumerate(originals))
        near = {
            n: {m.known.id for m in bank.match_picture(picture_hashes(np.asarray(picture)))}
            for n, picture in enumerate(pictures)
        }
        print(f"copies of {len(pictures)} {name}: {sum(len(v) > 1 for v in near.values())} match another original")
        found: dict[str, list[bool]] = {}
        wrong = 0
        for n, picture in enumerate(pictures):
            for kind, copy in copies_of(picture).items():
                matches = {m.known.id for m in bank.match_picture(picture_hashes(np.asarray(copy)))}
                found.setdefault(kind, []).append(str(n) in matches)
                wrong += len(matches - near[n] - {str(n)})
        for kind, hits in found.items():
            print(f"  {kind:<22} {sum(hits)} of {len(hits)}")
        print(f"  false matches: {wrong}")


def times(data: Path) -> None:
    clips = [
        *sorted((data / "micro_videos_zh" / "media").glob("*.mp4")),
        data / "speech_samples" / "media" / "nasa_13013.mp4",
    ]
    look(clips[-1], "video")  # loads the tools
    for clip in clips:
        start = time.perf_counter()
        seen = look(clip, "video")
        length = max(o.end_seconds or 0 for o in seen)
        print(f"time: {clip.stem}, {length:.1f} s long: {time.perf_counter() - start:.1f} s, {len(seen)} observations")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("speech", "on_screen", "credentials", "copies", "times"), action="append")
    arguments = parser.parse_args()
    for part in arguments.part or ("speech", "on_screen", "credentials", "copies", "times"):
        globals()[part](arguments.data)
