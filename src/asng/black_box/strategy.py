"""Choose the optimiser of `asng.minimize` if none is given."""

from asng.black_box.replay import RecordReader
from asng.optim import ASNG, Optimizer, Staged
from asng.space import Space

__all__ = ["default_optimizer"]


def default_optimizer(
    space: Space, *, budget: int, seed: int, noisy: bool, front: bool, logged: RecordReader
) -> Optimizer:
    """Return the default optimiser of a search.

    The optimiser of a resumed search keeps the budget that the search began with. Otherwise it would draw
    other points than those in the log.

    Args:
        space: The search space.
        budget: Maximum number of calls of f.
        seed: Seed of its generator.
        noisy: Whether repeated calls give different losses.
        front: Whether there are several objectives. What is told then depends on the front at that time: no
            model is fitted to it, and nothing is used twice. A covariance and a smaller first spread get
            less close to the front.
        logged: What was logged of an earlier part of the search.
    """
    if front:
        return ASNG(space, seed=seed, reuse=False, covariance=False, spread=0.5)
    if logged.seen:
        budget = logged.record().start.budget or budget
    return Staged(space, budget=budget, seed=seed, noisy=noisy)
