"""Sounds, clips and pictures as a language model's input, and a student that judges by them."""

from __future__ import annotations

import asyncio
import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_media import write_clip, write_tone
from tiny_models import (
    feature_extractor,
    image_processor,
    llama,
    omni_reader,
    qwen2_5_omni,
    save_qwen2_5_omni,
    tokenizer,
)

from folkmoot.formats import load_task
from folkmoot.models.instruction import IMAGES_ALONE, Instruction
from folkmoot.records import BadInput, Media, MediaType, MissingExtra, Outcome, Post
from folkmoot.students import LanguageCard, LanguageStudent, media_files, open_student
from folkmoot.students.media_files import UnreadableMedia, open_sound, open_video
from folkmoot.students.media_reader import audio_tokens
from folkmoot.students.prompting import generate_until, load_model_and_reader, read_prompt
from folkmoot.training.language_export import export_language

TASK = load_task("misinformation")


def noise(frames: int, height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)


def post(*media: tuple[Path, MediaType]) -> Post:
    return Post(id="p", text="tea", media=tuple(Media(path=str(path), type=kind) for path, kind in media))


# ------------------------------------------------------------------------------------------------- the reader


@pytest.mark.parametrize(("height", "width"), [(56, 84), (61, 40), (300, 200)])
def test_a_clip_of_one_picture_has_the_patches_of_that_picture(height: int, width: int) -> None:
    reader = omni_reader()
    reader.video_size = dict(zip(("shortest_edge", "longest_edge"), (28 * 28, 28 * 28 * 12), strict=True))
    picture = noise(1, height, width)[0]
    seen = image_processor()(images=[picture], return_tensors="pt")
    patches, grid = reader.video_patches(np.stack([picture] * 4))
    assert grid == (2, *seen["image_grid_thw"][0, 1:].tolist())
    torch.testing.assert_close(patches, seen["pixel_values"].repeat(2, 1), atol=0, rtol=0)


def test_patches_of_moving_frames_lie_as_in_qwen2_vls_video_processor() -> None:
    frames = noise(3, 56, 84)  # of a size that needs no resizing; the third is repeated
    patches, grid = omni_reader().video_patches(frames)
    assert grid == (2, 4, 6)
    shown = torch.from_numpy(np.stack([*frames, frames[-1]])).permute(0, 3, 1, 2).float() / 255
    mean, spread = (
        torch.tensor(values)[:, None, None] for values in (image_processor().image_mean, image_processor().image_std)
    )
    videos = ((shown - mean) / spread)[None]
    twin = videos.view(1, 2, 2, 3, 2, 2, 14, 3, 2, 14).permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)  # its `patchify`
    torch.testing.assert_close(patches, twin.reshape(48, 3 * 2 * 14 * 14), atol=1e-5, rtol=1e-5)


