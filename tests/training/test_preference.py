"""The preference trainer on tiny models: it learns, resumes to the same bytes, stops early, and refuses NaN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import llama, tokenizer

from folkmoot.records import BadInput, PreferencePair
from folkmoot.students.branching import read_answers
from folkmoot.training.language_base import LanguageBase
from folkmoot.training.preference import LossNotFinite, PreferenceSettings, batches, train_preference
from folkmoot.training.preference_pairs import tokenize_pairs
from folkmoot.training.shared_prefix import TokenPair

QUICK = {"batch_size": 2, "learning_rate": 5e-3, "lora_rank": 4, "keep_every": 3}


def pair(name: str, chosen: str, rejected: str, *, words: str = "is it tea ?", sc: float = 0.5) -> PreferencePair:
    return PreferencePair(
        id=name, prompt=({"role": "user", "content": words},), chosen=({"role": "assistant", "content": chosen},),
        rejected=({"role": "assistant", "content": rejected},), sc=sc, n=2, n_correct=1,
    )  # fmt: skip


PAIRS = [pair(f"p{n}", f"tea {n} Verdict: real", f"rain {n} Verdict: fake", words=f"post {n} ?") for n in range(10)]


def base(**options: Any) -> LanguageBase:
    return LanguageBase(Path("tiny"), llama(**options), tokenizer())


def tokens(count: int = 10) -> dict[str, TokenPair]:
    return tokenize_pairs(PAIRS[:count], base())[0]


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def train(folder: Path, pairs: Any = None, **changes: Any) -> Any:
    options = {name: changes.pop(name) for name in ("score_dev", "on_step") if name in changes}
    settings = PreferenceSettings.model_validate({**QUICK, **changes})
    return train_preference(llama(), pairs or tokens(), settings, folder, padding=0, **options)


@pytest.mark.parametrize("loss", ["sft", "orpo", "scpo", "dpo"])
def test_every_loss_makes_the_chosen_likelier_than_before(loss: str, tmp_path: Path) -> None:
    model, trained = train(tmp_path, loss=loss, epochs=4)
    assert trained.steps == 20
    pairs = list(tokens().values())
    with torch.no_grad():
        gain = []
        for which in (llama(), model):
            both = [one.with_answers(one.chosen, one.rejected) for one in pairs]
            (chosen, rejected), _ = read_answers(which, both, padding=0, kinds=(1, 2))
            gain.append((chosen.mean().mean().item(), (chosen.mean() - rejected.mean()).mean().item()))
    if loss == "dpo":
        assert gain[1][1] > gain[0][1] + 0.1, "DPO widens the margin, whatever the likelihoods do"
    else:
        assert gain[1][0] > gain[0][0] + 0.2


class Killed(Exception):
    """Stands for SIGKILL: nothing of the trainer's own runs after it."""


@pytest.mark.parametrize("changes", [{"loss": "scpo"}, {"loss": "dpo"}, {"loss": "orpo", "lora_dropout": 0.2}])
def test_a_killed_run_goes_on_to_the_same_bytes(changes: dict[str, Any], tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == 5:
            raise Killed

    whole, _ = train(tmp_path / "whole", epochs=2, **changes)
    with pytest.raises(Killed):
        train(tmp_path / "cut", epochs=2, on_step=kill, **changes)
    again, trained = train(tmp_path / "cut", epochs=2, **changes)
    assert trained.steps == 10
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name]), name
    assert (tmp_path / "whole/steps.jsonl").read_text() == (tmp_path / "cut/steps.jsonl").read_text()


def test_a_finished_run_takes_no_step_when_it_is_asked_for_again(tmp_path: Path) -> None:
    first, trained = train(tmp_path)
    steps: list[int] = []
    second, same = train(tmp_path, on_step=lambda done, total: steps.append(done))
    assert (steps, same) == ([], trained)
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_training_stops_where_dev_gains_nothing_and_gives_the_best_weights(tmp_path: Path) -> None:
    scores = iter([0.5, 0.8, 0.7, 0.6, 0.9])
    kept: list[dict[str, torch.Tensor]] = []

    def score(model: Any) -> float:
        kept.append(weights(model))
        return next(scores)

    model, trained = train(tmp_path, epochs=5, patience=2, score_dev=score)
    assert (trained.stopped_early, trained.best_dev, trained.best_step, trained.steps) == (True, 0.8, 10, 20)
    assert all(torch.equal(value, kept[1][name]) for name, value in weights(model).items())
    logged = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [row["dev"] for row in logged if row["dev"] is not None] == [0.5, 0.8, 0.7, 0.6]
    train(tmp_path, epochs=5, patience=2, score_dev=score)
    assert len(kept) == 4, "a run that has stopped looks at dev no more"


