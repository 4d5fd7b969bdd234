"""Preference training of Qwen2.5-Omni's Thinker on sounds, pictures and clips, on the real architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_media import write_clip, write_tone
from tiny_models import image_processor, llama, omni_reader, qwen2_5_omni, qwen2_vl, tokenizer

from folkmoot.records import BadInput, PreferencePair
from folkmoot.students.branching import Likelihood
from folkmoot.students.media_reader import MediaReader
from folkmoot.students.prompting import read_prompt
from folkmoot.training.language_base import LanguageBase
from folkmoot.training.lora import in_tower
from folkmoot.training.preference import PreferenceSettings, train_preference
from folkmoot.training.preference_losses import scpo
from folkmoot.training.preference_pairs import tokenize_pairs
from folkmoot.training.shared_prefix import PreferenceForward, TokenPair

FILES = {
    "image": ("images", ("a.png", "b.png")), "audio": ("audios", ("a.wav", "b.wav")),
    "video": ("videos", ("a.mp4", "b.mp4")),
}  # fmt: skip
"""Two files of each type, of different sizes and lengths."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("media")
    dice = np.random.default_rng(0)
    for name, (width, height) in (("a.png", (56, 84)), ("b.png", (112, 56))):
        Image.fromarray(dice.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(folder / name)
    write_tone(folder / "a.wav", 0.41)
    write_tone(folder / "b.wav", 1.3, hz=880)
    write_clip(folder / "a.mp4", range(20, 180, 8))
    write_clip(folder / "b.mp4", range(250, 10, -8), size=(48, 96))
    return folder


def pair(name: str, kinds: str, *, number: int = 0) -> PreferencePair:
    """A pair whose prompt has a part for each of these types, with text around it."""
    content: list[dict[str, str]] = []
    files: dict[str, tuple[str, ...]] = {}
    for kind in kinds.split():
        field, paths = FILES[kind]
        content += [{"type": kind}, {"type": "text", "text": "tea"}]
        files[field] = (*files.get(field, ()), paths[(number + len(files.get(field, ()))) % 2])
    return PreferencePair.model_validate({
        "id": name, "prompt": ({"role": "user", "content": [*content, {"type": "text", "text": "Is it real?"}]},),
        "chosen": ({"role": "assistant", "content": "it is rain ."},),
        "rejected": ({"role": "assistant", "content": "fake"},), "sc": 0.5, **files,
    })  # fmt: skip


def token_pairs(model: Any, shelf: Path, *prompts: str) -> list[TokenPair]:
    base = LanguageBase(shelf, model, omni_reader())
    pairs = [pair(f"p{number}", kinds, number=number) for number, kinds in enumerate(prompts)]
    kept, counts = tokenize_pairs(pairs, base, folder=shelf)
    assert counts.used == len(prompts)
    return list(kept.values())


def alone(model: Any, pairs: list[TokenPair], part: str) -> Likelihood:
    """The responses' likelihoods, each from a pass of its own that the Thinker's `forward` makes of ids and media."""
    sums = []
    for one in pairs:
        response = getattr(one, part)
        whole = torch.tensor([[*one.prompt, *response]])
        logits = model(input_ids=whole, attention_mask=torch.ones_like(whole), **one.media).logits[0].log_softmax(-1)
        at = torch.arange(len(response)) + len(one.prompt) - 1
        sums.append(logits[at, torch.tensor(response)].sum())
    return Likelihood(torch.stack(sums), torch.tensor([len(getattr(one, part)) for one in pairs]))


@pytest.mark.parametrize(
    "prompts",
    [("audio",), ("image",), ("video",), ("audio image video",), ("video audio", ""), ("audio", "", "audio audio image"),
     ("video image", "image", "audio video video")],
    ids=str,
)  # fmt: skip
def test_one_pass_gives_the_loss_and_the_gradients_of_the_thinkers_own_two(
    shelf: Path, prompts: tuple[str, ...]
) -> None:
    correction = torch.linspace(0.2, 1.0, len(prompts))
    results = []
    for shared in (True, False):
        model = qwen2_5_omni()
        pairs = token_pairs(model, shelf, *prompts)
        if shared:
            reader = PreferenceForward(model, padding=0)
            assert reader.shared_prefix
            chosen, rejected, _ = reader(pairs)
        else:
            chosen, rejected = alone(model, pairs, "chosen"), alone(model, pairs, "rejected")
        loss = scpo(chosen, rejected, correction)
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        results.append((loss.item(), gradients, chosen.log_prob, rejected.log_prob))
    (one, gradients, *likely), (two, expected, *twice) = results
    assert one == pytest.approx(two, abs=1e-5)
    for mine, theirs in zip(likely, twice, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)
    assert gradients.keys() == expected.keys()
    assert any("audio_tower" in name for name in gradients) == any("audio" in kinds for kinds in prompts)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[parameter], atol=1e-5, rtol=1e-3, msg=parameter)


