"""A spec is plain values: it travels to other processes and means the same judge there."""

from __future__ import annotations

import pickle
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from folkmoot.models import ScriptedModel
from folkmoot.recipes.judges import JudgeSpec, build_judge, configuration_of
from folkmoot.runs import Price

texts = st.none() | st.text(min_size=1, max_size=20)


@given(st.builds(JudgeSpec, student=texts, panel=texts, opinions=texts, task=texts, seed=st.integers(0, 2**31)))
def test_a_spec_survives_json_and_pickling(spec: JudgeSpec) -> None:
    assert JudgeSpec.from_line(spec.to_line()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_a_price_a_path_and_a_ledger_are_no_part_of_what_a_run_is() -> None:
    model = ScriptedModel(["{}"])
    spec = JudgeSpec(panel="direct", task="offensive")
    other = JudgeSpec(panel="direct", task="offensive", ledger="/x", price=Price(input_usd_per_million=3))
    judge = build_judge(spec, model=model)
    assert configuration_of(spec, judge, model) == configuration_of(other, judge, model)
    assert configuration_of(spec, judge, model) != configuration_of(spec.model_copy(update={"seed": 1}), judge, model)


def test_the_presets_of_recorded_opinions_are_two_judges(tmp_path: Path) -> None:
    (tmp_path / "O.jsonl").write_text('{"id":"a","agent":"user","label":"ok"}\n')
    spec = JudgeSpec(opinions=str(tmp_path / "O.jsonl"), task="offensive")
    names = {build_judge(spec.model_copy(update={"preset": preset})).name for preset in ("paper", "reference")}
    assert names == {"recorded:v1", "recorded-reference:v1"}
