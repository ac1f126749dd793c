"""Training one architecture from scratch, and scoring it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.nn import Supernet
from asng.search import count_parameters, give_averages, score, train
from asng.search.child import example_inputs
from asng.space import Architecture
from asng.tasks.placing import device_of, place
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Loaders, Task

__all__ = ["Trained", "fresh_child", "reseed", "train_from_scratch", "weight_optimizer"]


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


def weight_optimizer(parameters: Iterable[nn.Parameter], *, learning_rate: float) -> torch.optim.Optimizer:
    """Make SGD with the paper's momentum and weight decay (section 5.1)."""
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9, weight_decay=3e-4)


def fresh_child(task: Task, architecture: Architecture, loaders: Loaders, device: torch.device) -> nn.Module:
    """Return a plain network of that architecture with weights as they are at the start.

    Its layers take their sizes from the inputs that the loss gives the network for a first batch.
    """
    supernet = Supernet(task.build(True))
    supernet.space.check(architecture)
    inputs = example_inputs(supernet, architecture, task.loss, loaders.train)
    # Of a model in training mode: modules of yours that run only there are in the network too.
    return place(give_averages(supernet.extract(architecture, example=inputs, fresh=True)), device)


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
        child = fresh_child(task, architecture, loaders, device_of(settings.device))
        reseed(loaders.train, seed)
        child = train(
            child,
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


def reseed(owner: Any, seed: int) -> None:
    """Seed the generators that a loader, its samplers and its dataset have of their own.

    They would go on from where the last network has left them, which a resumed run cannot know.
    """
    generator = getattr(owner, "generator", None)
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    for name in ("sampler", "batch_sampler", "dataset"):
        part = getattr(owner, name, None)
        if part is not None:
            reseed(part, seed)