def test_a_sound_has_the_spectrum_and_the_tokens_that_the_model_makes_of_it() -> None:
    model, reader = qwen2_5_omni(), omni_reader()
    dice = np.random.default_rng(0)
    sounds = [dice.normal(0, 0.1, size).astype(np.float32) for size in (800, 1600, 1601, 4321, 16_000, 31_999, 60_000)]
    turn = {"role": "user", "content": [{"type": "audio"} for _ in sounds]}
    text = reader.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    read = reader(text=[text], audio=sounds)
    mask = read["feature_attention_mask"]
    theirs = feature_extractor()(sounds, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt")
    assert mask.sum(1).tolist() == theirs["attention_mask"].sum(1).tolist()
    assert mask.sum(1).max() == 300, "what is longer than the extractor takes is cut"
    for row, frames in enumerate(mask.sum(1).tolist()):
        torch.testing.assert_close(read["input_features"][row, :, :frames], theirs["input_features"][row, :, :frames])
    expected = model.model.audio_tower._get_feat_extract_output_lengths(mask.sum(1))[1]
    assert [audio_tokens(frames) for frames in mask.sum(1).tolist()] == expected.tolist()
    made = model.get_audio_features(read["input_features"], mask).last_hidden_state
    assert int((read["input_ids"] == reader.audio_token_id).sum()) == len(made) == expected.sum()


def test_what_is_heard_and_seen_is_what_qwens_own_processor_makes_of_it(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import Qwen2_5OmniProcessor

    class WithoutVideos(Qwen2_5OmniProcessor):
        """The part of it that can be built without torchvision."""

        def check_argument_for_proper_class(self, name: str, part: Any) -> type:
            return type(part)

    reader = omni_reader()
    words = deepcopy(reader.tokenizer)
    for name in ("image", "video", "audio"):
        setattr(words, f"{name}_token", f"<|{name.upper()}|>")
        setattr(words, f"{name}_token_id", words.convert_tokens_to_ids(f"<|{name.upper()}|>"))
    for name in ("vision_bos", "vision_eos", "audio_bos", "audio_eos"):
        setattr(words, f"{name}_token", f"<|{name}|>")
    own = WithoutVideos(image_processor(), None, feature_extractor(), words, chat_template=words.chat_template)
    Image.fromarray(noise(1, 84, 56)[0]).save(tmp_path / "i.png")
    write_tone(tmp_path / "short.wav", 0.31)
    write_tone(tmp_path / "long.wav", 2.5)
    turns = [{"role": "user", "content": [{"type": kind} for kind in ("audio", "image", "audio")]}]
    model = qwen2_5_omni()
    (ids, media, positions), (expected, theirs, places) = (
        read_prompt(model, each, turns, ["i.png"], tmp_path, audios=["short.wav", "long.wav"]) for each in (reader, own)
    )
    assert ids == expected
    assert media.keys() == theirs.keys()
    for name, value in media.items():
        torch.testing.assert_close(value, theirs[name].to(value.dtype), atol=0, rtol=0)
    assert positions is not None
    assert positions.equal(places)


def test_each_medium_has_one_place_in_the_text() -> None:
    reader, frames = omni_reader(), noise(2, 56, 56)
    for text, given, said in (
        ("<|VIDEO|>", {}, "more places for media of type 'video'"),
        ("tea", {"videos": [frames]}, "fewer places for media of type 'video'"),
        ("<|AUDIO|>", {"images": [frames[0]]}, "more places for media of type 'audio'"),
    ):
        with pytest.raises(BadInput, match=said):
            reader(text=[text], **given)


# -------------------------------------------------------------------------------------------------- the files


def test_a_clips_frames_are_half_a_second_apart_and_further_where_there_would_be_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greys = list(range(20, 220, 5))  # 4 s, ten frames a second
    clip = write_clip(tmp_path / "clip.mp4", greys)
    frames, apart = open_video("clip.mp4", tmp_path)
    assert (frames.shape, apart) == ((8, 48, 64, 3), 0.5)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), greys[::5], atol=4)
    monkeypatch.setattr(media_files, "LONGEST_DECODED_GAP_SECONDS", 0.2)
    assert np.array_equal(open_video(str(clip), None).frames, frames), "seeking finds the same frames"
    monkeypatch.setattr(media_files, "MOST_FRAMES", 4)
    frames, apart = open_video("clip.mp4", tmp_path)
    assert (len(frames), apart) == (4, 1.0)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), greys[::10], atol=4)
    read = read_prompt(qwen2_5_omni(), omni_reader(), [{"role": "user", "content": [{"type": "video"}]}], (), tmp_path,
                       videos=["clip.mp4"])  # fmt: skip
    assert read[1]["video_second_per_grid"].tolist() == [2.0]
    assert read[1]["video_grid_thw"][0, 0] == 2
    monkeypatch.setattr(media_files, "VIDEO_TOKENS", 4)
    small = open_video("clip.mp4", tmp_path).frames
    assert small[0].size // 3 <= 2 * media_files.TOKEN_PIXELS, "two pairs of frames share four tokens"


def test_a_slow_clip_shows_a_frame_until_the_next_one_comes(tmp_path: Path) -> None:
    write_clip(tmp_path / "slow.mp4", [20, 120, 220], rate=1)
    frames, _ = open_video("slow.mp4", tmp_path)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), [20, 20, 120, 120, 220, 220], atol=4)


