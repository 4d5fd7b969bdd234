"""A language model in the committee, on a tiny model of the real architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import save_llama

from folkmoot.records import BadInput, Label, Lesson, Membership, Post, Task
from folkmoot.training.distillation import CROSS_ENTROPY
from folkmoot.training.language_base import load_base
from folkmoot.training.language_member import LanguageMemberSettings, asked, label_tokens, language_logits

TASK = Task(name="drinks", question="Is it about tea?", positive="yes", labels=(Label(name="no"), Label(name="yes")))
POSTS = [Post(id=f"p{n}", text=f"{'tea' if n % 2 else 'rain'} {n}") for n in range(40)]
TEXTS = {post.id: post.text for post in POSTS}
TAUGHT = [
    Lesson(post=post.id, membership=Membership.AGREED_POSITIVE if n % 2 else Membership.AGREED_NEGATIVE,
           target=0.9 if n % 2 else 0.1, source="panel", round=1)
    for n, post in enumerate(POSTS[:20])
]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("base"))


def logits(base: Path, lessons: list[Lesson] = TAUGHT, seed: int = 0, **changes: int) -> NDArray[np.float32]:
    settings = LanguageMemberSettings.model_validate(
        {"base": str(base), "epochs": 6, "batch_size": 4, "learning_rate": 0.01, "lora_rank": 4, **changes}
    )
    return language_logits(POSTS, lessons, TEXTS, TASK, settings, CROSS_ENTROPY, seed=seed)


def test_it_learns_from_lessons_what_the_pool_is_about_and_repeats_itself(base: Path) -> None:
    found = logits(base)
    gold = np.array([n % 2 for n in range(40)], dtype=bool)
    assert found[20:][gold[20:]].mean() > found[20:][~gold[20:]].mean() + 0.5, "posts that it was not taught"
    assert np.array_equal(found, logits(base))
    assert not np.array_equal(found, logits(base, seed=1))


def test_posts_that_the_panel_disagreed_about_are_not_read_where_the_loss_has_no_use_for_them(base: Path) -> None:
    more = [*TAUGHT, Lesson(post="p30", membership=Membership.DISAGREED, source="panel", round=1)]
    assert np.array_equal(logits(base, epochs=1), logits(base, more, epochs=1))


def test_a_long_post_is_cut_and_the_question_never(base: Path) -> None:
    model = load_base(base)
    (row,) = asked(model, ["tea " * 500], TASK, max_tokens=10)
    text = model.tokenizer.decode(row)
    assert text.endswith("\nIs it about tea? Answer: ")
    assert len(row) == 10 + len(asked(model, [""], TASK, max_tokens=10)[0])


def test_labels_need_not_begin_with_different_tokens_but_must_be_two(base: Path) -> None:
    model = load_base(base)
    shared, words = label_tokens(model, TASK)
    assert model.tokenizer.decode([*shared, words[1]]) == " y", "the tiny tokenizer has a token for each byte"
    with pytest.raises(BadInput, match="decides between two labels"):
        label_tokens(model, TASK.model_copy(update={"labels": (*TASK.labels, Label(name="perhaps"))}))
    nested = TASK.model_copy(update={"labels": (Label(name="tea"), Label(name="teapot")), "positive": "teapot"})
    with pytest.raises(BadInput, match="one is the other's beginning"):
        label_tokens(model, nested)
