"""The student's network: what it pools, and that it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mild_posts import TASK, make_posts
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from folkmoot.students import TextStudent
from folkmoot.students.network import TextClassifier
from folkmoot.supervision import gold_lessons
from folkmoot.training.learner import FrozenLearner
from folkmoot.training.losses import PnuSettings
from folkmoot.training.student import write_student

ENCODERS = {
    "bert": lambda: BertModel(
        BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16)
    ),
    "distilbert": lambda: DistilBertModel(DistilBertConfig(vocab_size=30, dim=8, n_layers=3, n_heads=2, hidden_dim=16)),
}
TOKENS = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize("kind", ENCODERS)
def test_all_layers_stand_side_by_side_each_of_length_one(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TextClassifier(ENCODERS[kind](), normalised=True, every_layer=True).eval()
    shown = network.encoder(TOKENS, attention_mask=MASK, output_hidden_states=True).hidden_states
    expected = []
    for layer in shown[1:]:  # the first are the embeddings of the tokens
        means = torch.stack([layer[0].mean(0), layer[1, :2].mean(0)])
        expected.append(means / means.norm(dim=1, keepdim=True))
    pooled = network.pool(TOKENS, MASK)
    assert pooled.shape == (2, 3 * 8)
    assert torch.allclose(pooled, torch.cat(expected, dim=1), atol=1e-6)
    network.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    assert again.every_layer
    assert torch.equal(again(TOKENS, MASK), network(TOKENS, MASK))


def test_the_last_layer_alone_is_the_end_of_all() -> None:
    torch.manual_seed(0)
    encoder = ENCODERS["bert"]()
    last = TextClassifier(encoder, normalised=True).eval().pool(TOKENS, MASK)
    every = TextClassifier(encoder, normalised=True, every_layer=True).eval().pool(TOKENS, MASK)
    assert torch.allclose(every[:, -8:], last, atol=1e-6)


def test_a_frozen_student_of_all_layers_serves_what_it_learned(tmp_path: Path) -> None:
    taught, dev = make_posts(40, seed=1, prefix="t"), make_posts(20, seed=2, prefix="d")
    learner = FrozenLearner([*taught, *dev], every_layer=True, cache=tmp_path / "vectors")
    assert learner.vectors.shape == (60, 6 * 384)
    alone = FrozenLearner([*taught, *dev], cache=tmp_path / "vectors")
    assert alone.vectors.shape == (60, 384), "the two are not kept under one name"
    lessons = gold_lessons(taught, TASK)
    pupil = learner.fit(lessons, loss=PnuSettings(gamma=0.0), seed=0)
    logits = pupil.logits([post.id for post in dev])

    folder = tmp_path / "student"
    write_student(folder, name="x", task=TASK, learner=learner, pupil=pupil, lexical=None, dev=dev, lessons=lessons)
    assert np.allclose(learner.load(folder).logits([post.id for post in dev]), logits, atol=1e-6)
    said = {
        runtime: TextStudent.load(folder, runtime=runtime).by_every_tower(dev)
        for runtime in ("torch", "model.onnx", "model.int8.onnx")
    }
    assert np.abs(said["model.onnx"] - said["torch"]).max() < 1e-4
    assert np.abs(said["model.int8.onnx"] - said["torch"]).max() < 0.05
