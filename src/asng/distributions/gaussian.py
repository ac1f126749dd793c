"""Independent Gaussians for ordered variables: integers and reals, in plain or log coordinates.

Everything is standardised, ``z = (x - mean) / std``, so that nothing cancels at large means or overflows at
large ranges. The expectation parameters (E[x], E[x^2]) of the paper appear only where its own rules need
them.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from asng.distributions.arrays import Floats, Rules, bounded
from asng.space import Integer, Real

__all__ = ["Gaussians", "log_densities", "standardised"]

_U_MIN = 2.0**-54
"""Smallest uniform number: it maps to mean - 8.3 std, while 0 would map to minus infinity."""

_Z_MAX = 1e9
"""Bound on standardised points, so that squares do not overflow: points made by hand may lie anywhere."""

_X_MAX = float(np.finfo(np.float64).max)
"""Bound on draws, which keeps reals finite if their bounds are near the largest float."""

_GROWTH_MAX = 60.0
"""Bound on the log growth of the variance. The bounds on std are at most six orders of magnitude apart, so
e^60 passes them without overflow."""

_SQRT2 = math.sqrt(2.0)


class Gaussians:
    """A product of Gaussians, one for each ordered variable.

    The natural gradient of the log-likelihood at z is z in units of std for the mean, and ``z^2 - 1`` in
    units of std^2 for the variance about the old mean. Its squared norm in the Fisher metric is
    ``g1^2 + g2^2 / 2``. Stateless: every method takes mean and std, each of shape (D,).

    Differs: the paper steps in (E[x], E[x^2]), which takes the variance to
    ``std^2 (1 + eps g2 - eps^2 g1^2)``: with few variables one step of length 1 brings it to 0. Here the
    step is geometric, ``std^2 exp(eps g2 - eps^2 g1^2)``, which agrees for short steps and keeps at least
    0.47 of std in one of length 1. The last term shrinks the spread by the square of the step in the mean.
    It speeds up the search of variables with steps, whose std cannot fall below a quarter of a step. Reals
    without steps omit it, because with it they stop before they reach the optimum. Bounds are applied last,
    so that a step past a bound does not become variance. ``rules="paper"`` uses the paper's step.

    Args:
        variables: Integers and reals with low < high.
        spread: Initial standard deviation as a share of the range, in (0, 0.5]. 0.29 is that of a uniform
            number; at 0.5, 32 % of the first draws lie beyond an end.
        rules: "paper" uses the authors' step, their root of the Fisher matrix and their order of clipping.

    Attributes:
        low: Lower bounds of the means in raw coordinates (logarithms if log is set), shape (D,).
        high: Upper bounds, shape (D,).
        std_max: Half of the range, shape (D,).
        n_theta: Degrees of freedom, 2 D.

    Example:
        >>> family = Gaussians([Integer(0, 10)])
        >>> mean, std = family.initial()
        >>> family.sample(mean, std, np.array([[0.5], [0.841344746]])).round(6)
        array([[ 5.],
               [10.]])

    References:
        Akimoto et al., ICML 2019, Section 4. Wierstra et al., "Natural Evolution Strategies", JMLR 15,
        2014 (the exponential step of the spread).
    """

    def __init__(
        self, variables: Sequence[Integer | Real], *, rules: Rules = "default", spread: float = 0.5
    ) -> None:
        self.size = len(variables)
        self.n_theta = 2 * self.size
        self.low = np.array([v.encode(v.low) for v in variables], dtype=np.float64)
        self.high = np.array([v.encode(v.high) for v in variables], dtype=np.float64)
        self.std_max = self.high / 2 - self.low / 2
        self._rules, self._spread = rules, spread
        self._whole = np.array([v.step is not None for v in variables], dtype=bool)  # integers have one
        self._log = np.array([v.log for v in variables], dtype=bool)
        self._ends = np.array([(v.low, v.high) for v in variables], dtype=np.float64).reshape(-1, 2)
        self._step = np.array([v.step or 1 for v in variables], dtype=np.float64)
        self._std_min = np.where(self._whole, 0.25 * self._step, 2e-6 * self.std_max)
        self._log_integers = bool(np.any(self._whole & self._log))

    def initial(self) -> tuple[Floats, Floats]:
        """Return the middle of each range as mean, and `spread` of the range as std, each of shape (D,)."""
        mean = self.low + self.std_max
        if self._spread == 0.5:
            return mean, self.std_max.copy()
        return mean, np.clip(2.0 * self._spread * self.std_max, self.std_min(mean), self.std_max)

    def std_min(self, mean: Floats) -> Floats:
        """Return the smallest standard deviations, shape (D,).

        A quarter of a step for variables with steps (in log coordinates: of the step at the mean, and never
        above half of the range), a millionth of the range for other reals.
        """
        if not self._log_integers:
            return self._std_min
        quarter = np.minimum(0.25 * self._step * np.exp(-np.where(self._log, mean, 0.0)), self.std_max)
        std_min: Floats = np.where(self._whole & self._log, quarter, self._std_min)
        return std_min

    def sample(self, mean: Floats, std: Floats, u: Floats) -> Floats:
        """Map uniform numbers in [0, 1) to raw draws by the quantile function, shape (n, D)."""
        z: Floats = ndtri(bounded(u, _U_MIN, 1.0 - 2 * _U_MIN))
        with np.errstate(over="ignore"):
            z *= std
            z += mean
        return bounded(z, -_X_MAX, _X_MAX)

    def uniform(self, u: Floats) -> Floats:
        """Map uniform numbers in [0, 1) to raw points of the search space, each value equally likely.

        Variables with steps are uniform over their values, other reals in their (log) coordinates. Shape
        (n, D).
        """
        low, high = self._ends.T
        with np.errstate(over="ignore", invalid="ignore"):  # of reals without steps, which do not use it
            whole = np.minimum(low + self._step * np.floor(u * ((high - low) / self._step + 1.0)), high)
        whole = np.log(whole, where=self._log & self._whole, out=whole)
        return np.where(self._whole, whole, 2.0 * (self.low / 2.0 + u * self.std_max))

    def snapped(self, x: Floats) -> Floats:
        """Round and clip raw draws to the values that they stand for, shape (n, D)."""
        snapped = x.clip(self.low, self.high)
        if self._whole.any():
            values = np.where(self._log, np.exp(np.where(self._log, snapped, 0.0)), snapped)
            low, high = self._ends.T
            with np.errstate(over="ignore"):  # of reals without steps, as in `uniform`
                values = np.clip(low + self._step * np.round((values - low) / self._step), low, high)
            values = np.log(values, where=self._log & self._whole, out=values)
            snapped = np.where(self._whole, values, snapped)
        return snapped

    def natural_gradient(self, mean: Floats, std: Floats, x: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Return g1 = (1/n) sum_i w_i z_i and g2 = (1/n) sum_i w_i (z_i^2 - 1), each of shape (D,).

        Args:
            mean: Means, shape (D,).
            std: Standard deviations, shape (D,).
            x: Raw draws, neither rounded nor clipped, shape (n, D).
            w: Weight of each sample, shape (n, 1), or of each sample and variable, shape (n, D).
        """
        z = standardised(mean, std, x)
        return np.mean(w * z, axis=0), np.mean(w * (z * z - 1.0), axis=0)

    def fisher_root(self, mean: Floats, std: Floats, g1: Floats, g2: Floats) -> Floats:
        """Return coordinates of a gradient whose Euclidean norm is its norm in the Fisher metric.

        They are ``g1`` and ``g2 / sqrt 2``. With the paper's rules they are the product of the gradient
        with the symmetric root of the Fisher matrix F in (E[x], E[x^2]), which has a closed form
        because F is two by two: ``(F + sqrt(det F) I) / sqrt(tr F + 2 sqrt(det F))``.

        Returns:
            Shape (2 D,): first the first coordinates of all variables, then the second.
        """
        if self._rules == "default":
            return np.concatenate((g1, g2 / _SQRT2))
        # F = 1/(2 std^4) [[4 m^2 + 2 std^2, -2 m], [-2 m, 1]], applied to
        # (std g1, 2 m std g1 + std^2 g2) and multiplied out, where the large terms cancel on paper.
        scale = np.sqrt(2.0 * mean**2 + std**2 + 0.5 + _SQRT2 * std)
        first = (std + 1.0 / _SQRT2) * g1 - mean * g2
        second = _SQRT2 * mean * g1 + (0.5 + std / _SQRT2) * g2
        return np.concatenate((first / scale, second / scale))

    def move(self, mean: Floats, std: Floats, g1: Floats, g2: Floats, eps: float) -> tuple[Floats, Floats]:
        """Return mean and std after a step of eps along the gradient, inside their bounds."""
        with np.errstate(over="ignore"):
            shift = eps * std * g1
            new_mean = bounded(mean + shift, self.low, self.high)
            if self._rules == "default":
                growth = eps * g2 - self._whole * (eps * g1) ** 2
                new_std = std * np.exp(0.5 * bounded(growth, -_GROWTH_MAX, _GROWTH_MAX))
            else:
                new_std = self._paper_std(mean, std, shift, eps * g2, new_mean - mean)
        return new_mean, bounded(new_std, self.std_min(new_mean), self.std_max)

    def entropy(self, mean: Floats, std: Floats) -> Floats:
        """Return the relative entropy of each variable, shape (D,), in [0, 1].

        It is log(std / std_min) / log(initial std / std_min), or 0 if the initial std equals std_min.
        """
        low = self.std_min(mean)
        width = np.log(np.maximum(2.0 * self._spread * self.std_max, low) / low)
        share = np.log(std / low) / np.where(width > 0.0, width, 1.0)
        return np.where(width > 0.0, bounded(share, 0.0, 1.0), 0.0)

    @staticmethod
    def _paper_std(mean: Floats, std: Floats, shift: Floats, growth: Floats, clipped: Floats) -> Floats:
        """Return the std of E[x^2]' - mean'^2 with the clipped mean', as the authors do.

        If the mean is clipped, the rest of its step thus becomes variance.
        """
        variance = std**2 * (1.0 + growth) + 2.0 * mean * (shift - clipped) - clipped**2
        return np.sqrt(np.maximum(variance, 0.0))


def standardised(mean: Floats, std: Floats, x: Floats) -> Floats:
    """Return draws in units of std from the mean, shape (n, D)."""
    with np.errstate(over="ignore"):
        z = x - mean
        z /= std
    return bounded(z, -_Z_MAX, _Z_MAX)


def log_densities(z: Floats, std: Floats) -> Floats:
    """Return the log density of each standardised draw, up to a constant, shape (n, D)."""
    density: Floats = -0.5 * z * z - np.log(std)
    return density
