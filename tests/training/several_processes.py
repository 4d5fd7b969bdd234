"""What each of several processes does in the tests: trains a tiny model in every way; the main one keeps the weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from tiny_models import llama, qwen2_vl

from folkmoot.students.branching import read_answers
from folkmoot.training.preference import PreferenceSettings, train_preference
from folkmoot.training.processes import Processes
from folkmoot.training.shared_prefix import TokenPair

QUICK = {"batch_size": 3, "learning_rate": 5e-3, "lora_rank": 4, "keep_every": 2, "epochs": 2}
RUNS: dict[str, dict[str, Any]] = {
    "scpo": {},
    "all": {"loss": "orpo", "nll": "all", "lora_rank": 0},
    "dpo": {"loss": "dpo"},
    "sft": {"loss": "sft", "gradient_checkpointing": True},
}
"""The losses, with ten pairs in batches of three: in the last batch of an epoch one process has no pair."""


def pairs() -> dict[str, TokenPair]:
    return {
        f"p{n}": TokenPair([1 + n, 7, 9][: 1 + n % 3], [20 + n, 5, 6][: 2 + n % 2], [40 + n, 8], correction=n / 10)
        for n in range(10)
    }


class Killed(Exception):
    """Ends a run in the middle."""


def score(model: Any) -> float:
    """Dev: how likely the chosen answers are, past the reader."""
    both = [pair.with_answers(pair.chosen) for pair in pairs().values()]
    (chosen,), _ = read_answers(model, both, padding=0, kinds=(1,))
    return float(chosen.mean().mean())


def pictures() -> dict[str, TokenPair]:
    """Pairs of which every second has a picture: one process reads it and the other text."""
    from test_shared_prefix import picture_pairs

    first, second, text = picture_pairs(qwen2_vl())
    return {name: pair for n in range(3) for name, pair in ((f"a{n}", first), (f"b{n}", text), (f"c{n}", second))}


def train_on_pictures(folder: Path) -> tuple[dict[str, torch.Tensor], Any]:
    settings = PreferenceSettings.model_validate({**QUICK, "batch_size": 2, "loss": "dpo", "epochs": 1})
    model, trained = train_preference(qwen2_vl(), pictures(), settings, folder, padding=0)
    return {name: value.detach().clone() for name, value in model.state_dict().items()}, trained


def train(folder: Path, *, kill_at: int | None = None, **changes: Any) -> tuple[dict[str, torch.Tensor], Any]:
    def on_step(done: int, total: int) -> None:
        if done == kill_at:
            raise Killed

    settings = PreferenceSettings.model_validate({**QUICK, **changes})
    model, trained = train_preference(
        llama(), pairs(), settings, folder, padding=0, score_dev=score, on_step=on_step
    )  # fmt: skip
    return {name: value.detach().clone() for name, value in model.state_dict().items()}, trained


def sharded(**_: Any) -> Processes:
    """FSDP on a CPU, which accelerate offers on accelerators only."""
    from accelerate import Accelerator
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    accelerate = Accelerator(cpu=True)
    accelerate.state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, cpu_ram_efficient_loading=False, auto_wrap_policy="transformer_based_wrap"
    )
    accelerate.state.distributed_type = DistributedType.FSDP
    return Processes(accelerate)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    kept = {name: train(folder / name, **changes) for name, changes in RUNS.items()}
    try:
        train(folder / "cut", kill_at=5)
    except Killed:
        kept["cut"] = train(folder / "cut")
    kept["pictures"] = train_on_pictures(folder / "pictures")
    processes = Processes.start()
    Processes.start = sharded  # type: ignore[method-assign, assignment]
    for name in ("scpo", "all", "dpo"):
        kept[f"sharded-{name}"] = train(folder / f"sharded-{name}", **RUNS[name])
    kept["sharded-pictures"] = train_on_pictures(folder / "sharded-pictures")
    try:
        train(folder / "sharded-cut", kill_at=5)
    except Killed:
        kept["sharded-cut"] = train(folder / "sharded-cut")
    torch.save(
        {name: (weights, trained.model_dump()) for name, (weights, trained) in kept.items()},
        folder / f"kept-{processes.number}.pt",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
