"""Training one architecture from scratch, and scoring it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.search import count_parameters, score, train
from asng.space import Architecture
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Loaders, Task

__all__ = ["Trained", "device_of", "fresh_child", "train_from_scratch", "weight_optimizer"]


@dataclass(frozen=True)
class Trained:
    """A network that was trained alone, and how it did."""

    network: nn.Module
    architecture: Architecture
    score: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return what result.json keeps of it."""
        return {
            "score": self.score,
            "parameters": count_parameters(self.network),
            "seconds": round(self.seconds, 2),
            "architecture": dict(self.architecture),
        }


def device_of(name: str) -> torch.device:
    """Return the device of that name; "auto" is an accelerator where there is one.

    Raises:
        InputError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device: expected auto, cpu or a device that is here, got {name!r}: {reason}"
        ) from None


def weight_optimizer(parameters: Iterable[nn.Parameter], *, learning_rate: float) -> torch.optim.Optimizer:
    """Make SGD with the paper's momentum and weight decay (section 5.1)."""
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9, weight_decay=3e-4)


def fresh_child(task: Task, architecture: Architecture, device: torch.device) -> nn.Module:
    """Return a plain network of that architecture with weights as they are at the start."""
    supernet = Supernet(task.build(True))
    supernet.space.check(architecture)
    child = supernet.extract(architecture)
    return child.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train_from_scratch(
    task: Task,
    settings: SearchSettings,
    architecture: Architecture,
    *,
    loaders: Loaders,
    seed: int,
    title: str,
    progress: bool,
    keep_going: Callable[[], bool] = lambda: True,
) -> Trained:
    """Build, train and score one architecture; the same seed gives the same network.

    Raises:
        KeyboardInterrupt: `keep_going` said no.
        RunError: The loss is not finite.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = time.perf_counter()
        child = train(
            fresh_child(task, architecture, device_of(settings.device)),
            loaders.train,
            loss=task.loss,
            epochs=settings.retrain_epochs,
            optimizer=partial(weight_optimizer, learning_rate=settings.learning_rate),
            title=title,
            progress=progress,
            keep_going=keep_going,
        )
        seconds = time.perf_counter() - start
    return Trained(child, architecture, score(child, loaders.test, task.score), seconds)
