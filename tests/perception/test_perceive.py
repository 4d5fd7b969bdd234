"""What is seen and heard in real clips and pictures, and what becomes of broken ones."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import DATA, clip, picture, tone

from folkmoot.perception import PerceptionSettings, perceive
from folkmoot.perception.hearing import Sound, write_down
from folkmoot.perception.page import page
from folkmoot.records import BadInput, Media, Observation, Outcome

QUICK = PerceptionSettings(speech=False, faces=False, frames=2)


def look(path: Path, kind: str, tmp_path: Path, settings: PerceptionSettings = QUICK) -> tuple[Observation, ...]:
    return perceive(Media(path=str(path), type=kind), settings, cache=tmp_path / "cache")


def of(observations: tuple[Observation, ...], kind: str) -> list[Observation]:
    return [o for o in observations if o.kind == kind]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sound = np.concatenate([tone(2), np.zeros(32000), tone(2)])
    return clip(
        tmp_path_factory.mktemp("film") / "film.mp4", [("HARBOUR FAIR", 3, 1), ("SUNDAY 10 AM", 3, 2)], sound=sound
    )


def test_a_clip_is_seen_as_shots_frames_text_and_sound_each_with_its_time(film: Path, tmp_path: Path) -> None:
    seen = look(film, "video", tmp_path)
    shots = of(seen, "shot")
    assert [round(s.end_seconds) for s in shots] == [3, 6]
    assert len(of(seen, "frame")) == 2
    texts = {re.sub(r"\W", "", o.text): o for o in of(seen, "ocr")}
    assert abs(texts["HARBOURFAIR"].end_seconds - 3) <= 0.6
    assert abs(texts["SUNDAY10AM"].start_seconds - 3) <= 0.6
    box = texts["HARBOURFAIR"].box
    assert box[1] > 250, "at the bottom of the picture"
    kinds = [(o.detail["kind"], round(o.start_seconds), round(o.end_seconds)) for o in of(seen, "sound")]
    assert ("silence", 2, 4) in kinds
    assert kinds[0][0] == "music_like", "a steady tone has no syllables"
    assert of(seen, "container")[0].detail["duration"] == pytest.approx(6, abs=0.3)
    assert all(o.tool and o.media == "film.mp4" for o in seen)
    assert all(Observation.from_line(o.to_line()) == o for o in seen)


def test_the_same_file_is_looked_at_once_and_gives_the_same_bytes(film: Path, tmp_path: Path, monkeypatch) -> None:
    first = look(film, "video", tmp_path)
    monkeypatch.setattr(sys.modules["folkmoot.perception.perceive"], "_video", None)  # whoever looks again, fails
    assert look(film, "video", tmp_path) == first
    with pytest.raises(TypeError):
        look(film, "video", tmp_path, QUICK.model_copy(update={"frames": 3}))


def test_a_language_that_the_speech_model_does_not_know_is_refused() -> None:
    sound = Sound(np.zeros(16_000, dtype=np.float32), None)
    with pytest.raises(BadInput, match="--language zz: the speech model knows en"):
        write_down(sound, language="zz")
    assert write_down(sound, language="en")[0] == ()


def test_speech_is_written_down_with_the_times_of_its_words(tmp_path: Path) -> None:
    seen = look(DATA / "jfk.flac", "audio", tmp_path, PerceptionSettings())
    words = " ".join(o.text for o in of(seen, "speech")).casefold()
    assert "ask not what your country can do for you" in re.sub(r"[^a-z ]", "", words)
    spoken = of(seen, "speech")[0]
    assert spoken.detail["language"] == "en"
    times = [word[1] for o in of(seen, "speech") for word in o.detail["words"]]
    assert times == sorted(times)
    assert 0 < times[-1] < 11


def test_a_clip_with_subtitles_gives_them_with_their_times(tmp_path: Path) -> None:
    seen = look(DATA / "nasa_13013.mp4", "video", tmp_path, QUICK.model_copy(update={"ocr": False}))
    subtitles = of(seen, "subtitle")
    assert "optical and science segment" in subtitles[0].text
    assert subtitles[1].start_seconds == pytest.approx(4.26)


@pytest.mark.parametrize(
    ("name", "state", "ai"),
    [("m0001.jpg", "valid", False), ("m0006.jpg", "valid", True), ("m0007.jpg", "remote", None)],
)
def test_content_credentials_are_read_offline(name: str, state: str, ai: bool | None, tmp_path: Path) -> None:
    seen = look(DATA / name, "image", tmp_path, QUICK.model_copy(update={"ocr": False}))
    found = next(o for o in of(seen, "provenance") if o.detail["source"] == "c2pa")
    assert found.detail["state"] == state
    assert found.detail.get("ai_generated") == ai
    if state == "valid":
        assert found.detail["trusted"] is False
        assert "not on a trust list" in found.text
        assert "signingCredential.untrusted" in found.detail["codes"]
    else:
        assert found.detail["address"].startswith("https://")


def test_a_tampered_picture_has_invalid_credentials(tmp_path: Path) -> None:
    content = bytearray((DATA / "m0006.jpg").read_bytes())
    content[-5000] ^= 0xFF  # within the compressed picture
    forged = tmp_path / "forged.jpg"
    forged.write_bytes(content)
    seen = look(forged, "image", tmp_path, QUICK.model_copy(update={"ocr": False}))
    found = next(o for o in of(seen, "provenance") if o.detail["source"] == "c2pa")
    assert found.detail["state"] == "invalid"
    assert "INVALID" in found.text
    assert found.detail["trusted"] is False


def test_absence_is_said_to_say_nothing(tmp_path: Path) -> None:
    picture("QUIET").save(tmp_path / "plain.png")
    seen = look(tmp_path / "plain.png", "image", tmp_path)
    found = of(seen, "provenance")
    assert [o.detail["state"] for o in found] == ["absent"]
    assert "says nothing" in found[0].text


def test_a_generators_settings_in_png_text_are_found(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("parameters", "a harbour at dawn, steps: 20")
    picture().save(tmp_path / "made.png", pnginfo=notes)
    found = of(look(tmp_path / "made.png", "image", tmp_path), "provenance")[-1]
    assert found.detail == {"source": "encoder", "chunks": ["parameters"], "ai_generated": True}
    assert "dawn" not in found.text


def broken(tmp_path: Path, film: Path) -> dict[str, tuple[Path, str]]:
    whole = film.read_bytes()
    paths = {
        "truncated": (tmp_path / "truncated.mp4", whole[: len(whole) // 2]),
        "empty": (tmp_path / "empty.mp4", b""),
        "playlist": (tmp_path / "playlist.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "nothing": (tmp_path / "nothing.mp4", b"\x00" * 4096),
        "picture": (tmp_path / "picture.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64),
    }
    for path, content in paths.values():
        path.write_bytes(content)
    return {name: (path, "image" if name == "picture" else "video") for name, (path, _) in paths.items()}


@pytest.mark.parametrize("name", ["truncated", "empty", "playlist", "nothing", "picture"])
def test_a_broken_file_is_an_outcome_that_says_why(name: str, film: Path, tmp_path: Path) -> None:
    path, kind = broken(tmp_path, film)[name]
    seen = look(path, kind, tmp_path)
    failed = [o for o in seen if o.outcome is Outcome.MEDIA_MISSING]
    assert failed, "nothing was said"
    assert all(len(o.text) > 10 for o in failed)
    assert "passwd" not in str(seen)
    assert not of(seen, "speech") or of(seen, "speech")[0].outcome is not Outcome.LABELLED


def test_a_missing_file_and_a_wrong_hash_are_outcomes(tmp_path: Path) -> None:
    assert look(tmp_path / "gone.mp4", "video", tmp_path)[0].outcome is Outcome.MEDIA_MISSING
    picture().save(tmp_path / "a.png")
    other = perceive(Media(path=str(tmp_path / "a.png"), sha256="0" * 64), QUICK, cache=tmp_path / "cache")
    assert "SHA-256" in other[0].text


def test_a_wrong_extension_is_looked_at_as_what_it_is(tmp_path: Path) -> None:
    picture("HARBOUR").save(tmp_path / "really.mp4", format="PNG")
    seen = look(tmp_path / "really.mp4", "video", tmp_path)
    assert "image/png" in seen[0].text
    assert any("HARBOUR" in o.text for o in of(seen, "ocr"))


def test_a_clip_without_sound_says_so(tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mp4", [("", 1, 3)])
    speech = of(look(silent, "video", tmp_path), "speech")
    assert [(o.outcome, o.text) for o in speech] == [(Outcome.MEDIA_MISSING, "There is no audio track.")]


def test_a_clip_that_breaks_off_keeps_what_came_before(film: Path, tmp_path: Path) -> None:
    import av

    flat = tmp_path / "flat.mkv"
    with av.open(str(film)) as source, av.open(str(flat), "w", format="matroska") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    content = flat.read_bytes()
    flat.write_bytes(content[: int(len(content) * 0.7)])
    seen = look(flat, "video", tmp_path)
    assert any("HARBOUR" in o.text for o in of(seen, "ocr"))
    assert of(seen, "frame")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    bomb = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    frame = of(look(bomb, "image", tmp_path), "frame")[0]
    assert frame.outcome is Outcome.MEDIA_MISSING
    assert "60,000 x 60,000" in frame.text


def test_a_large_jpeg_is_decoded_smaller(tmp_path: Path) -> None:
    picture(size=(1600, 1200)).save(tmp_path / "large.jpg")
    seen = look(tmp_path / "large.jpg", "image", tmp_path, QUICK.model_copy(update={"largest_pixels": 500_000}))
    assert of(seen, "frame")[0].detail == {"width": 800, "height": 600}


def test_a_long_clip_is_watched_up_to_the_limit_and_says_what_was_left_out(film: Path, tmp_path: Path) -> None:
    seen = look(film, "video", tmp_path, QUICK.model_copy(update={"scan_seconds": 2.0}))
    assert any("Only the first 2 of 6 s" in o.text for o in of(seen, "limit"))
    assert not any("SUNDAY" in o.text for o in of(seen, "ocr"))
    assert max(o.start_seconds for o in of(seen, "frame")) > 3, "frames come from all of it"


def test_the_page_is_self_contained_and_shows_a_strangers_words_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture("HARBOUR").save(path)
    seen = (
        *look(path, "image", tmp_path),
        Observation(kind="ocr", text="<script>alert(1)</script>", start_seconds=0.0, end_seconds=1.0),
    )
    html = page(path, seen, QUICK)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "data:image/jpeg;base64," in html
    assert not re.search(r'(?:src|href)="http', html)


def test_perceive_prints_json_or_lines(tmp_path: Path, monkeypatch) -> None:
    from typer.testing import CliRunner

    from folkmoot.cli import app

    monkeypatch.setenv("FOLKMOOT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.png"
    picture("HARBOUR").save(path)
    without = ["--without", "speech", "--without", "faces"]
    printed = CliRunner().invoke(app, ["perceive", str(path), "--json", *without])
    assert printed.exit_code == 0
    assert {row["kind"] for row in json.loads(printed.output)} == {"provenance", "frame", "hash", "ocr"}
    lines = CliRunner().invoke(app, ["perceive", str(path), "--html", str(tmp_path / "a.html"), *without])
    assert "HARBOUR" in lines.output
    assert (tmp_path / "a.html").exists()
    failed = CliRunner().invoke(app, ["perceive", str(path), "--without", "sounds"])
    assert "did you mean 'sound'" in str(failed.exception)


def test_a_file_cut_off_is_told_in_words(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        whole = tmp_path / f"whole_{name}"
        picture("HARBOUR").save(whole)
        (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
        failed = [o for o in look(tmp_path / name, "image", tmp_path) if o.outcome.is_failure]
        assert failed[-1].text == "the picture cannot be decoded: the file is damaged or cut off."
        assert not [o.text for o in failed if "Error" in o.text or "Other" in o.text]


def test_perceive_exits_1_where_any_medium_could_not_be_looked_at(tmp_path: Path, monkeypatch, tell) -> None:
    monkeypatch.setenv("FOLKMOOT_CACHE", str(tmp_path / "cache"))
    without = [part for name in ("ocr", "speech", "faces") for part in ("--without", name)]
    good, zero, cut = tmp_path / "good.jpg", tmp_path / "zero.mp4", tmp_path / "cut.jpg"
    picture().save(good)
    zero.write_bytes(b"")
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    for media, code in (((good,), 0), ((zero,), 1), ((zero, good), 1), ((good, zero), 1), ((cut,), 1)):
        assert tell("perceive", *media, *without, "--json")[0] == code, media