def test_only_a_prompt_that_shows_something_has_positions_with_three_axes(shelf: Path) -> None:
    model = qwen2_5_omni()
    heard, shown, both = token_pairs(model, shelf, "audio", "video", "audio video")
    assert heard.positions is None
    assert shown.positions is not None
    assert both.positions is not None
    video = torch.tensor(shown.prompt) == model.config.video_token_id
    time = shown.positions[0, video] - shown.positions[0, video].min()
    assert set(time.tolist()) == {0, 25, 50}, "pairs of frames start a second apart: 25 positions"


def test_what_the_model_is_given_of_a_sound_is_no_longer_than_the_sound(shelf: Path) -> None:
    (heard,) = token_pairs(qwen2_5_omni(), shelf, "audio")
    assert heard.media["input_features"].shape == (1, 16, 41)
    assert heard.prompt.count(tokenizer(omni=True).convert_tokens_to_ids("<|AUDIO|>")) == 10


def test_training_lowers_the_loss_and_leaves_the_towers_as_they_are(shelf: Path, tmp_path: Path) -> None:
    model = qwen2_5_omni()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    base = LanguageBase(shelf, model, omni_reader())
    kinds = ("audio", "video", "audio video image", "", "audio audio")
    pairs, _ = tokenize_pairs([pair(f"p{n}", kind, number=n) for n, kind in enumerate(kinds)], base, folder=shelf)
    settings = PreferenceSettings(epochs=10, batch_size=3, lora_rank=8, learning_rate=2e-2)
    trained, how = train_preference(model, pairs, settings, tmp_path, padding=0)
    assert how.steps == 20
    assert how.last_loss < how.first_loss - 0.15, "adapters do not reach the random head, whose logits stay small"
    adapted = [name for name, _ in trained.named_parameters() if "lora_" in name]
    assert adapted
    assert all(".language_model.layers." in name for name in adapted)
    assert {name.rsplit(".lora_", 1)[0].rsplit(".", 1)[1] for name in adapted} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    }  # fmt: skip
    towers = [name for name, _ in model.named_children()] + [name for name, _ in model.model.named_children()]
    assert {name for name in towers if in_tower(name)} == {"audio_tower", "visual"}
    after = {name.replace(".base_layer", ""): value for name, value in trained.get_base_model().state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_media_that_are_missing_broken_or_wanting_are_left_out_and_counted(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"no sound")
    (tmp_path / "no.mp4").write_bytes((shelf / "a.mp4").read_bytes()[:700])
    write_tone(tmp_path / "click.wav", 0.01)
    write_tone(tmp_path / "good.wav", 0.3)
    heard, shown = pair("heard", "audio"), pair("shown", "video")
    pairs = [
        *(
            heard.model_copy(update={"id": path, "audios": (path,)})
            for path in ("good.wav", "no.wav", "click.wav", "x")
        ),
        *(shown.model_copy(update={"id": f"v-{path}", "videos": (path,)}) for path in ("no.mp4", "x", "good.wav")),
        heard.model_copy(update={"id": "wanting", "audios": ()}),
    ]
    kept, counts = tokenize_pairs(pairs, LanguageBase(tmp_path, qwen2_5_omni(), omni_reader()), folder=tmp_path)
    assert list(kept) == ["good.wav"]
    assert counts.left_out == {
        "an audio file cannot be read": 1, "an audio file is too short": 1, "an audio file is missing": 1,
        "a video cannot be read": 2, "a video is missing": 1,
        "a prompt has another number of parts of type 'audio' than files": 1,
    }  # fmt: skip


def test_a_model_that_cannot_hear_or_watch_says_so_in_one_sentence(shelf: Path) -> None:
    heard, shown = pair("heard", "audio"), pair("shown", "video")
    reads_text = LanguageBase(shelf, llama(), tokenizer())
    with pytest.raises(
        BadInput, match="has an audio file, and this language model reads text only; take one that hears"
    ):
        tokenize_pairs([heard], reads_text, folder=shelf)
    sees = qwen2_vl()
    reader = MediaReader(tokenizer(), image_processor(), image_token_id=sees.config.image_token_id)
    with pytest.raises(BadInput, match="has a video, and this language model reads text and images only"):
        tokenize_pairs([shown], LanguageBase(shelf, sees, reader), folder=shelf)


def test_openais_words_for_parts_are_read_as_the_templates(shelf: Path) -> None:
    model, reader = qwen2_5_omni(), omni_reader()
    said = {"type": "text", "text": "tea"}
    one = read_prompt(
        model, reader, [{"role": "user", "content": [{"type": "audio"}, said]}], (), shelf, audios=("a.wav",)
    )
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    two = read_prompt(model, reader, [{"role": "user", "content": [part, said]}], (), shelf, audios=("a.wav",))
    assert one[0] == two[0]
