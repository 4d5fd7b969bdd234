"""Several processes that train one model, as `accelerate launch` or torchrun starts them: plain copies, or FSDP's shards.

Each step's batch is shared out, and every process takes the loss of the whole batch: what the others read comes in as
numbers, what it read itself with its gradient. So any loss is exact, also one that divides by all tokens of a batch, and
what is learned does not depend on how many processes there are, but for rounding and the draws of dropout.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from folkmoot.records import BadInput, MissingExtra
from folkmoot.students.branching import Likelihood, transformers_model
from folkmoot.training.shared_prefix import PairLikelihoods, PreferenceForward


class Processes:
    """This process among those that train together; alone where nothing started more.

    Everything here but `share` and the properties is done by all of them at once.

    Args:
        accelerate: accelerate's view of the machines, their devices and the user's configuration.
    """

    def __init__(self, accelerate: Any) -> None:
        self._accelerate = accelerate
        self.sharded = bool(accelerate.distributed_type == "FSDP")
        """Whether each holds only a part of the weights (FSDP)."""
        self._bare: Any = None
        self._prepared: Any = None

    @classmethod
    def start(cls, *, unused_weights: bool = False) -> Processes:
        """The processes that were started, found in the environment.

        Args:
            unused_weights: some weights may take no part in a batch (a vision tower without a picture).

        Raises:
            BadInput: FSDP is configured in its first version, whose flattened weights have no names.
            MissingExtra: accelerate is not installed.
        """
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ImportError:
            raise MissingExtra("Training a language model", "distill") from None
        several = int(os.environ.get("WORLD_SIZE", "1")) > 1
        found = Accelerator(
            cpu=several and not torch.accelerator.is_available(),  # else accelerate takes each for a process alone
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=unused_weights)],
        )
        plugin = found.state.fsdp_plugin if found.distributed_type == "FSDP" else None
        if plugin is not None and plugin.fsdp_version != 2:
            raise BadInput("accelerate's configuration asks for FSDP version 1; set 'fsdp_version: 2' in it")
        if plugin is not None:
            plugin.cpu_ram_efficient_loading = False  # every process loads the weights itself
            os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # transformers asks here
        return cls(found)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._accelerate.num_processes)

    @property
    def number(self) -> int:
        """Which one this is, from 0."""
        return int(self._accelerate.process_index)

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return bool(self._accelerate.is_main_process)

    @property
    def device(self) -> torch.device:
        """Where this one computes."""
        device: torch.device = self._accelerate.device
        return device

    def wait(self) -> None:
        """Returns once all have come here."""
        self._accelerate.wait_for_everyone()

    def share(self, size: int) -> list[int]:
        """The rows of a batch that this process reads: every `count`-th; none where there are too few."""
        return list(range(self.number, size, self.count))

    def prepare(self, reader: PreferenceForward, optimiser: Any) -> tuple[Any, Any]:
        """The reader and its optimiser on this process's device, their gradients joined with the others'."""
        if self.sharded:
            self._bare = without_weights(reader)
        self._prepared, optimiser = self._accelerate.prepare(reader, optimiser)
        return self._prepared, optimiser

    def joined(self, read: PairLikelihoods, rows: Sequence[int], size: int) -> PairLikelihoods:
        """The likelihoods of the whole batch of `size`, of which this process read `rows`.

        Without rows it has read any pair, for its gradient of zero: the others wait for one.
        """
        if self.count == 1:
            return read
        parts = [part for part in read if part is not None]
        held = torch.zeros(2 * len(parts), size, device=parts[0].log_prob.device)
        if rows:
            for number, part in enumerate(parts):
                held[2 * number, list(rows)] = part.log_prob.detach()
                held[2 * number + 1, list(rows)] = part.tokens.float()
        held = self._accelerate.reduce(held, reduction="sum")
        where = torch.tensor(list(rows) or [0], device=held.device)
        whole = [
            Likelihood(
                held[2 * n].index_add(0, where, (part.log_prob - part.log_prob.detach()) * bool(rows)),
                held[2 * n + 1].round().long(),
            )
            for n, part in enumerate(parts)
        ]
        return PairLikelihoods(whole[0], whole[1], whole[2] if read.prompt is not None else None)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a loss of the whole batch, of which each process holds its own rows' part."""
        self._accelerate.backward(loss * self.count)  # what joins the gradients takes their mean

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> float:
        """Scales the gradients down to a norm of `most`; the norm before."""
        return float(self._accelerate.clip_grad_norm_(parameters, most))

    def agreed(self, value: float) -> float:
        """The main process's value, so that all decide alike."""
        if self.count == 1:
            return value
        held = torch.tensor(value if self.is_main else 0.0, dtype=torch.float64, device=self.device)
        return float(self._accelerate.reduce(held, reduction="sum"))

    def gathered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What all of them know, together."""
        if self.count == 1:
            return dict(values)
        from accelerate.utils import gather_object

        return {name: value for part in gather_object([dict(values)]) for name, value in part.items()}

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Within it the model may be used past the reader's own `forward`, by all processes in step."""
        if self.sharded:
            self._prepared.unshard()
        yield
        if self.sharded:
            self._prepared.reshard()

    def close(self, model: Any) -> Any:
        """The trained model, whole and on this process alone; nothing joins its gradients any more."""
        if self.sharded:
            held = {name: whole(value) for name, value in self._prepared.state_dict().items()}
            self._bare.load_state_dict(held, assign=True)
            model = self._bare.model
            transformers_model(model).tie_weights()
        self._prepared = self._bare = None
        self._accelerate.free_memory()
        return model


def whole(value: Tensor) -> Tensor:
    """A tensor on the CPU, put together where each process holds a part of it (all must ask)."""
    full = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.detach().cpu()


def placed(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor as `like` lies: this process's part of it where `like` is shared out."""
    if not hasattr(like, "full_tensor"):
        return value.to(like.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def optimiser_state(optimiser: Any) -> dict[str, Any]:
    """An optimiser's state with every tensor whole (all processes must ask)."""
    held = optimiser.state_dict()
    moments = {
        number: {name: whole(value) if isinstance(value, Tensor) else value for name, value in row.items()}
        for number, row in held["state"].items()
    }
    return {**held, "state": moments}


def restore_optimiser(optimiser: Any, held: Mapping[str, Any]) -> None:
    """Puts a kept state back, shared out as the weights are."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    moments = {
        number: {
            name: placed(value, weights[number]) if isinstance(value, Tensor) and value.ndim else value
            for name, value in row.items()
        }
        for number, row in held["state"].items()
    }
    optimiser.load_state_dict({**held, "state": moments})


def without_weights(module: nn.Module) -> nn.Module:
    """A copy of a module whose weights take no memory and wait to be loaded; its buffers are kept."""
    empty: dict[int, Any] = {
        id(weight): nn.Parameter(torch.empty_like(weight, device="meta"), requires_grad=weight.requires_grad)
        for weight in module.parameters()
    }
    return copy.deepcopy(module, empty)
