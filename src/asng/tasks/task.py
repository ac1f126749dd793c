"""What a task is: all that the road from data to report must know of it, and nothing of the road."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.search import Loss, Objective
from asng.space import Architecture
from asng.tasks.recipe import Recipe

__all__ = ["Loaders", "Task"]


@dataclass(frozen=True)
class Loaders:
    """The data of a task.

    Args:
        search_train: Trains the weights during the search.
        search_valid: Scores architectures during the search; apart from `search_train`.
        train: Retrains chosen networks; apart from `test`.
        test: Scores them.
        fresh: Whether the search never saw `test`. Where there is no such data, `test` is what scored
            architectures, and the names of all scores say so.
    """

    search_train: DataLoader[Any]
    search_valid: DataLoader[Any]
    train: DataLoader[Any]
    test: DataLoader[Any]
    fresh: bool = True


@dataclass(frozen=True)
class Task:
    """A problem to search a network for.

    Args:
        name: What config.yaml and the report call it.
        data: What they call its data.
        settings: What made it, plain values, for config.yaml.
        build: Makes a fresh model with searchable modules, to search in.
        child: Makes the one for training an architecture alone: the network that is kept is extracted from
            it. It may be larger than the one of the search, as long as it has the variables.
        loaders: Makes the data from a seed.
        loss: Training loss, a function of (forward, batch).
        metric: Name of the score that networks are compared by.
        score: The score, a function of (forward, batch).
        higher_is_better: Whether a higher score is better.
        minimize: What the search selects by the least of. Default: the loss.
        maximize: What it selects by the greatest of, in its place.
        recipe: How a chosen network is trained. Default: as the supernet is in the search.
        graphs: Draws an architecture as graphs for the report, or None.
    """

    name: str
    data: str
    settings: Mapping[str, Any]
    build: Callable[[], nn.Module]
    child: Callable[[Architecture], nn.Module]
    loaders: Callable[[int], Loaders]
    loss: Loss
    metric: str
    score: Objective
    higher_is_better: bool = True
    minimize: Objective | None = None
    maximize: Objective | None = None
    recipe: Recipe | None = None
    graphs: Callable[[Architecture], list[dict[str, Any]]] | None = None

    def metric_on(self, loaders: Loaders) -> str:
        """Return the name of a score on these data: one on data that the search saw says so."""
        return self.metric if loaders.fresh else f"{self.metric} on validation data"
