"""Self-training with a language model in the committee, through a recipe's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mild_posts import write_files
from tiny_models import save_llama

RECIPE = """
kind = "selftrain"
task = "drinks.toml"
labelled = "labelled.jsonl"
pool = "pool.jsonl"
dev = "dev.jsonl"
opinions = "opinions.jsonl"
export = false

[rounds]
batch = 60

[rounds.agreement]
source = "panel"
heard = "first"

[rounds.loss]
gamma = 0.0
weighting = "pooled"

[distillation]
members = 1

[distillation.language]
base = "base"
epochs = 1
lora_rank = 2
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe, its files and a tiny base model."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    Path("recipe.toml").write_text(RECIPE)
    save_llama(Path("base"))
    return tmp_path


def test_what_the_language_model_says_teaches_the_student_and_is_kept(tell: Any, here: Path) -> None:
    command = ("run", "recipe.toml", "--data", here, "--out", "run", "--json")
    code, out, err = tell(*command)
    assert code == 0, err
    said = Path("run/committee/language.npy")
    kept = said.stat().st_mtime_ns
    with_it = Path("run/distilled.jsonl").read_text()
    assert json.loads(out)["metrics"]["n"] == 40

    Path("run/student/card.json").unlink()
    assert tell(*command)[0] == 0
    assert said.stat().st_mtime_ns == kept, "it was not taught again"

    Path("recipe.toml").write_text(RECIPE.partition("[distillation.language]")[0])
    assert tell("run", "recipe.toml", "--data", here, "--out", "without", "--json")[0] == 0
    assert Path("without/distilled.jsonl").read_text() != with_it


def test_a_setting_that_it_does_not_have_is_named(tell: Any, here: Path) -> None:
    Path("recipe.toml").write_text(RECIPE + "shares = 2\n")
    code, _, err = tell("run", "recipe.toml", "--data", here, "--out", "run")
    assert code == 2
    assert "shares" in err
