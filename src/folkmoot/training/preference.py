"""Training a language model on preference pairs: SFT, DPO, ORPO or SCPO, resumable to the same bytes.

Paper: "Thinking as Society" (SCPO), ICLR 2026; Hong et al. 2024 (ORPO).
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, StrictBool
from torch import Tensor

from folkmoot.records import BadInput, FolkmootError, Record
from folkmoot.runs.atomic import atomic_folder, write_atomically
from folkmoot.students.branching import Likelihood, transformers_model
from folkmoot.training.lora import LoraTraining, adapted, schedule
from folkmoot.training.preference_losses import dpo, orpo, scpo, sft
from folkmoot.training.processes import Processes, optimiser_state, placed, restore_optimiser, whole
from folkmoot.training.self_training import seed_of
from folkmoot.training.shared_prefix import PairLikelihoods, PreferenceForward, TokenPair

STEPS_FILE = "steps.jsonl"
STATE_FOLDER = "state"
BUCKET_BATCHES = 16
"""Batches cut from one length-sorted stretch of the shuffled pairs: less padding, still random. Chosen."""


class PreferenceSettings(LoraTraining):
    """How a language model learns from pairs. lambda = 0.1 and omega = 1 are our choice: the paper gives none."""

    loss: Literal["sft", "dpo", "orpo", "scpo"] = "scpo"
    lam: float = Field(default=0.1, ge=0)
    """Weight of the odds-ratio term."""
    omega: float = Field(default=1.0, ge=0)
    """How much more a post weighs on which the whole society was wrong; 0 is ORPO."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's."""
    nll: Literal["response", "all"] = "response"
    """What the SFT term learns; `all` adds the prompt, as TRL and the released ORPO code do."""
    batch_size: int = Field(default=4, gt=0)
    """Pairs a step."""
    shared_prefix: StrictBool = True
    gradient_checkpointing: StrictBool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the passes are computed in; losses are float32 always."""
    max_tokens: int | None = Field(default=None, gt=1)
    keep_every: int = Field(default=20, gt=0)
    """Steps between two states that a killed run can go on from."""
    dev_every: int | None = Field(default=None, gt=0)
    """Steps between two looks at dev; at the end of each epoch by default."""
    patience: int | None = Field(default=None, gt=0)
    """Looks at dev without a better score after which training stops."""
    seed: int = 0


class Step(Record):
    """One line of `steps.jsonl`. `margin` is the mean difference of the responses' mean log-likelihoods."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    chosen: float
    rejected: float | None = None
    margin: float | None = None
    dev: float | None = None


class Trained(Record):
    """How training ended: steps taken, the best dev score and its step (the last step without dev), losses."""

    steps: int
    best_step: int
    best_dev: float | None = None
    stopped_early: bool = False
    first_loss: float
    last_loss: float


class LossNotFinite(FolkmootError):
    """The loss became NaN or infinite."""


ScoreDev = Callable[[Any], float]
"""The score of the model on dev, higher is better; called in eval mode without gradients."""


