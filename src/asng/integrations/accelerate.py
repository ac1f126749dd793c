"""One-shot search inside a training loop with Hugging Face's accelerate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from asng.checks import integer_at_least, require
from asng.integrations.trainers import TrainerSearch
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.runs.tensors import read_tensors, write_tensors
from asng.training import Objective

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["AcceleratedSearch"]

_FILE = "theta.pt"
"""The file of theta in the folder of `accelerator.save_state`."""


class AcceleratedSearch(TrainerSearch):
    """Searches an architecture in a training loop with accelerate: put `with search.step():` around a step.

    Within the block, the model follows an architecture drawn from theta. At its end, theta is updated if it
    is due, by architectures that are scored on held-out batches. Outside the block, the model follows the
    likeliest architecture.

    `accelerator.save_state` stores theta in a file of its own, `theta.pt`, and `load_state` resumes it: no
    pickle is read. In several processes, all draw the same architecture. Give the Accelerator
    `DistributedDataParallelKwargs(find_unused_parameters=True)`, because a step trains a part of the weights.

    Args:
        accelerator: The Accelerator, before or after `prepare`.
        supernet: A Supernet over the model that is given to `prepare`: `Supernet(model)` copies nothing.
        valid_loader: Held-out data on which architectures are scored; not prepared.
        steps: Steps of the whole training, at least 1.
        minimize: The function of (forward, batch) by which to select; lower is better.
        maximize: The same, but higher is better. Give one of the two.
        warmup: Share of the training before theta is updated, in [0, 1].
        every: Steps from one update of theta to the next, at least 1.
        lam: Architectures that are scored for an update, at least 2.
        optimizer: Optimiser of theta. Default: that of a one-shot search.
        seed: Seed of the draws, the same in all processes.

    Raises:
        InputError: An argument is not as described.
        RunError: The extra `accelerate` is not installed.

    Example:
        >>> search = AcceleratedSearch(accelerator, net, valid, steps=9, minimize=loss)  # doctest: +SKIP
        >>> for batch in loader:                                                        # doctest: +SKIP
        ...     with search.step():
        ...         accelerator.backward(loss(model, batch))
        ...         descent.step()
        ...         descent.zero_grad()
        >>> search.stop()                                                               # doctest: +SKIP
    """

    def __init__(
        self,
        accelerator: "Accelerator",
        supernet: Supernet,
        valid_loader: DataLoader[Any],
        *,
        steps: int,
        minimize: Objective | None = None,
        maximize: Objective | None = None,
        warmup: float = 0.5,
        every: int = 1,
        lam: int = 2,
        optimizer: Optimizer | None = None,
        seed: int = 0,
    ) -> None:
        require("accelerate", extra="accelerate")
        steps = integer_at_least("steps", steps, 1)
        super().__init__(
            supernet,
            valid_loader,
            minimize=minimize,
            maximize=maximize,
            warmup=warmup,
            every=every,
            lam=lam,
            optimizer=optimizer,
            seed=seed,
        )
        self._accelerator, self._steps = accelerator, steps
        self.around = accelerator.autocast
        accelerator.register_save_state_pre_hook(self._save)
        accelerator.register_load_state_pre_hook(self._load)
        self.start(steps)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Let the model follow a drawn architecture while the block runs, then count the step.

        After an error in the block, it follows the likeliest one again, and the step does not count.
        """
        self.begin_step()
        try:
            yield
        except BaseException:
            self.follow()
            raise
        self.end_step()

    def _save(self, models: Any, weights: Any, folder: str) -> None:
        if self._accelerator.is_main_process:
            write_tensors(Path(folder) / _FILE, self.state_dict())

    def _load(self, models: Any, folder: str) -> None:
        self.load_state_dict(read_tensors(Path(folder) / _FILE, "the state of a search"))
        self.start(self._steps)
