"""Train the shared weights x on sampled architectures: the first half of a one-shot search step."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch

from asng.distributed import Comm, LocalComm
from asng.errors import InputError, in_one_line, located
from asng.nn import Supernet
from asng.search.callbacks import Callbacks
from asng.search.scorer import explained
from asng.space import Architecture
from asng.training.arguments import made_by, scheduled_by
from asng.training.data.nested import own_copy, to_device
from asng.training.data.stream import BatchStream
from asng.training.faults import OutOfMemory, lonely, refuse_other_weights
from asng.training.forward import ArchitectureForward
from asng.training.modes import Modes
from asng.training.objective import Loss, checked_loss, to_floats, unchanged
from asng.training.optimizers import MakeOptimizer, MakeScheduler

__all__ = ["Trainer", "copy_of", "weights_of"]

_ALONE = LocalComm()


class Trainer:
    """Trains the shared weights on the loss of sampled architectures, one batch per step.

    Args:
        supernet: Holds the weights x; those that require a gradient are trained.
        loss: f(x, c) on a batch.
        stream: Yields the training batches, the same in all processes.
        optimizer: Makes the optimiser from the weights.
        scheduler: Makes its schedule, which advances with every step; or None.
        clip: Maximum norm of the gradient, or None for no bound.
        modes: Switches the supernet to training mode.
        memory: Counts passes that do not fit into memory. If several processes train together, the error is
            raised instead, because none can continue without the others.
        comm: The processes.
        callbacks: The user's, which may scale losses, accumulate gradients, and update the weights.

    Raises:
        InputError: The supernet has no weight to train.
    """

    def __init__(
        self,
        supernet: Supernet,
        loss: Loss,
        *,
        stream: BatchStream,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None,
        clip: float | None,
        modes: Modes,
        memory: OutOfMemory,
        comm: Comm,
        callbacks: Callbacks | None = None,
    ) -> None:
        self.supernet, self.loss, self.stream, self.comm = supernet, loss, stream, comm
        self.parameters = [p for p in supernet.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("supernet: expected at least one weight to train, got none.")
        self.device = self.parameters[0].device
        self._named = dict(supernet.named_parameters())
        self._make, self._clip, self._modes, self._memory = (optimizer, scheduler), clip, modes, memory
        self._callbacks = Callbacks() if callbacks is None else callbacks
        self._last: tuple[Any, Sequence[Architecture]] = None, ()
        self._gathers = False  # whether the next step adds to gradients of earlier ones

    def begin(self, steps: int) -> None:
        """Make a new optimiser, and its schedule over `steps` steps.

        Raises:
            InputError: The function of the optimiser returns none, or its step needs a closure. That of
                the schedule returns none, or its step needs a metric.
        """
        make_optimizer, make_scheduler = self._make
        self.optimizer = made_by(make_optimizer, self.parameters, closure=self._callbacks.may_update)
        self._gathers = False
        self.scheduler = scheduled_by(make_scheduler, self.optimizer, steps)

    def step(self, architectures: Sequence[Architecture]) -> float:
        """Descend the mean loss of the architectures on the next batch, distributed over all processes.

        Weights that none of them used have no gradient, so the optimiser leaves them and their momentum
        alone. A step is skipped if its loss or gradient is not finite, which would destroy the shared
        weights, or if it does not fit into memory.

        Args:
            architectures: The lambda_x sampled ones, the same in all processes.

        Returns:
            Their mean loss; NaN if the step was skipped.

        Raises:
            InputError: The loss did not return a tensor of one number.
        """
        self._last = self._batch(), architectures
        return self._descend(*self._last, self.comm)

    def step_apart(self, architectures: Sequence[Architecture]) -> None:
        """Take one step for each architecture separately, each in its own process, all on the next batch.

        Args:
            architectures: At most one per process, the same at each call: each process holds the weights,
                the optimiser and the schedule of its own architecture.
        """
        batch = self._batch()  # in every process, to keep the order of batches the same in all
        comm = self.comm if self.comm.in_step else _ALONE
        self.comm.deal(
            len(architectures), lambda number: self._descend(batch, [architectures[number]], comm), float
        )

    def see_weights(self) -> None:
        """Check that the supernet still has the same weights as at the beginning.

        Raises:
            RunError: One was added or removed, so that the optimiser would train the wrong ones.
        """
        refuse_other_weights(self._named, self.supernet)

    @property
    def last_batch(self) -> Any:
        """The batch of the last step."""
        return self._last[0]

    def explain(self) -> str:
        """Return where the non-finite loss of the last step comes from."""
        return explained(self.supernet, self.loss, *self._last)

    def _batch(self) -> Any:
        self._modes.set(training=True)
        return to_device(self.stream.next(), self.device)

    def _descend(self, batch: Any, architectures: Sequence[Architecture], comm: Comm) -> float:
        if not self._gathers:
            self.optimizer.zero_grad(set_to_none=True)
        missed, updates = self._memory.count, self._callbacks.updates()
        values: list[float | torch.Tensor] = []
        alone = comm.size == 1 and not comm.in_step
        with self._memory.noted() if alone else nullcontext(), comm.apart():
            for architecture in comm.own(architectures):
                forward = ArchitectureForward(self.supernet, architecture)
                others = unchanged(batch, "loss", self.loss) if len(architectures) > 1 else nullcontext()
                with located(partial(_pass_of, architecture, batch)), others:
                    value = self.value(batch, forward) / len(architectures)
                    if value.requires_grad:  # else this architecture has no weights
                        self._callbacks.scaled(value).backward()  # type: ignore[no-untyped-call]
                values.append(value.detach())
        if self._memory.count > missed:
            self._memory.of(architectures[min(len(values), len(architectures) - 1)])
            self.optimizer.zero_grad(set_to_none=True)
            values = [math.nan]
        if comm.size > 1:
            values = [comm.reduce(sum(to_floats(values), 0.0), self.parameters if updates else [])]
        total, finite = self._update(values) if updates else self._gather(values)
        self._advance_schedule(skipped=not (finite and updates))
        return total if finite else math.nan

    def _gather(self, values: Sequence[float | torch.Tensor]) -> tuple[float, bool]:
        """Keep the gradients for the next step, unless the loss is not finite; return as `_update` does."""
        total = sum(to_floats(values), 0.0)
        self._gathers = math.isfinite(total)
        return total, self._gathers

    def _update(self, values: Sequence[float | torch.Tensor]) -> tuple[float, bool]:
        """Update the weights by the gradients of these losses.

        Returns:
            Their sum, and whether it and the gradients are finite; if not, the update is skipped.
        """
        self._gathers = False
        self._callbacks.tell("gradients", self.optimizer)
        used = [parameter for parameter in self.parameters if parameter.grad is not None]
        bound = math.inf if self._clip is None else self._clip
        norm = torch.nn.utils.clip_grad_norm_(used, bound, foreach=True)
        if hasattr(norm, "full_tensor"):  # of weights that are divided over processes
            norm = norm.full_tensor()
        # Read numbers only now: reading one waits for the GPU, which would then idle until new work comes.
        *losses, size = to_floats([*values, norm])
        total = sum(losses, 0.0)
        finite = math.isfinite(total) and math.isfinite(size)
        if not self._callbacks.update(self.optimizer, finite=finite) and finite:
            self.optimizer.step()
        return total, finite

    def value(self, batch: Any, forward: ArchitectureForward) -> torch.Tensor:
        """Return the loss of an architecture on a batch.

        Raises:
            InputError: It is not a tensor of one number.
        """
        return checked_loss(self.loss(forward, own_copy(batch)), self.loss)

    def _advance_schedule(self, *, skipped: bool) -> None:
        """Advance the schedule by one step, even if the update was skipped."""
        if self.scheduler is None:
            return
        with warnings.catch_warnings() if skipped else nullcontext():
            if skipped:  # torch would warn if this is the very first step
                warnings.filterwarnings("ignore", message=r".*before `optimizer\.step\(\)`")
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of optimiser and schedule, for a checkpoint."""
        schedule = None if self.scheduler is None else self.scheduler.state_dict()
        gathered = [p.grad for p in self.parameters] if self._gathers else []
        return {"optimizer": self.optimizer.state_dict(), "scheduler": schedule, "gradients": gathered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint.

        Raises:
            ValueError: Only one of checkpoint and trainer has a schedule.
        """
        if (state["scheduler"] is None) != (self.scheduler is None):
            raise ValueError("one of them has a scheduler and the other has none")
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self._gathers = bool(state["gradients"])
        for parameter, gradient in zip(self.parameters, state["gradients"], strict=False):
            parameter.grad = None if gradient is None else gradient.to(parameter.device)


def _pass_of(architecture: Architecture, batch: Any) -> str:
    return f"In a training pass of the architecture {in_one_line(dict(architecture))}.{lonely(batch)}"


def copy_of(supernet: Supernet) -> dict[str, Any]:
    """Return a copy of weights and buffers in main memory, which has more room than a GPU."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
        for name, value in supernet.state_dict().items()
    }


@contextmanager
def weights_of(supernet: Supernet, weights: Mapping[str, Any] | None) -> Iterator[None]:
    """Give a supernet other weights while the block runs; None leaves its own."""
    if weights is None:
        yield
        return
    own = copy_of(supernet)
    supernet.load_state_dict(weights)
    try:
        yield
    finally:
        supernet.load_state_dict(own)
