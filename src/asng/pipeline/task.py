"""What a task is: all that the road from data to report must know of it, and nothing of the road."""

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
    """How a chosen network is trained alone.

    What is trained may be more than what is kept: with `build`, the network of that model is trained, and the
    weights that bear the names of the kept network's are handed over to it. An auxiliary head or dropped
    paths thus help in training, and are gone afterwards.

    Args:
        optimizer: Makes the optimiser from the parameters. Default: that of the search, SGD.
        scheduler: Makes a schedule from (optimiser, total steps), stepped after each step; or None.
        clip: Greatest norm of the gradient, or None.
        build: Makes the model with searchable modules that is trained. Default: the kept one, `Task.child`.
        loss: A function of (forward, batch), for the output of that model. Default: the task's.
        before_step: Is called before every step with the network, the steps done, and how many there will be.

    Example:
        Adam whose rate falls to a tenth at 2/5 and again at 4/5 of the steps:

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
        others: Further scores of the trained networks, by name, which nothing is chosen by.
        weight_decay: Of the weights in the search.
        recipe: How a chosen network is trained. Default: as the supernet is in the search.
        graphs: Draws an architecture as graphs for the report, or None.
        pictures: Shows in pictures what a trained network does to test data: "caption", and "rows" of "label"
            and "png" in base64; or None.
        fingerprint: Tells these data from others; a run is not resumed on others. None: unknown.
        baseline: Makes a plain network, with nothing to search in it, that is trained like the found one and
            its random peers, and shown beside them; or None.
        defaults: Those of the settings that have another value; the report shows such settings first.
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

    def metric_on(self, loaders: Loaders) -> str:
        """Return the name of a score on these data: one on data that the search saw says so."""
        return self.metric if loaders.fresh else f"{self.metric} on validation data"
