"""What a search found."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.errors import InputError
from asng.nn import Supernet
from asng.search.batch_norm import recalibrate
from asng.search.child import example_inputs, save_child
from asng.search.modes import cuda_devices, kept_modes
from asng.search.objective import Loss
from asng.space import Architecture

__all__ = ["SearchResult"]


@dataclass
class SearchResult:
    """The found architecture, and what was made of it.

    Attributes:
        architecture: The most likely one at the end; under a budget, the most likely one found within it.
        supernet: With the weights at the end of the search.
        loss: The training loss of the search.
        train_loader: The training data of the search.
        steps: How many steps were taken.
        seconds: How long they took.
        reason: Why the search ended: "finished", "entropy" or "patience".
        folder: The run folder, or None.
        cost: What the found architecture costs, by name of measure.
        evaluated: How many candidates the steps in theta compared.
        over_budget: How many of them were over a budget.
    """

    architecture: Architecture
    supernet: Supernet
    loss: Loss
    train_loader: DataLoader[Any]
    steps: int
    seconds: float
    reason: str
    folder: Path | None
    cost: dict[str, float]
    evaluated: int
    over_budget: int
    _child: nn.Module | None = field(default=None, repr=False)

    @property
    def child(self) -> nn.Module:
        """The found network with the inherited weights: plain modules in eval mode.

        Its batch norms hold averages over the training data of the search. Made when first asked for.
        """
        if self._child is None:
            # Shuffling draws from torch's generator, on which the averages shall not depend.
            with torch.random.fork_rng(devices=cuda_devices()), kept_modes(self.supernet):
                torch.manual_seed(0)
                self.supernet.eval()
                inputs = example_inputs(self.supernet, self.architecture, self.loss, self.train_loader)
                child = self.supernet.extract(self.architecture, example=inputs)
                self._child = recalibrate(child, self.train_loader, loss=self.loss)
        return self._child

    def save(self, path: str | Path) -> Path:
        """Write weights and architecture of the child to `path`: see `asng.search.save_child`."""
        return save_child(Path(path), self.child, self.architecture)

    def report(self) -> Path:
        """Write `report.html` into the run folder, and return its path.

        Raises:
            InputError: The search had no run folder.
        """
        if self.folder is None:
            raise InputError("report: expected a search with a run_dir, got one without. Give fit a run_dir.")
        from asng.report import write_report  # loads matplotlib

        return write_report(self.folder)
