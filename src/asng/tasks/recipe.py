"""How a chosen network is trained alone, where that differs from the search."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from asng.search import Loss
from asng.search.descent import MakeOptimizer, MakeScheduler, cosine
from asng.space import Architecture

__all__ = ["Recipe"]


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
