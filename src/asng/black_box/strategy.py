"""Which optimiser `asng.minimize` takes if none is given."""

from asng.black_box.replay import RecordReader
from asng.optim import ASNG, Optimizer, Staged
from asng.space import Space

__all__ = ["default_optimizer"]


def default_optimizer(
    space: Space, *, budget: int, seed: int, noisy: bool, front: bool, logged: RecordReader
) -> Optimizer:
    """Return the optimiser of a search without one of its own.

    For the optimiser, a resumed search continues with the budget that it began with: else it
    would draw other points than those that the log holds.

    Args:
        space: What to choose from.
        budget: How many calls may be paid for.
        seed: Of its generator.
        noisy: Whether another call gives another loss.
        front: Whether there are several objectives. What is told then depends on the front of the time: no
            model is fitted to it, and nothing is read twice. A covariance and a smaller first spread
            come less near to the front.
        logged: What was logged of an earlier part of the search.
    """
    if front:
        return ASNG(space, seed=seed, reuse=False, covariance=False, spread=0.5)
    if logged.seen:
        budget = logged.record().start.budget or budget
    return Staged(space, budget=budget, seed=seed, noisy=noisy)
