"""The description of a task: all that the pipeline from data to report needs to know about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.space import Architecture
from asng.training import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler, cosine

__all__ = ["Loaders", "Task", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to train a chosen network from scratch.

    The network that is trained may be larger than the one that is kept. With `build`, the network of that
    model is trained, and then the kept network takes over the weights whose names it shares. An auxiliary
    head or dropped paths thus help in training and are gone afterwards.

    Args:
        optimizer: Makes the optimiser from the parameters. Default: SGD, as in the search.
        scheduler: Makes a schedule from (optimiser, total steps), which advances after each step; or None.
        clip: Largest norm of the gradient, or None.
        build: Makes the model with searchable modules that is trained. Default: `Task.child`, the kept one.
        loss: A function of (forward, batch), for the output of that model. Default: the task's loss.
        before_step: Called before every step with the network, the steps done, and the total steps.

    Example:
        Adam whose learning rate falls to a tenth at 2/5 and again at 4/5 of the steps:

        >>> from torch import optim
        >>> recipe = Recipe(
        ...     optimizer=lambda parameters: optim.Adam(parameters, lr=1e-3),
        ...     scheduler=lambda weights, steps: optim.lr_scheduler.MultiStepLR(
        ...         weights, [2 * steps // 5, 4 * steps // 5]
        ...     ),
        ... )
        >>> recipe.clip
        5.0
    """

    optimizer: MakeOptimizer | None = None
    scheduler: MakeScheduler | None = cosine
    clip: float | None = 5.0
    build: Callable[[Architecture], nn.Module] | None = None
    loss: Loss | None = None
    before_step: Callable[[nn.Module, int, int], None] | None = None


@dataclass(frozen=True)
class Loaders:
    """The data loaders of a task.

    Args:
        search_train: Data that train the weights during the search.
        search_valid: Data that score architectures during the search; disjoint from `search_train`.
        train: Data that retrain chosen networks; disjoint from `test`.
        test: Data that score the retrained networks.
        fresh: Whether the search never saw `test`. If there are no such data, `test` is what scored
            architectures in the search, and the names of all scores say so.
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
        name: Name of the task in config.yaml and the report.
        data: Name of its data in config.yaml and the report.
        settings: The plain values that the task was made from, for config.yaml.
        build: Makes a fresh model with searchable modules, to search in.
        child: Makes the model from which the kept network of an architecture is extracted, to train it from
            scratch. It may be larger than the model of the search, but must have the same variables.
        loaders: Makes the data loaders from a seed.
        loss: Training loss, a function of (forward, batch).
        metric: Name of the score by which networks are compared.
        score: The score, a function of (forward, batch).
        higher_is_better: Whether a higher score is better.
        minimize: Objective that the search minimises. Default: the loss.
        maximize: Objective that the search maximises instead.
        others: Further scores of the trained networks, by name; they are reported only.
        weight_decay: Weight decay of the weights in the search.
        recipe: How a chosen network is trained. Default: as the supernet is in the search.
        graphs: Draws an architecture as graphs for the report, or None.
        pictures: Makes pictures of what a trained network does to test data: "caption", and "rows" of "label"
            and "png" in base64; or None.
        fingerprint: Identifies the data; a run is not resumed on other data. None: unknown.
        baseline: Makes a plain network without searchable layers; or None. It is trained like the found
            network and its random peers, and reported beside them.
        defaults: Default values of the settings that differ from them; the report shows these settings first.
        example: Inputs of a call of the model, for a loss that never calls forward but other methods of the
            model; see `asng.OneShotSearch`.
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
    others: Mapping[str, Objective] = field(default_factory=dict)
    weight_decay: float = 3e-4
    recipe: Recipe = field(default_factory=Recipe)
    graphs: Callable[[Architecture], list[dict[str, Any]]] | None = None
    pictures: Callable[[nn.Module, Loaders], dict[str, Any]] | None = None
    fingerprint: str | None = None
    baseline: Callable[[], nn.Module] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None

    def metric_on(self, loaders: Loaders) -> str:
        """Return the name of the score on these data, with a remark if the search saw the test data."""
        return self.metric if loaders.fresh else f"{self.metric} on validation data"
