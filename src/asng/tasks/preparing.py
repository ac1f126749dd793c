"""What a run needs before it begins; whatever is wrong with it shows here, with nothing on the disk yet."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from asng.errors import InputError
from asng.nn import Supernet
from asng.search import Objective
from asng.search.batches import to_device
from asng.search.generators import seeded
from asng.search.modes import cuda_devices, kept_modes
from asng.search.objective import as_number
from asng.tasks.placing import device_of, place
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Loaders, Task

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """The data of a run, and its supernet on its device."""

    loaders: Loaders
    supernet: Supernet


def prepare(task: Task, settings: SearchSettings, seed: int) -> Prepared:
    """Make the data and the supernet, and try the loss and the score once on a batch of each half.

    Raises:
        InputError: The data, the model, the loss or the device are not what they must be.
        SpaceError: Nothing in the model is searchable.
    """
    device = device_of(settings.device)
    loaders = task.loaders(seed)
    with seeded(seed):
        supernet = Supernet(task.build())
    _check_weights(supernet)
    place(supernet, device)
    _try(supernet, "loss", task.loss, loaders.search_train, device)
    _try(supernet, task.metric, task.score, loaders.search_valid, device)
    return Prepared(loaders, supernet)


def _check_weights(supernet: Supernet) -> None:
    weights = dict(supernet.model.named_parameters())
    if not weights:
        raise InputError(f"model: expected weights to train, got none in {type(supernet.model).__name__}.")
    for name, weight in weights.items():
        if is_lazy(weight):
            raise InputError(
                f"model: expected layers of known sizes, got the lazy weight {name!r}. Give its layer the"
                " size of its input."
            )


@torch.no_grad()
def _try(
    supernet: Supernet, name: str, objective: Objective, loader: DataLoader[Any], device: torch.device
) -> None:
    architecture = supernet.space.sample(random.Random(0))

    def forward(*inputs: Any, **named: Any) -> Any:
        return supernet(*inputs, architecture=architecture, **named)

    with kept_modes(supernet), torch.random.fork_rng(devices=cuda_devices()):
        supernet.eval()
        for batch in loader:
            as_number(objective(forward, to_device(batch, device)), name, objective)
            break
