"""What a task is: all that the road from data to report must know of it, and nothing of the road."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.search import Loss, Objective
from asng.space import Architecture

__all__ = ["Loaders", "Task"]


@dataclass(frozen=True)
class Loaders:
    """The data of a task.

    Args:
        search_train: Trains the weights during the search.
        search_valid: Scores architectures during the search; apart from `search_train`.
        train: Retrains chosen networks: both of the above.
        test: Scores them; never seen before.
    """

    search_train: DataLoader[Any]
    search_valid: DataLoader[Any]
    train: DataLoader[Any]
    test: DataLoader[Any]


@dataclass(frozen=True)
class Task:
    """A problem to search a network for.

    Args:
        name: What config.yaml and the report call it.
        settings: What made it, plain values, for config.yaml.
        build: Makes a fresh model with searchable modules; its argument says whether the model is for
            retraining (True) or for the search (False).
        loaders: Makes the data from a seed.
        loss: Training loss, a function of (forward, batch).
        metric: Name of the score that networks are compared by.
        score: The score, a function of (forward, batch).
        higher_is_better: Whether a higher score is better.
        objective: What the search minimises. Default: the loss.
        graphs: Draws an architecture as graphs for the report, or None.
    """

    name: str
    settings: Mapping[str, Any]
    build: Callable[[bool], nn.Module]
    loaders: Callable[[int], Loaders]
    loss: Loss
    metric: str
    score: Objective
    higher_is_better: bool = True
    objective: Objective | None = None
    graphs: Callable[[Architecture], list[dict[str, Any]]] | None = None