def test_a_loss_that_is_not_finite_names_the_step_and_the_pairs_and_keeps_the_last_state(tmp_path: Path) -> None:
    pairs = tokens()
    settings = PreferenceSettings.model_validate({**QUICK, "loss": "scpo"})
    names = list(batches(pairs, settings))[3]
    for name in names:
        one = pairs[name]
        pairs[name] = TokenPair(one.prompt, one.chosen, one.rejected, correction=float("nan"))
    with pytest.raises(LossNotFinite, match=rf"nan at step 4, on the pairs {names[0]}, {names[1]}\..* step 3 is kept"):
        train(tmp_path, pairs, loss="scpo")


def test_every_pair_comes_once_an_epoch_and_in_another_order_with_another_seed() -> None:
    pairs = tokens()
    orders = [
        [name for batch in batches(pairs, PreferenceSettings(batch_size=3, seed=seed, epochs=2)) for name in batch]
        for seed in (0, 0, 1)
    ]
    assert sorted(orders[0][:10]) == sorted(pairs) == sorted(orders[0][10:])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:10] != orders[0][10:]


def test_all_weights_learn_where_the_rank_is_zero_and_only_adapters_where_it_is_not(tmp_path: Path) -> None:
    full, _ = train(tmp_path / "full", lora_rank=0, loss="sft")
    assert len(weights(full)) == len(list(full.parameters()))
    thin, _ = train(tmp_path / "thin", loss="sft")
    assert all("lora_" in name for name in weights(thin))
    assert not any("lm_head" in name for name in weights(thin))


def test_gradient_checkpointing_changes_no_step(tmp_path: Path) -> None:
    plain, _ = train(tmp_path / "a", loss="orpo")
    frugal, _ = train(tmp_path / "b", loss="orpo", gradient_checkpointing=True)
    for name, value in weights(plain).items():
        torch.testing.assert_close(value, weights(frugal)[name], atol=1e-5, rtol=1e-4)


def test_a_prompt_that_is_too_long_loses_its_middle_and_a_response_nothing() -> None:
    long = pair("long", "tea " * 5, "rain " * 5, words="begin " + "x " * 300 + " end ?")
    kept, counts = tokenize_pairs([PAIRS[0], long], base(context=128))
    assert (counts.used, counts.cut, counts.left_out) == (2, 1, {})
    one, text = kept["long"], tokenizer().decode
    assert len(one.prompt) + max(len(one.chosen), len(one.rejected)) == 128
    assert text(one.chosen) == "tea " * 5 + "<|im_end|>"
    assert text(one.prompt).startswith("<|im_start|>user\nbegin")
    assert text(one.prompt).endswith("end ?<|im_end|>\n<|im_start|>assistant\n")


def test_verdict_lines_are_taught_once_more_by_themselves_where_they_differ() -> None:
    told = pair("told", "tea is hot\nVerdict: real", "tea is rain\nVerdict: fake")
    same = pair("same", "tea is hot\nVerdict: real", "tea is rain\nVerdict: real")
    kept, counts = tokenize_pairs([told, same], base(), verdicts=True)
    assert list(kept) == ["told", "told (verdict)", "same"]
    assert (counts.used, counts.verdicts) == (2, 1)
    short = kept["told (verdict)"]
    assert tokenizer().decode(short.chosen) == "Verdict: real<|im_end|>"
    assert tokenizer().decode(short.rejected) == "Verdict: fake<|im_end|>"
    assert (short.prompt, short.correction) == (kept["told"].prompt, 0.5)


def test_what_cannot_be_learned_is_left_out_and_counted() -> None:
    endless = pair("endless", "tea " * 200, "rain")
    _, counts = tokenize_pairs([PAIRS[0], endless], base(context=128))
    assert counts.left_out == {"a response is longer than the context": 1}
    assert counts.ids_left_out == ("endless",)
    with pytest.raises(BadInput, match="no preference pair can be learned: 1 because a response is longer"):
        tokenize_pairs([endless], base(context=128))


def test_pictures_that_are_missing_or_broken_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image
    from tiny_models import image_processor, qwen2_vl

    from folkmoot.students.media_reader import MediaReader

    model = qwen2_vl()
    reader = MediaReader(tokenizer(), image_processor(), image_token_id=model.config.image_token_id)
    seeing = LanguageBase(tmp_path, model, reader)
    noise = np.random.default_rng(0).integers(0, 255, (56, 56, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "tea ?"}]}
    pairs = [
        PAIRS[0].model_copy(update={"id": name, "prompt": (turn,), "images": (f"{name}.png",)})
        for name in ("good", "broken", "missing")
    ]
    kept, counts = tokenize_pairs(pairs, seeing, folder=tmp_path)
    assert list(kept) == ["good"]
    assert counts.left_out == {"an image cannot be read": 1, "an image is missing": 1}
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)  # now the good one would unpack into too much memory
    with pytest.raises(BadInput, match="no preference pair can be learned: 2 because an image cannot be read"):
        tokenize_pairs(pairs, seeing, folder=tmp_path)
    monkeypatch.undo()
    _, trained = train_preference(model, kept, PreferenceSettings(lora_rank=2), tmp_path / "run", padding=0)
    assert trained.steps == 1
    with pytest.raises(BadInput, match="reads text only"):
        tokenize_pairs(pairs, base(), folder=tmp_path)
