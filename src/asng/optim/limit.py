"""How likely points are to keep constraints: a Gaussian process of the worst constraint.

A constraint holds if it is at most 0. Its values say more than whether it holds: how far points are on either
side. So losses of points that violate it still tell about losses, and the optimum, which is often at the
limit, is not behind a cliff. Values enter as arsinh(value / median of sizes), which keeps signs, and in which
values far off do not count more than they should.

References:
    Gardner, Kusner, Xu, Weinberger, Cunningham, "Bayesian optimization with inequality constraints", ICML
    2014 (improvement times probability). Differs: one process for the worst of all constraints, as shares of
    their limits, so that it does not matter how many there are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from asng.distributions import Floats, Product
from asng.optim.model import Archive
from asng.optim.surrogate import Coordinates, Hyper, Surrogate, first_hyper, fitted

__all__ = ["Limit"]

_STEPS = 6


@dataclass(frozen=True)
class Limit:
    """What has been learnt about the worst constraint.

    Attributes:
        hyper: Hyper-parameters of its process, shape (D + 2,).
    """

    hyper: Floats

    @classmethod
    def first(cls, size: int) -> "Limit":
        """Return what is assumed at first, for `size` free variables."""
        return cls(first_hyper(size).values)

    def learnt(self, product: Product, known: Archive) -> "Limit":
        """Return it after some fitting steps to known points, with the worst constraint as their loss."""
        y, _ = _scaled(known.losses)
        if not y.any():
            return self
        pairs = Coordinates.of(product, known.x, known.active).pairs()
        return Limit(fitted(pairs, y, Hyper(self.hyper), _STEPS).values)

    def kept(self, product: Product, known: Archive) -> Callable[[Coordinates], Floats]:
        """Return a function that gives the log probability that points keep all constraints.

        Args:
            product: Family of distributions.
            known: Points, with the worst constraint as their loss.
        """
        y, limit = _scaled(known.losses)
        if not y.any() or not (known.losses > 0.0).any():
            return lambda points: np.zeros(len(points.ordered))
        process = Surrogate(Coordinates.of(product, known.x, known.active), y, Hyper(self.hyper))

        def probability(points: Coordinates) -> Floats:
            mean, variance, _, _ = process.predicted(points)
            return np.asarray(log_ndtr((limit - mean) / np.sqrt(variance)))

        return probability


def _scaled(worst: Floats) -> tuple[Floats, float]:
    """Return values with mean 0 and deviation 1, and the limit among them; all 0 if they do not differ."""
    finite = np.isfinite(worst)
    most = float(worst[finite].max(initial=1.0))
    worst = np.where(finite, worst, np.where(worst < 0.0, 0.0, most))
    unit = float(np.median(np.abs(worst))) or 1.0
    y = np.arcsinh(worst / unit)
    mean, deviation = float(y.mean()), float(y.std())
    if not deviation > 0.0:
        return np.zeros(len(y)), 0.0
    return (y - mean) / deviation, -mean / deviation
