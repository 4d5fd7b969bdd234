"""The measures of perception on pictures and sounds whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from clips import picture, tone
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.models.chat import Completion
from folkmoot.models.scripted import ScriptedModel
from folkmoot.perception import PerceptionSettings, perceive
from folkmoot.perception.captions import caption
from folkmoot.perception.events import flashing_text, loud_moments, motion_bursts, short_shots
from folkmoot.perception.frames import Frame, candidate_seconds, frame_quality
from folkmoot.perception.hashes import (
    HashBank,
    Known,
    PerceptualHash,
    differing_bits,
    insides,
    pdq,
    picture_hashes,
    read_bank,
)  # fmt: skip
from folkmoot.perception.hearing import loudness, stretches
from folkmoot.perception.matching import bank_of, seen_before
from folkmoot.perception.reading import Line, OnScreen, merge
from folkmoot.perception.scan import Shot
from folkmoot.records import BadRecord, CallFailed, Media, Outcome, Post


def test_quality_is_the_weighted_sum_of_sharpness_contrast_and_entropy() -> None:
    flat = np.full((32, 32), 128, dtype=np.uint8)
    assert frame_quality(flat) == 0
    halves = np.zeros((32, 32), dtype=np.uint8)
    halves[:, 16:] = 255
    # contrast: the standard deviation is 127.5, full marks; entropy: one bit of eight; the edge's Laplacian is +-255 in
    # two of 30 inner columns, so its variance is 255^2 * 2/30 = 4335 > 1000, full marks.
    assert frame_quality(halves) == pytest.approx(0.4 + 0.3 + 0.3 / 8)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert frame_quality(halves) < frame_quality(noise) <= 1


def test_candidates_are_spread_as_the_reference_has_them() -> None:
    groups = candidate_seconds(16.1, frames=8, choice="quality")
    times = [t for group in groups for t in group]
    assert len(groups) == 8
    assert len(times) == 16
    assert times[0] == pytest.approx(0.1)
    assert times[-1] == pytest.approx(16.0)
    assert candidate_seconds(8, frames=4, choice="uniform") == ((1.0,), (3.0,), (5.0,), (7.0,))


@given(st.floats(0.05, 1e5), st.integers(1, 64))
def test_candidates_lie_within_the_clip(duration: float, frames: int) -> None:
    for choice in ("quality", "uniform"):
        assert all(
            0 <= t <= duration for group in candidate_seconds(duration, frames=frames, choice=choice) for t in group
        )


def frame(seconds: float) -> Frame:
    return Frame(seconds, np.zeros((2, 2, 3), dtype=np.uint8), 0.0)


def test_readings_become_subtitles_with_spans() -> None:
    bottom, top = (0.0, 90.0, 100.0, 99.0), (0.0, 0.0, 100.0, 9.0)
    texts = merge(
        [
            (frame(0), (Line("HELLO WORLD", bottom, 0.8),)),
            (frame(1), (Line("HELLO WORLO", bottom, 0.7), Line("NEWS", top, 0.9))),
            (frame(2), (Line("GOODBYE", bottom, 0.9), Line("NEWS", top, 0.9))),
        ],
        end_seconds=3,
    )
    assert [(t.text, t.start_seconds, t.end_seconds, t.readings) for t in texts] == [
        ("HELLO WORLD", 0, 2, 2), ("NEWS", 1, 3, 2), ("GOODBYE", 2, 3, 1),
    ]  # fmt: skip


def test_silence_speech_and_loudness_of_known_sounds() -> None:
    assert loudness(np.zeros(100, dtype=np.float32)) == -120
    assert loudness(tone(1, level=1.0).astype(np.float32)) == pytest.approx(-3.01, abs=0.01)
    random = np.random.default_rng(0)
    syllables = np.concatenate([np.concatenate([random.normal(0, 0.2, 2400), np.zeros(1600)]) for _ in range(16)])
    found = stretches(np.concatenate([tone(4), np.zeros(32000), syllables]).astype(np.float32))
    assert [s.kind for s in found if s.end_seconds - s.start_seconds >= 1.5] == ["music_like", "silence", "speech_like"]


def test_events_are_few_and_rare() -> None:
    times = [n / 2 for n in range(40)]
    motion = [2.0] * 40
    motion[20] = 60.0
    [burst] = motion_bursts(times, motion, [Shot(0, 20)])
    assert burst.end_seconds == 10.0
    assert motion_bursts(times, motion, [Shot(0, 9.8), Shot(9.8, 20)]) == [], "a cut is no event"
    assert motion_bursts(times, [30.0] * 40, []) == [], "what always moves is not rare"
    loud = np.concatenate([tone(5, level=0.01), tone(0.5, level=0.9), tone(5, level=0.01)]).astype(np.float32)
    [bang] = loud_moments(loud)
    assert bang.start_seconds == 5.0
    flash = OnScreen("SALE ENDS", 3.0, 3.5, (0, 0, 9, 9), 0.95, 1)
    assert [e.text for e in flashing_text([flash, flash._replace(end_seconds=9.0)])] == ["Text flashes by: SALE ENDS"]
    assert len(short_shots([Shot(0, 4), Shot(4, 4.3), Shot(4.3, 9), Shot(9, 14)])) == 1
    assert short_shots([Shot(0, 0.4), Shot(0.4, 0.8), Shot(0.8, 1.2)]) == []


def test_a_copy_is_found_and_another_picture_is_not(tmp_path: Path) -> None:
    from PIL import Image

    originals = [picture(seed=n, size=(640, 480)) for n in range(6)]
    bank = HashBank(Known(str(n), pdq(np.asarray(image)).hex) for n, image in enumerate(originals))
    for n, image in enumerate(originals):
        image.save(tmp_path / "copy.jpg", quality=40)
        small = image.resize((200, 150))
        captioned = Image.new("RGB", (640, 620), (255, 255, 255))
        captioned.paste(image, (0, 140))
        for copy in (Image.open(tmp_path / "copy.jpg"), small, captioned):
            matches = bank.match_picture(picture_hashes(np.asarray(copy.convert("RGB"))))
            assert [match.known.id for match in matches] == [str(n)]
    stranger = picture(seed=99, size=(640, 480))
    assert bank.match_picture(picture_hashes(np.asarray(stranger))) == ()


def test_a_plain_picture_has_no_bars_and_a_flat_hash_matches_nothing() -> None:
    pixels = np.asarray(picture(seed=3))
    assert insides(pixels) == []
    grey = np.full((300, 300, 3), 128, dtype=np.uint8)
    bank = HashBank([Known("a", pdq(grey).hex)])
    assert bank.match_picture([pdq(grey)]) == (), "its quality is too low to tell it from another"


def test_a_video_matches_by_the_share_of_its_frames() -> None:
    frames = [pdq(np.asarray(picture(seed=n))) for n in range(10)]
    bank = HashBank(Known("film", hashed.hex) for hashed in frames)
    others = [pdq(np.asarray(picture(seed=100 + n))) for n in range(3)]
    [match] = bank.match_video([*frames[:8], *others[:2]])
    assert (match.known.id, match.share) == ("film", 0.8)
    assert bank.match_video([*frames[:7], *others]) == ()


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_bits_differ_alike_from_both_sides(a: bytes, b: bytes) -> None:
    assert differing_bits(a.hex(), b.hex()) == differing_bits(b.hex(), a.hex()) <= 256
    assert differing_bits(a.hex(), a.hex()) == 0


def test_banks_are_read_from_csv_jsonl_and_plain_lists(tmp_path: Path) -> None:
    digits = "ab" * 32
    (tmp_path / "a.csv").write_text(f"hash,id,note\n{digits},x1,seen in 2014\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"pdq": digits}) + "\n")
    (tmp_path / "c.csv").write_text(digits + "\n")
    assert read_bank(tmp_path / "a.csv").known == (Known("x1", digits, "seen in 2014"),)
    assert read_bank(tmp_path / "b.jsonl").known[0].id == "b.jsonl:1"
    assert read_bank(tmp_path / "c.csv").known[0].hex == digits
    (tmp_path / "d.csv").write_text("hash,id\nxyz,1\n")
    with pytest.raises(BadRecord, match=r"d\.csv, line 2, field 'hash'"):
        read_bank(tmp_path / "d.csv")


def test_the_same_picture_under_other_words_is_a_match_that_says_so(tmp_path: Path) -> None:
    settings = PerceptionSettings(speech=False, faces=False, ocr=False)
    posts, perceived = [], {}
    for name, text, seed in (("old", "The fair of 2014", 1), ("new", "The fair of today", 1), ("other", "x", 2)):
        picture(seed=seed).save(tmp_path / f"{name}.png")
        post = Post(id=name, text=text, media=(Media(path=str(tmp_path / f"{name}.png")),))
        posts.append(post)
        perceived[name] = perceive(post.media[0], settings, cache=tmp_path / "cache")
    texts = {post.id: post.text for post in posts}
    [match] = seen_before(posts[1], perceived["new"], bank_of(perceived), texts=texts)
    assert match.detail["post"] == "old"
    assert match.detail["other_words"] is True
    assert "with other words" in match.text
    assert seen_before(posts[2], perceived["other"], bank_of(perceived), texts=texts) == ()


async def test_a_model_describes_the_picture_and_its_failure_is_an_outcome(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    medium = Media(path=str(tmp_path / "a.png"))
    model = ScriptedModel([json.dumps({"description": "A harbour."}), Completion(text="", model="s", refusal="no")])
    [said] = await caption(medium, (), model)
    assert (said.kind, said.text, said.tool) == ("caption", "A harbour.", "scripted")
    assert "data:image/jpeg;base64," in str(model.requests[0].messages)
    [refused] = await caption(medium, (), model)
    assert refused.outcome is Outcome.REFUSED
    [failed] = await caption(medium, (), ScriptedModel([CallFailed("The call failed.")]))
    assert (failed.outcome, failed.text) == (Outcome.CALL_FAILED, "No description: The call failed.")
    [gone] = await caption(Media(path=str(tmp_path / "gone.png")), (), model)
    assert gone.outcome is Outcome.MEDIA_MISSING


def test_a_hash_of_known_bits() -> None:
    assert PerceptualHash("0" * 64, 100).region == "whole"
    assert len(pdq(np.asarray(picture())).hex) == 64
