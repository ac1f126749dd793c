"""Choose the optimiser of `asng.minimize` if none is given."""

from asng.black_box.replay import RecordReader
from asng.optim import Optimizer, StagedConstrained, StagedFront
from asng.space import Space

__all__ = ["default_optimizer"]


def default_optimizer(
    space: Space, *, budget: int, seed: int, noisy: bool, objectives: int, logged: RecordReader
) -> Optimizer:
    """Return the default optimiser of a search.

    The optimiser of a resumed search keeps the budget that the search began with. Otherwise it would draw
    other points than those in the log.

    Args:
        space: The search space.
        budget: Maximum number of calls of f.
        seed: Seed of its generator.
        noisy: Whether repeated calls give different losses.
        objectives: Number of losses.
        logged: What was logged of an earlier part of the search.
    """
    if logged.seen:
        budget = logged.record().start.budget or budget
    if objectives > 1:
        return StagedFront(space, objectives=objectives, budget=budget, seed=seed, noisy=noisy)
    return StagedConstrained(space, budget=budget, seed=seed, noisy=noisy)
