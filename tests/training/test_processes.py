"""Two real processes train as one does: copies joined by DDP, and FSDP's shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import several_processes
import torch
from launching import HERE, launch

Kept = dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kept, Kept]:
    """What two processes trained: their folder, and what each of them holds at the end."""
    folder = tmp_path_factory.mktemp("two")
    ended = launch(str(HERE / "several_processes.py"), str(folder))
    assert ended.returncode == 0, ended.stderr[-4000:]
    first, second = (torch.load(folder / f"kept-{number}.pt") for number in range(2))
    return folder, first, second


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What this process trains by itself, in every way."""
    folder, threads = tmp_path_factory.mktemp("one"), torch.get_num_threads()
    torch.set_num_threads(1)
    kept = {name: several_processes.train(folder / name, **changes) for name, changes in several_processes.RUNS.items()}
    kept["pictures"] = several_processes.train_on_pictures(folder / "pictures")
    yield folder, kept
    torch.set_num_threads(threads)


COPIES = [*several_processes.RUNS, "pictures"]
SHARDED = ["sharded-scpo", "sharded-all", "sharded-dpo", "sharded-pictures"]


@pytest.mark.parametrize("name", [*COPIES, *SHARDED])
def test_two_processes_learn_what_one_learns(
    name: str, two: tuple[Path, Kept, Kept], alone: tuple[Path, dict[str, Any]]
) -> None:
    same = name.removeprefix("sharded-")
    weights, trained = alone[1][same]
    first, second = (kept[name] for kept in two[1:])
    assert set(first[0]) == set(weights)
    for key, value in weights.items():
        torch.testing.assert_close(
            first[0][key], value, atol=2e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}"
        )
        assert torch.equal(first[0][key], second[0][key]), "both processes end with the same weights"
    assert first[1]["best_step"] == trained.best_step
    assert first[1]["best_dev"] == (pytest.approx(trained.best_dev, abs=1e-4) if trained.best_dev else None)
    steps = [(path / "steps.jsonl").read_text().splitlines() for path in (two[0] / name, alone[0] / same)]
    assert len(steps[0]) == len(steps[1]) == trained.steps, "one process of the two writes"


@pytest.mark.parametrize("name", ["cut", "sharded-cut"])
def test_a_run_of_two_processes_goes_on_to_the_same_bytes(name: str, two: tuple[Path, Kept, Kept]) -> None:
    folder, first, _ = two
    whole = name.replace("cut", "scpo")
    for key, value in first[whole][0].items():
        assert torch.equal(value, first[name][0][key]), key
    assert (folder / whole / "steps.jsonl").read_text() == (folder / name / "steps.jsonl").read_text()
