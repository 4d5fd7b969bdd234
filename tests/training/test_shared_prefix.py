"""One pass over [prompt | chosen | rejected] gives what two passes give, on the real architectures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import image_processor, llama, qwen2_vl, tokenizer

from folkmoot.models.weights import base_folder
from folkmoot.students.branching import PADDING, Branching, attention_mask, lay_out, predicted_from, read_answers
from folkmoot.students.media_reader import MediaReader
from folkmoot.students.prompting import prompt_positions
from folkmoot.training.language_base import load_base
from folkmoot.training.lora import adapted
from folkmoot.training.preference import PreferenceSettings
from folkmoot.training.preference_losses import scpo
from folkmoot.training.preference_pairs import response_ids
from folkmoot.training.shared_prefix import PreferenceForward, TokenPair

CORRECTION = torch.tensor([0.1, 0.5, 1.0])


def ids(count: int, dice: np.random.Generator) -> list[int]:
    return dice.integers(0, 200, count).tolist()


def text_pairs() -> list[TokenPair]:
    dice = np.random.default_rng(1)
    return [TokenPair(ids(p, dice), ids(c, dice), ids(r, dice)) for p, c, r in ((7, 5, 3), (3, 4, 9), (5, 1, 1))]


def picture_pairs(model: Any) -> list[TokenPair]:
    """Two pairs about pictures of different sizes, and one without a picture."""
    from PIL import Image

    dice = np.random.default_rng(2)
    reader = MediaReader(tokenizer(), image_processor(), image_token_id=model.config.image_token_id)
    pairs = []
    for width, height in ((56, 84), (112, 56)):
        picture = Image.fromarray(dice.integers(0, 255, (height, width, 3), dtype=np.uint8))
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it tea?"}]}]
        text = reader.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        read = reader(text=[text], images=[picture])
        media = {"pixel_values": read["pixel_values"], "image_grid_thw": read["image_grid_thw"]}
        prompt = read["input_ids"][0].tolist()
        pairs.append(TokenPair(prompt, ids(4, dice), ids(6, dice), media, prompt_positions(model, read)))
    return [*pairs, TokenPair(ids(6, dice), ids(3, dice), ids(2, dice))]


MODELS = {
    "llama": (llama, lambda model: text_pairs()),
    "qwen2-vl": (qwen2_vl, picture_pairs),
    "qwen2.5-vl": (lambda: qwen2_vl(newer=True), picture_pairs),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_pass_gives_the_loss_and_the_gradients_of_two(name: str) -> None:
    make, pairs_for = MODELS[name]
    results = []
    for shared in (True, False):
        model = make()
        reader = PreferenceForward(model, padding=0, shared_prefix=shared)
        assert reader.shared_prefix is shared
        read = reader(pairs_for(model), with_prompt=True)
        loss = scpo(read.chosen, read.rejected, CORRECTION)
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        results.append((loss.item(), gradients, read))
    (one, gradients, read), (two, expected, twice) = results
    assert one == pytest.approx(two, abs=1e-5)
    assert gradients.keys() == expected.keys()
    for part in ("chosen", "rejected", "prompt"):
        torch.testing.assert_close(getattr(read, part).log_prob, getattr(twice, part).log_prob, atol=1e-4, rtol=1e-5)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[parameter], atol=1e-5, rtol=1e-3, msg=parameter)


def test_one_pass_of_smollm2_itself_gives_the_loss_and_the_gradients_of_two() -> None:
    base = load_base(base_folder("embedded"))
    turns = [{"role": "user", "content": "Somebody posts that hot tea cures every cold within an hour. Real or fake?"}]
    prompt = base.tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    answers = (
        "As a nurse, I have seen no such cure.\nVerdict: fake",
        "My aunt swears by it, so it holds.\nVerdict: real",
    )
    pair = TokenPair(prompt, *(response_ids(base, text) for text in answers))
    model = adapted(base.model, PreferenceSettings(lora_rank=4))
    results = []
    for shared in (True, False):
        model.zero_grad()
        read = PreferenceForward(model, padding=0, shared_prefix=shared)([pair])
        loss = scpo(read.chosen, read.rejected, CORRECTION[:1])
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        results.append((loss.item(), gradients))
    (one, gradients), (two, expected) = results
    assert one == pytest.approx(two, rel=1e-5)
    assert gradients.keys() == expected.keys()
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).abs().max().item() < 1e-4 * largest, name


@pytest.mark.parametrize("name", MODELS)
def test_a_pair_is_read_as_transformers_reads_prompt_and_response_alone(name: str) -> None:
    make, pairs_for = MODELS[name]
    model = make()
    pairs = pairs_for(model)
    with torch.no_grad():
        read = PreferenceForward(model, padding=0)(pairs)
        for row, pair in enumerate(pairs):
            for part, response in ((read.chosen, pair.chosen), (read.rejected, pair.rejected)):
                whole = torch.tensor([[*pair.prompt, *response]])
                given: dict[str, Any] = {"input_ids": whole, "attention_mask": torch.ones_like(whole), **pair.media}
                if name != "llama":
                    given["mm_token_type_ids"] = (whole == model.config.image_token_id).int()
                logits = model(**given).logits[0].log_softmax(-1)
                start = len(pair.prompt)
                expected = sum(logits[start - 1 + at, token].item() for at, token in enumerate(response))
                assert part.log_prob[row].item() == pytest.approx(expected, abs=2e-4)
                assert part.tokens[row] == len(response)


def test_a_row_by_hand() -> None:
    rows = lay_out(
        [Branching([5, 6], ([7], [8, 9])), Branching([5], ([6], [7]))], padding=0, device=torch.device("cpu")
    )
    assert rows.ids.tolist() == [[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]]
    assert rows.segment.tolist() == [[0, 0, 1, 2, 2], [0, 1, 2, PADDING, PADDING]]
    assert rows.positions.tolist() == [[0, 1, 2, 2, 3], [0, 1, 1, 0, 0]]
    sees = attention_mask(rows.segment)[0, 0].int().tolist()
    assert sees == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]
    flat, source = predicted_from(rows.segment, 2)
    assert (flat.tolist(), source.tolist()) == ([3, 4, 7], [1, 3, 5])


def test_answers_read_together_are_as_likely_as_each_alone() -> None:
    dice = np.random.default_rng(3)
    model, prompt, answers = llama(), ids(6, dice), [ids(n, dice) for n in (1, 4, 2, 2)]
    with torch.inference_mode():
        together, _ = read_answers(model, [Branching(prompt, answers)], padding=0, kinds=range(1, 5))
        for answer, likelihood in zip(answers, together, strict=True):
            (alone,), _ = read_answers(model, [Branching(prompt, [answer])], padding=0, kinds=[1])
            torch.testing.assert_close(likelihood.log_prob, alone.log_prob)


def test_a_sliding_window_is_read_in_two_passes() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
                           num_attention_heads=2, num_key_value_heads=2, sliding_window=4)  # fmt: skip
    assert not PreferenceForward(MistralForCausalLM(config), padding=0).shared_prefix
