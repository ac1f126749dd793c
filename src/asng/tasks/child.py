"""The trained child of a run, made again from its folder."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from asng.nn import Supernet
from asng.search import load_child_weights
from asng.search.child import example_inputs, load_into
from asng.tasks.stored import StoredRun
from asng.tasks.training import fresh_child

__all__ = ["example_of", "load_child"]


def load_child(stored: StoredRun, folder: Path) -> nn.Module:
    """Return the trained network of a run, plain and in eval mode, on the CPU.

    Args:
        stored: What `stored_run` says of the folder.
        folder: The run folder.

    Raises:
        RunError: child.pt is missing, damaged, or does not fit the settings.
    """
    path = folder / "child.pt"
    architecture, weights = load_child_weights(path)
    child = fresh_child(stored.task, architecture, stored.loaders, torch.device("cpu"))
    load_into(child, weights, path)
    return child.eval()


def example_of(stored: StoredRun, folder: Path) -> tuple[Any, ...]:
    """Return the positional inputs of the trained network for the first batch of the test data."""
    architecture, _ = load_child_weights(folder / "child.pt")
    supernet = Supernet(stored.task.child(architecture))
    return example_inputs(supernet, architecture, stored.task.loss, stored.loaders.test)