def train_preference(
    model: Any,
    pairs: Mapping[str, TokenPair],
    settings: PreferenceSettings,
    folder: Path,
    *,
    padding: int,
    score_dev: ScoreDev | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> tuple[Any, Trained]:
    """The trained model (adapters in place) and how training went; `folder` holds its states and `steps.jsonl`.

    The same pairs, settings, threads and processes give the same weights, also where the run was killed in between:
    order and dropout depend on seed and step alone. With dev, the weights of the best look are the ones that come back.
    Of several processes each reads its share of every batch, each scores dev, and the main one writes; a run may go on
    with another number of them.

    Args:
        model: a transformers model, not yet adapted; see `language_base.load_base`.
        pairs: by id; see `preference_pairs.tokenize_pairs`.
        padding: the id of the padding token.

    Raises:
        LossNotFinite: names the step and the pairs; the last state before it is kept.
        BadInput: FSDP is configured in its first version, or the machines of a run don't see the same folder.
        MissingExtra: peft or accelerate is not installed.
    """
    processes = Processes.start(unused_weights=settings.lora_rank == 0)
    torch.manual_seed(settings.seed)
    model = adapted(model, settings)
    if settings.gradient_checkpointing:
        transformers_model(model).activation_checkpointing_enable(
            activation_checkpointing_kwargs={"use_reentrant": False}
        )
        transformers_model(model).enable_input_require_grads()
    reader = PreferenceForward(model, padding=padding, shared_prefix=settings.shared_prefix)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser: Any = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = -(-len(pairs) // settings.batch_size) * settings.epochs
    if processes.is_main:
        clean_up(folder)
    processes.wait()
    held = read_state(folder)
    reader, optimiser = processes.prepare(reader, optimiser)
    trained = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    before = reference_likelihoods(reader, pairs, settings, folder, processes) if settings.loss == "dpo" else {}
    progress = Progress()
    if held is not None:
        progress = Progress.model_validate_json((held / "progress.json").read_text())
    if processes.agreed(progress.step) != progress.step:
        raise BadInput(f"{folder} is not what the main process sees there; all machines need the same run folder")
    if held is not None:
        restore(held, trained, optimiser)
    if processes.is_main:
        cut_steps(folder / STEPS_FILE, progress.step)
    with (folder / STEPS_FILE if processes.is_main else Path(os.devnull)).open("a") as log:
        for step, names in enumerate(batches(pairs, settings), start=1):
            if step <= progress.step:
                continue
            if settings.patience is not None and progress.looks_without_gain >= settings.patience:
                break
            rate = settings.learning_rate * schedule(step, steps, settings.warm_up)
            for group in optimiser.param_groups:
                group["lr"] = rate
            own = () if processes.is_main else (processes.number,)
            torch.manual_seed(seed_of(settings.seed, "step", step, *own))
            reader.train()
            batch = [pairs[name] for name in names]
            rows = processes.share(len(batch))
            with torch.autocast(processes.device.type, torch.bfloat16, enabled=settings.dtype == "bfloat16"):
                # SFT spends nothing on the rejected responses.
                read = reader(
                    [batch[row] for row in rows or [0]],
                    with_prompt=settings.nll == "all",
                    only_chosen=settings.loss == "sft",
                )
            read = processes.joined(read, rows, len(batch))
            loss = loss_of(read, batch, settings, [before[name] for name in names] if before else None)
            if not torch.isfinite(loss):
                raise LossNotFinite(
                    f"The loss became {loss.item()} at step {step}, on the pairs {', '.join(names)}. The state of step "
                    f"{last_kept(folder)} is kept in {folder}; lower the learning rate or leave these pairs out."
                )
            optimiser.zero_grad()
            processes.backward(loss)
            norm = processes.clip(trained, settings.clip_norm)
            optimiser.step()
            score, better = None, False
            if score_dev is not None and looks_at_dev(step, steps, len(pairs), settings):
                reader.eval()
                with processes.readable(), torch.no_grad():
                    score = processes.agreed(score_dev(model))
                better = progress.best_dev is None or score > progress.best_dev
            progress = progress.after(step, loss.item(), score, better)
            if better:
                keep(folder / "best", trained, None, progress, processes)
            log.write(step_record(step, loss, rate, norm, read, score).to_line() + "\n")
            log.flush()
            if step % settings.keep_every == 0 or step == steps or score is not None:
                keep(folder / STATE_FOLDER, trained, optimiser, progress, processes)
            if on_step:
                on_step(step, steps)
    processes.wait()
    if score_dev is not None and (folder / "best").is_dir():
        restore(folder / "best", trained, None)
    model = processes.close(model)
    model.eval()
    return model, Trained(
        steps=progress.step, best_step=progress.best_step or progress.step, best_dev=progress.best_dev,
        stopped_early=progress.step < steps, first_loss=progress.first_loss, last_loss=progress.last_loss,
    )  # fmt: skip


class Progress(Record):
    """How far a run is, beside its weights."""

    step: int = 0
    best_step: int | None = None
    best_dev: float | None = None
    looks_without_gain: int = 0
    first_loss: float = math.nan
    last_loss: float = math.nan

    def after(self, step: int, loss: float, score: float | None, better: bool) -> Progress:
        """The progress once this step is done."""
        update: dict[str, Any] = {"step": step, "last_loss": loss}
        if self.step == 0:
            update["first_loss"] = loss
        if score is not None:
            update["looks_without_gain"] = 0 if better else self.looks_without_gain + 1
        if better:
            update |= {"best_step": step, "best_dev": score}
        return self.model_copy(update=update)


def loss_of(
    read: PairLikelihoods,
    batch: Sequence[TokenPair],
    settings: PreferenceSettings,
    before: Sequence[tuple[float, float]] | None = None,
) -> Tensor:
    """The chosen loss of a batch. Scalar."""
    learned = read.chosen if read.prompt is None else Likelihood(
        read.chosen.log_prob + read.prompt.log_prob, read.chosen.tokens + read.prompt.tokens
    )  # fmt: skip
    match settings.loss:
        case "sft":
            return sft(learned)
        case "orpo":
            return orpo(read.chosen, read.rejected, lam=settings.lam, nll=learned)
        case "scpo":
            correction = read.chosen.log_prob.new_tensor([pair.correction for pair in batch])
            return scpo(read.chosen, read.rejected, correction, lam=settings.lam, omega=settings.omega, nll=learned)
    reference = read.chosen.log_prob.new_tensor(before)
    return dpo(read.chosen, read.rejected, reference[:, 0], reference[:, 1], beta=settings.beta)


def reference_likelihoods(
    reader: PreferenceForward,
    pairs: Mapping[str, TokenPair],
    settings: PreferenceSettings,
    folder: Path,
    processes: Processes,
) -> dict[str, tuple[float, float]]:
    """Each pair's summed log-likelihoods under the model before training, read once and kept in `reference.json`."""
    path = folder / "reference.json"
    if not path.exists():
        values: dict[str, tuple[float, float]] = {}
        names = sorted(pairs, key=lambda name: pairs[name].tokens)
        groups = [names[at : at + settings.batch_size] for at in range(0, len(names), settings.batch_size)]
        reader.eval()
        with torch.no_grad():
            for at in range(0, len(groups), processes.count):
                # All read as often as the others, the last ones perhaps a group that another reads too.
                group = groups[min(at + processes.number, len(groups) - 1)]
                read = reader([pairs[name] for name in group])
                both = zip(read.chosen.log_prob.tolist(), read.rejected.log_prob.tolist(), strict=True)
                values |= dict(zip(group, both, strict=True))
        values = processes.gathered(values)
        if processes.is_main:
            write_atomically(path, json.dumps(values))
        processes.wait()
    held: dict[str, tuple[float, float]] = json.loads(path.read_text())
    return held


def batches(pairs: Mapping[str, TokenPair], settings: PreferenceSettings) -> Iterator[list[str]]:
    """The ids of each step's pairs: every pair once an epoch, of similar length within a batch, in random order."""
    for epoch in range(settings.epochs):
        dice = np.random.default_rng(seed_of(settings.seed, "epoch", epoch))
        order = [list(pairs)[row] for row in dice.permutation(len(pairs))]
        cut: list[list[str]] = []
        for start in range(0, len(order), settings.batch_size * BUCKET_BATCHES):
            stretch = order[start : start + settings.batch_size * BUCKET_BATCHES]
            stretch.sort(key=lambda name: pairs[name].tokens)
            cut += [stretch[at : at + settings.batch_size] for at in range(0, len(stretch), settings.batch_size)]
        yield from (cut[row] for row in dice.permutation(len(cut)))


def looks_at_dev(step: int, steps: int, pairs: int, settings: PreferenceSettings) -> bool:
    """Whether dev is scored after this step."""
    every = settings.dev_every or -(-pairs // settings.batch_size)
    return step % every == 0 or step == steps


def step_record(step: int, loss: Tensor, rate: float, norm: float, read: PairLikelihoods, score: float | None) -> Step:
    """A step as it is logged."""
    chosen = read.chosen.mean().mean().item()
    rejected = read.rejected.mean().mean().item() if bool((read.rejected.tokens > 0).all()) else None
    return Step(
        step=step, loss=loss.item(), learning_rate=rate, gradient_norm=norm, chosen=chosen, rejected=rejected,
        margin=None if rejected is None else chosen - rejected, dev=score,
    )  # fmt: skip


def keep(folder: Path, trained: Sequence[Tensor], optimiser: Any, progress: Progress, processes: Processes) -> None:
    """Writes the trained weights, the optimiser's state and how far the run is, whole or not at all."""
    weights = [whole(parameter) for parameter in trained]
    state = None if optimiser is None else optimiser_state(optimiser)
    if not processes.is_main:
        return
    with atomic_folder(folder) as draft:
        torch.save(weights, draft / "weights.pt")
        if state is not None:
            torch.save(state, draft / "optimiser.pt")
        (draft / "progress.json").write_text(progress.to_line())


def restore(folder: Path, trained: Sequence[Tensor], optimiser: Any) -> None:
    """Puts kept weights, and the optimiser's state, back in place."""
    with torch.no_grad():
        for parameter, kept in zip(trained, torch.load(folder / "weights.pt", weights_only=True), strict=True):
            parameter.copy_(placed(kept, parameter))
    if optimiser is not None:
        restore_optimiser(optimiser, torch.load(folder / "optimiser.pt", weights_only=True))


def clean_up(folder: Path) -> None:
    """Makes the folder, or takes out what a killed process had half written."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)


def read_state(folder: Path) -> Path | None:
    """The last state that a run left, or None where it left none."""
    held = folder / STATE_FOLDER
    return held if (held / "progress.json").is_file() else None


def last_kept(folder: Path) -> int:
    """The step of the last state that was kept, 0 where there is none."""
    held = folder / STATE_FOLDER / "progress.json"
    return Progress.model_validate_json(held.read_text()).step if held.is_file() else 0


def cut_steps(path: Path, step: int) -> None:
    """Takes the lines behind the kept state out of the log: these steps are taken again."""
    if path.exists():
        lines = path.read_text().splitlines()[:step]
        write_atomically(path, "".join(line + "\n" for line in lines))
