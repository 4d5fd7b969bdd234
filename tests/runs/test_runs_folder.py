import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges_for_runs import posts, verdict_on

from folkmoot.records import BadInput, BadRecord, Outcome, RunMismatch, StorageFailed
from folkmoot.runs import Ledger, RunFolder
from folkmoot.runs.manifest import make_manifest, manifest_text, with_versions

CONFIGURATION = {
    "task": "tone", "seed": 7, "panel": {"name": "negotiation:v1", "gamma": 0.1, "rounds": [0, 1]}, "student": None,
}  # fmt: skip


def test_the_manifest_holds_configuration_inputs_and_versions(tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text("{}")
    with RunFolder.open(tmp_path / "run", CONFIGURATION, inputs={"posts": tmp_path / "posts.jsonl"}) as run:
        held = tomllib.loads(run.file("run.toml").read_text())
    assert held["configuration"] == {k: v for k, v in CONFIGURATION.items() if v is not None}
    assert held["inputs"]["posts"]["sha256"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert held["packages"]["pydantic"]
    assert RunFolder.read(tmp_path / "run").configuration == held["configuration"]


def test_the_same_configuration_resumes_and_leaves_the_manifest_as_it_was(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, CONFIGURATION) as run:
        run.verdict_log.append(verdict_on(posts(1)[0]))
        run.ledger.begin("k", {}, "m")
    before = (tmp_path / "run.toml").read_bytes()
    with RunFolder.open(tmp_path, dict(reversed(CONFIGURATION.items()))) as run:
        assert run.verdict_log.outcome("p0") is Outcome.LABELLED
        assert run.ledger.totals().lost_in_flight == 1
    assert (tmp_path / "run.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"seed": 8}, "'seed'"),
        ({"panel": {"name": "negotiation:v1", "gamma": 0.2, "rounds": [0, 1]}}, "'panel.gamma'"),
        ({"panel": {"name": "negotiation:v1", "gamma": 0.1, "rounds": [1, 0]}}, "'panel.rounds'"),
        ({"student": "runs/x"}, "'student'"),
        ({"seed": 7.0}, "'seed'"),
    ],
)
def test_another_configuration_is_refused_by_the_name_of_its_key(tmp_path: Path, change: Any, key: str) -> None:
    RunFolder.open(tmp_path, CONFIGURATION).close()
    with pytest.raises(RunMismatch, match=key):
        RunFolder.open(tmp_path, CONFIGURATION | change)
    RunFolder.open(tmp_path, CONFIGURATION).close()  # the refusal gave the lock back


def test_an_input_may_move_but_not_change(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text("one")
    second.write_text("one")
    RunFolder.open(tmp_path / "run", {}, inputs={"posts": first}).close()
    RunFolder.open(tmp_path / "run", {}, inputs={"posts": second}).close()
    second.write_text("two")
    with pytest.raises(RunMismatch, match=r"inputs\.posts"):
        RunFolder.open(tmp_path / "run", {}, inputs={"posts": second})


def test_a_folder_as_an_input_is_known_by_all_of_its_files(tmp_path: Path) -> None:
    student = tmp_path / "student"
    (student / "deep").mkdir(parents=True)
    (student / "deep" / "card.json").write_text("{}")
    RunFolder.open(tmp_path / "run", {}, inputs={"student": student}).close()
    RunFolder.open(tmp_path / "run", {}, inputs={"student": student}).close()
    (student / "deep" / "card.json").write_text("[]")
    with pytest.raises(RunMismatch, match=r"inputs\.student"):
        RunFolder.open(tmp_path / "run", {}, inputs={"student": student})


def test_a_missing_input_is_named_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'posts' at .*gone\.jsonl"):
        RunFolder.open(tmp_path / "run", {}, inputs={"posts": tmp_path / "gone.jsonl"})
    assert not (tmp_path / "run").exists()


def test_one_process_at_a_time_holds_the_folder(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, {}):
        with pytest.raises(BadInput, match=r"process \d+ is running in it"):
            RunFolder.open(tmp_path, {})
        RunFolder.read(tmp_path).close()
    RunFolder.open(tmp_path, {}).close()


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    opening = f"from folkmoot.runs import RunFolder; RunFolder.open({str(tmp_path)!r}, {{}})"
    code = f"import os; {opening}; os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    RunFolder.open(tmp_path, {}).close()


def test_a_folder_with_other_files_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(BadInput, match=r"holds 'thesis\.docx'"):
        RunFolder.open(tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    with pytest.raises(BadInput, match="it is a file"):
        RunFolder.open(tmp_path / "thesis.docx", {})


def test_reading_needs_a_run_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no 'run\.toml'"):
        RunFolder.read(tmp_path)
    RunFolder.open(tmp_path, {}).close()
    run = RunFolder.read(tmp_path)
    assert run.verdict_log.verdicts() == {}
    with pytest.raises(StorageFailed, match="no such file"):
        _ = run.ledger
    assert not (tmp_path / "ledger.sqlite").exists()


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("task = ")
    with pytest.raises(BadRecord, match=r"run\.toml: not a run's manifest"):
        RunFolder.open(tmp_path, {})


def test_a_full_disk_is_a_storage_failure_and_gives_the_lock_back(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageFailed, match=r"run\.toml failed: No space left"):
            RunFolder.open(tmp_path / "run", {})
    RunFolder.open(tmp_path / "run", {}).close()


def test_versions_that_change_between_two_starts_are_both_kept() -> None:
    held = {"configuration": {}, "inputs": {}, "packages": {"numpy": "2.0", "torch": ["1", "2"]}}
    assert with_versions(held, {"numpy": "2.1", "torch": "2", "ray": "3"})["packages"] == {
        "numpy": ["2.0", "2.1"], "torch": ["1", "2"], "ray": "3",
    }  # fmt: skip


def test_metrics_are_written_as_json_that_other_programs_read(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, {}) as run:
        run.write_metrics({"macro_f1": 0.5, "n": 3})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"macro_f1": 0.5, "n": 3}


def test_a_value_without_a_form_in_toml_is_named() -> None:
    with pytest.raises(BadInput, match=r"'panel\.judge' is a object"):
        make_manifest({"panel": {"judge": object()}}, {})


values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda value: st.lists(value, max_size=4) | st.dictionaries(st.text(), value, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), values, max_size=5))
def test_any_configuration_survives_being_written_as_toml(configuration: dict[str, Any]) -> None:
    manifest = make_manifest(configuration, {})
    assert tomllib.loads(manifest_text(manifest))["configuration"] == configuration


def test_the_ledger_of_a_run_lies_where_the_design_says(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, {}) as run:
        assert run.ledger is run.ledger
        run.ledger.finish(run.ledger.begin("k", {}, "m"), "k", reply={})
    assert Ledger(tmp_path / "ledger.sqlite", read_only=True).get("k") is not None
