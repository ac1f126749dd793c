"""Test whether the found network learnt anything: compare its score with that of its outputs shuffled.

If it learnt nothing, its outputs fit their own items no better than any others. For each batch, the score of
the right order is then one more draw among the scores of random orders. With B batches, R random orders of
each, score s_b of the right order and scores r_bj of the random ones, where smaller is better,

    t = mean_b (mean_j r_bj - s_b) / sqrt(v (1 + 1/R) / B),    v = mean_b var_j r_bj,

which approximately has Student's t distribution with B (R - 1) degrees of freedom. This assumes nothing about
the objective, and needs only the passes that score the network once.
"""

import math
import random
from collections.abc import Sequence
from statistics import fmean, variance
from typing import Any

import torch
from scipy.stats import t as student

from asng.nn import Supernet
from asng.runs.events import Chance
from asng.search.scorer import Scorer
from asng.space import Architecture
from asng.training.data.nested import batch_size_of
from asng.training.forward import ArchitectureForward
from asng.training.objective import to_float

__all__ = ["BATCHES", "chance_of"]

BATCHES = 4
"""Maximum number of validation batches."""
ORDERS = 16
"""Number of random orders of each batch."""


def chance_of(scorer: Scorer, architecture: Architecture, *, batches: int, seed: int) -> Chance | None:
    """Return the score of an architecture, with the supernet's weights, beside the level of chance.

    Args:
        scorer: Has the supernet, the objective and the validation batches.
        architecture: The found architecture.
        batches: Maximum number of batches to use.
        seed: Seed of the random orders.

    Returns:
        None if chance cannot be determined: a batch has a single item, no output has a row for each item, or
        the objective is finite on no batch and all its orders.
    """
    rng, right, wrong = random.Random(f"{seed} chance"), [], []
    for batch in scorer.batches(min(batches, BATCHES)):
        n = batch_size_of(batch)
        orders = [rng.sample(range(n), n) for _ in range(ORDERS)]
        values = _values(scorer, architecture, batch, orders)
        if n < 2 or values is None:
            return None
        if not all(map(math.isfinite, values)):  # undefined on this batch or on an order of it
            continue
        right.append(values[0])
        wrong.append(values[1:])
    if not right:
        return None
    score, level = fmean(right), fmean(map(fmean, wrong))
    return Chance(score, level, _p(scorer.sign, right, wrong))


def _p(sign: float, right: Sequence[float], wrong: Sequence[Sequence[float]]) -> float:
    difference = sign * (fmean(map(fmean, wrong)) - fmean(right))
    spread = math.sqrt(fmean(map(variance, wrong)) * (1.0 + 1.0 / ORDERS) / len(right))
    if spread == 0.0:  # all orders score the same, for instance because all outputs are equal
        return 0.0 if difference > 0.0 else 1.0
    return float(student.sf(difference / spread, len(right) * (ORDERS - 1)))


@torch.no_grad()
def _values(
    scorer: Scorer, architecture: Architecture, batch: Any, orders: Sequence[Sequence[int]]
) -> list[float] | None:
    """Return a batch's objective, then that of each order of its outputs; None if none can be reordered."""
    forward = _Remembering(scorer.supernet, architecture, batch_size_of(batch))
    values = []
    for order in (None, *orders):
        forward.order, forward.calls = order, 0
        values.append(to_float(scorer.value(batch, forward)))
    return values if forward.ordered else None


class _Remembering(ArchitectureForward):
    """Runs an architecture, and afterwards returns the same outputs in other orders.

    Attributes:
        order: The order of the items in the outputs; None to run the architecture.
        calls: Number of calls so far under this order.
        ordered: Whether any output had a row for each item.
    """

    def __init__(self, supernet: Supernet, architecture: Architecture, items: int) -> None:
        super().__init__(supernet, architecture)
        self.items, self.calls, self.ordered = items, 0, False
        self.order: Sequence[int] | None = None
        self._outputs: list[Any] = []

    @property
    def known(self) -> bool:
        """Whether outputs are reused, so that a call costs nothing."""
        return self.order is not None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model, or return its earlier outputs in the current order."""
        if not self.known:
            self._outputs.append(super().__call__(*args, **kwargs))
            return self._outputs[-1]
        output = self._outputs[self.calls % len(self._outputs)]
        self.calls += 1
        return self._reordered(output)

    def _reordered(self, output: Any) -> Any:
        if isinstance(output, torch.Tensor) and output.ndim and len(output) == self.items:
            self.ordered = True
            return output[self.order]
        if type(output) in (tuple, list):
            return type(output)(map(self._reordered, output))
        if type(output) is dict:
            return {name: self._reordered(value) for name, value in output.items()}
        return output
