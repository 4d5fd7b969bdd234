"""The shallow student: what is cut off its network, and what it is taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, MPNetConfig, MPNetModel

from folkmoot.records import BadInput, Lesson, Membership, Post
from folkmoot.students.network import TextClassifier
from folkmoot.training.distillation import CROSS_ENTROPY
from folkmoot.training.examples import Examples
from folkmoot.training.shallow import first_layers, shallow_lessons
from folkmoot.training.tuned import TunedSettings, fit_network

SMALL = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
ENCODERS = {
    "bert": lambda: BertModel(BertConfig(**SMALL)),
    "mpnet": lambda: MPNetModel(MPNetConfig(**SMALL)),
    "distilbert": lambda: DistilBertModel(DistilBertConfig(vocab_size=30, dim=8, n_layers=3, n_heads=2, hidden_dim=16)),
}
TOKENS = torch.tensor([[5, 6, 7, 8]])


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_first_layers_compute_what_they_did(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TextClassifier(ENCODERS[kind]()).eval()
    shown = network.encoder(TOKENS, attention_mask=torch.ones_like(TOKENS), output_hidden_states=True).hidden_states
    cut = first_layers(network, 2)
    mean = shown[2].mean(1)
    assert torch.allclose(cut.pool(TOKENS, torch.ones_like(TOKENS)), mean, atol=1e-6)
    cut.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    ones = torch.ones_like(TOKENS)
    assert torch.allclose(again(TOKENS, ones), cut.eval()(TOKENS, ones), atol=1e-6)
    assert len(network.encoder(TOKENS, attention_mask=ones, output_hidden_states=True).hidden_states) == 4, "untouched"
    with pytest.raises(BadInput, match="of 3 layers needs a deeper encoder; this one has 3"):
        first_layers(network, 3)


def lesson(post: str, target: float, membership: Membership = Membership.AGREED_POSITIVE) -> Lesson:
    return Lesson(post=post, membership=membership, target=target, source="classifier", round=1)


def test_it_is_taught_the_mean_of_its_teachers_and_the_student() -> None:
    gold = lesson("g", 1.0, Membership.POSITIVE)
    taught = [gold, lesson("a", 0.9), lesson("b", 0.2, Membership.AGREED_NEGATIVE)]
    pool = [Post(id=name, text=name) for name in "abc"]
    made = shallow_lessons(np.array([0.5, 0.1, 0.7]), pool, taught, round=2)
    assert made[0] == gold
    assert {one.post: one.target for one in made[1:]} == pytest.approx({"a": 0.7, "b": 0.15, "c": 0.7})
    assert [one.membership.value for one in made[1:]] == ["agreed_positive", "agreed_negative", "agreed_positive"]


def test_no_dropout_makes_the_loss_a_function_of_the_batch() -> None:
    torch.manual_seed(0)
    network = TextClassifier(ENCODERS["bert"]())
    lessons = [lesson("a", 0.9), lesson("b", 0.2)]
    examples = Examples.of(lessons, {"a": 0, "b": 1})
    settings = TunedSettings(dropout=0.0)
    fit_network(network, [[5, 6], [7, 8]], examples, settings, CROSS_ENTROPY, seed=0)
    network.train()
    ones = torch.ones_like(TOKENS)
    assert torch.equal(network(TOKENS, ones), network(TOKENS, ones))