def test_a_sound_becomes_mono_at_16_khz_up_to_its_limit(tmp_path: Path) -> None:
    write_tone(tmp_path / "stereo.wav", 1.0, rate_hz=44_100, channels=2)
    samples = open_sound("stereo.wav", tmp_path, seconds=10)
    assert samples.size == pytest.approx(16_000, abs=100)
    assert abs(np.fft.rfft(samples)).argmax() * 16_000 / samples.size == pytest.approx(440, abs=5)
    assert open_sound("stereo.wav", tmp_path, seconds=0.5).size == 8000


def test_a_file_that_is_no_sound_or_no_clip_is_told_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("#EXTM3U\nhttp://127.0.0.1/")
    (tmp_path / "empty.wav").write_bytes(b"")
    write_tone(tmp_path / "tone.wav")
    write_clip(tmp_path / "mute.mp4", [20] * 10)
    for opened, path, said in (
        (open_video, "text.mp4", "a video cannot be read"), (open_video, "tone.wav", "a video cannot be read"),
        (open_video, "gone.mp4", "a video is missing"), (open_video, ".", "a video cannot be read"),
        (heard, "text.mp4", "an audio file cannot be read"), (heard, "empty.wav", "an audio file cannot be read"),
        (heard, "mute.mp4", "an audio file cannot be read"), (heard, "gone.wav", "an audio file is missing"),
    ):  # fmt: skip
        with pytest.raises(UnreadableMedia) as told:
            opened(path, tmp_path)
        assert str(told.value) == said


def test_without_pyav_the_extra_that_brings_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tone(tmp_path / "tone.wav")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"folkmoot\[media\]"):
        heard("tone.wav", tmp_path)


def heard(path: str, folder: Path) -> Any:
    return open_sound(path, folder, seconds=3)


# ------------------------------------------------------------------------------------------------ the student


@pytest.mark.parametrize("whole", [False, True])
def test_of_a_folder_the_thinker_is_loaded_with_what_it_reads(tmp_path: Path, *, whole: bool) -> None:
    import transformers

    folder = save_qwen2_5_omni(tmp_path, whole=whole)
    model, reader = load_model_and_reader(transformers, folder, dtype=torch.float32)
    assert type(model).__name__ == "Qwen2_5OmniThinkerForConditionalGeneration"
    for name, value in qwen2_5_omni().state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    turns = [{"role": "user", "content": [{"type": "audio"}, {"type": "video"}]}]
    write_tone(tmp_path / "t.wav", 0.5)
    write_clip(tmp_path / "c.mp4", [20] * 10)
    files: dict[str, Any] = {"folder": tmp_path, "videos": ["c.mp4"], "audios": ["t.wav"]}
    ids, media, _ = read_prompt(model, reader, turns, **files)
    expected, same, _ = read_prompt(model, omni_reader(), turns, **files)
    assert ids == expected
    assert media.keys() == same.keys()
    for name, value in media.items():
        torch.testing.assert_close(value, same[name])


