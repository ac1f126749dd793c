"""Did the found network learn anything? Its score beside those of its outputs dealt to the wrong items.

If nothing was learnt, outputs fit the items that they were computed for no better than any others. Of a
batch, the score of the right order is then one draw among those of random orders. With B batches, R orders of
each, s_b the score of the right order and r_bj those of the others, all of them less the better,

    t = mean_b (mean_j r_bj - s_b) / sqrt(v (1 + 1/R) / B),    v = mean_b var_j r_bj,

which is about Student's t with B (R - 1) degrees of freedom. This asks nothing of the objective, and needs no
pass beside those that score the network once.
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
"""Validation batches that are looked at, at most."""
ORDERS = 16
"""Random orders of each."""


def chance_of(scorer: Scorer, architecture: Architecture, *, batches: int, seed: int) -> Chance | None:
    """Return a score beside the level of chance, of the weights that the supernet has.

    Args:
        scorer: Has the supernet, the objective and the validation batches.
        architecture: What was found.
        batches: How many to look at, at most.
        seed: Of the random orders.

    Returns:
        None if it cannot be told, for one of three reasons. Outputs are not one tensor a part with a row for
        each item, batches have one item, or the objective does not ask the network about the batch.
    """
    rng, right, wrong = random.Random(f"{seed} chance"), [], []
    for batch in scorer.batches(min(batches, BATCHES)):
        n = batch_size_of(batch)
        orders = [rng.sample(range(n), n) for _ in range(ORDERS)]
        values = _values(scorer, architecture, batch, orders)
        if n < 2 or values is None:
            return None
        if not all(map(math.isfinite, values)):  # not defined on this batch, or on an order of it
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
    if spread == 0.0:  # all orders score the same, as where all outputs are equal
        return 0.0 if difference > 0.0 else 1.0
    return float(student.sf(difference / spread, len(right) * (ORDERS - 1)))


@torch.no_grad()
def _values(
    scorer: Scorer, architecture: Architecture, batch: Any, orders: Sequence[Sequence[int]]
) -> list[float] | None:
    """Return the objective of a batch, then that of each order of its outputs; None if it has no order."""
    forward = _Remembering(scorer.supernet, architecture, batch_size_of(batch))
    values = []
    for order in (None, *orders):
        forward.order, forward.calls = order, 0
        values.append(to_float(scorer.value(batch, forward)))
    return values if forward.ordered else None


class _Remembering(ArchitectureForward):
    """Runs an architecture, and afterwards gives the same outputs in other orders.

    Attributes:
        order: Of the items in the outputs; None to run it.
        calls: Up to now, under this order.
        ordered: Whether any output had a row for each item.
    """

    def __init__(self, supernet: Supernet, architecture: Architecture, items: int) -> None:
        super().__init__(supernet, architecture)
        self.items, self.calls, self.ordered = items, 0, False
        self.order: Sequence[int] | None = None
        self._outputs: list[Any] = []

    @property
    def known(self) -> bool:
        """Whether the outputs are known, so that a call costs nothing."""
        return self.order is not None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model, or give again what it gave."""
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
