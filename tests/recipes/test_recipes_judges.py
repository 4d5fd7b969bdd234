"""From a spec to a judge, the same in another process."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

import pytest

from folkmoot.panels import PANELS
from folkmoot.panels.registry import ANSWERING
from folkmoot.recipes.judges import JudgeSpec, build_judge, find_judge
from folkmoot.records import BadInput, Judge

DEAD = "openai:m@http://127.0.0.1:9/v1"


def test_a_spec_survives_json_and_a_pickled_builder(tmp_path: Path) -> None:
    spec = JudgeSpec(panel="negotiation", task="offensive", model=DEAD, seed=3)
    assert JudgeSpec.model_validate_json(spec.model_dump_json()) == spec
    build = pickle.loads(pickle.dumps(functools.partial(build_judge, spec)))
    assert build().name == build_judge(spec).name == "negotiation:v1"


@pytest.mark.parametrize("panel", sorted(set(PANELS) - {"few_shot"}))
def test_every_panel_is_a_judge_by_its_name(panel: str) -> None:
    spec = find_judge(panel).model_copy(
        update={"task": "social_intent" if panel in ANSWERING else "offensive", "model": DEAD}
    )
    assert isinstance(build_judge(spec), Judge)


@pytest.mark.parametrize("spec", [JudgeSpec(), JudgeSpec(student="somewhere", panel="direct")])
def test_no_judge_and_two_judges_are_refused(spec: JudgeSpec) -> None:
    with pytest.raises(BadInput, match="exactly one judge"):
        build_judge(spec)


def test_a_folder_without_a_card_is_no_judge_and_a_slip_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"card\.json nor language_card\.json.*'folkmoot distill'"):
        find_judge(str(tmp_path))
    with pytest.raises(BadInput, match="'negotiation'"):
        find_judge("negotation")


def test_a_runs_folder_stands_for_the_student_in_it(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "card.json").write_text("{}")
    assert find_judge(str(tmp_path)) == find_judge(str(tmp_path / "student"))


def test_a_societys_loop_stands_for_the_student_that_its_last_step_left(tmp_path: Path) -> None:
    (tmp_path / "student" / "student").mkdir(parents=True)
    (tmp_path / "student" / "student" / "language_card.json").write_text("{}")
    assert find_judge(str(tmp_path)).student == str(tmp_path / "student" / "student")
    assert find_judge(str(tmp_path / "student")) == find_judge(str(tmp_path))


def test_anchored_paths_do_not_depend_on_where_a_worker_runs(tmp_path: Path) -> None:
    spec = JudgeSpec(opinions="O.jsonl", task="mine.toml", model="replay:runs/x").anchored(tmp_path)
    assert spec.opinions == str(tmp_path / "O.jsonl")
    assert spec.task == str(tmp_path / "mine.toml")
    assert spec.model == f"replay:{tmp_path / 'runs/x'}"