def test_a_template_that_only_the_processors_file_holds_is_found(tmp_path: Path) -> None:
    import json

    import transformers

    folder = save_qwen2_5_omni(tmp_path)
    os.replace(folder / "chat_template.jinja", tmp_path / "template")
    with pytest.raises(BadInput, match="no chat template"):
        load_model_and_reader(transformers, folder, dtype=torch.float32)
    held = {"chat_template": (tmp_path / "template").read_text()}
    (folder / "chat_template.json").write_text(json.dumps(held))
    _, reader = load_model_and_reader(transformers, folder, dtype=torch.float32)
    assert reader.chat_template == tokenizer(omni=True).chat_template


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_a_student_judges_a_post_with_sound_through_its_folder(tmp_path: Path, form: str) -> None:
    from peft import LoraConfig, get_peft_model

    base = save_qwen2_5_omni(tmp_path / "base")
    adapted = get_peft_model(
        qwen2_5_omni(), LoraConfig(r=2, target_modules=r".*language_model.*q_proj", init_lora_weights=False)
    )
    adapted.save_pretrained(str(tmp_path / "student" / "adapter"))
    card = LanguageCard(name="hears", task=TASK, base=str(base))
    card.save(tmp_path / "student")
    folder = tmp_path / "student"
    if form == "merged":
        folder = Path(export_language(folder, tmp_path / "merged", "merged").path)
    judge = open_student(folder)
    assert isinstance(judge, LanguageStudent)
    mine = LanguageStudent(card, adapted.eval(), omni_reader())
    low, high = write_tone(tmp_path / "low.wav", 0.5), write_tone(tmp_path / "high.wav", 0.5, hz=3000)
    clip = write_clip(tmp_path / "clip.mp4", range(20, 220, 10))
    odds = []
    for media in (((low, "audio"),), ((high, "audio"),), ((clip, "video"),), ((clip, "video"), (high, "audio"))):
        asked = post(*media)
        scores, _ = judge.weigh(asked)
        np.testing.assert_allclose(scores, mine.weigh(asked)[0], atol=1e-4)
        odds.append(scores)
        verdict = asyncio.run(judge.judge(asked))
        assert verdict.label in TASK.label_names
        assert verdict.probabilities == mine.verdict(asked).probabilities
    assert len({tuple(np.round(scores, 6)) for scores in odds}) == 4, "another sound or clip, other odds"
    gone = judge.verdict(post((tmp_path / "gone.wav", "audio")))
    assert (gone.outcome, gone.opinions[0].rationale) == (Outcome.MEDIA_MISSING, "an audio file is missing")


def test_reasoning_about_a_clip_and_a_sound_is_the_thinkers_own_greedy_answer(tmp_path: Path) -> None:
    model, reader = qwen2_5_omni(), omni_reader()
    clip, tone = write_clip(tmp_path / "c.mp4", range(20, 220, 10)), write_tone(tmp_path / "t.wav", 0.5)
    told = Instruction(TASK)
    asked = post((clip, "video"), (tone, "audio"))
    prompt, media, _ = read_prompt(model, reader, told.turns(asked), **told.files(asked))
    said = generate_until(model, reader.tokenizer, prompt, media, stop="never said", most=6)
    whole = list(prompt)
    for _ in range(6):
        ids = torch.tensor([whole])
        with torch.no_grad():
            whole.append(int(model(input_ids=ids, attention_mask=torch.ones_like(ids), **media).logits[0, -1].argmax()))
    assert said[:6] == whole[len(prompt) :]
    judge = LanguageStudent(
        LanguageCard(name="m", task=TASK, base="", mode="reasoning", max_new_tokens=6), model, reader
    )
    assert judge.verdict(asked).label in TASK.label_names


def test_a_text_student_refuses_sound_and_an_older_one_goes_on_leaving_it_out(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "t.wav")
    card = LanguageCard(name="reads", task=TASK, base="")
    with pytest.raises(
        BadInput, match="has an audio file, and this language model reads text only; take one that hears"
    ):
        LanguageStudent(card, llama(context=1024), tokenizer()).verdict(post((tone, "audio")))
    older = LanguageStudent(card.model_copy(update={"instruction": IMAGES_ALONE}), llama(context=1024), tokenizer())
    assert older.verdict(post((tone, "audio"))).probabilities == older.verdict(post()).probabilities


def test_the_conversation_has_a_part_for_each_medium_in_order() -> None:
    asked = post((Path("a.wav"), "audio"), (Path("b.png"), "image"), (Path("c.wav"), "audio"), (Path("d.mp4"), "video"))
    told = Instruction(TASK)
    assert [part["type"] for part in told.turns(asked)[0]["content"]] == ["audio", "image", "audio", "video", "text"]
    assert told.files(asked) == {"images": ("b.png",), "videos": ("d.mp4",), "audios": ("a.wav", "c.wav")}
    older = Instruction(TASK, IMAGES_ALONE)
    assert [part["type"] for part in older.turns(asked)[0]["content"]] == ["image", "text"]
    assert older.files(asked) == {"images": ("b.png",), "videos": (), "audios": ()}
    assert older.turns(post()) == told.turns(post()), "the words are the same"
