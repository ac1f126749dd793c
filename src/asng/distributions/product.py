"""The distribution over a whole search space: a product of one-dimensional families."""

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from asng.distributions.arrays import AT_ONCE, Floats, Ints, Rules, as_slice, blocks
from asng.distributions.categorical import Categoricals
from asng.distributions.gaussian import Gaussians, log_densities, standardised
from asng.errors import InputError
from asng.space import Categorical, Real, Space, Variable

__all__ = ["Placed", "Product", "Theta", "Tangent"]


class _Parameters(NamedTuple):
    p: Floats
    mean: Floats
    std: Floats


class Theta(_Parameters):
    """Parameters of a `Product`.

    Attributes:
        p: Probabilities of all categoricals with two or more choices, end to end, shape (sum K_d,).
        mean: Means of all ordered variables with low < high, shape (D_ordered,).
        std: Their standard deviations, shape (D_ordered,).
    """

    @cached_property
    def root(self) -> Floats:
        """The square roots of p, cached because an update needs them several times."""
        root: Floats = np.sqrt(self.p)
        return root


class Tangent(NamedTuple):
    """A natural gradient at some `Theta`.

    Attributes:
        p: Change of the probabilities, shape (sum K_d,).
        g1: Change of the means in units of std, shape (D_ordered,).
        g2: Change of the variances about the old means in units of std^2, shape (D_ordered,).
    """

    p: Floats
    g1: Floats
    g2: Floats


class Placed(NamedTuple):
    """Samples in the coordinates of some `Theta`.

    Attributes:
        at: Index of the probability of each choice. It has an array of shape (n, variables of the part) for
            each of the categoricals' `segments.parts`, with indices from the first entry of the part.
        z: Ordered variables, ``(x - mean) / std``, shape (n, D_ordered).
    """

    at: list[Ints]
    z: Floats


class Product:
    """Independent variables: categoricals, and Gaussians for integers and reals.

    A variable with one value only is a constant: it has no parameters and is drawn as its value.

    Args:
        space: The search space, D variables.
        rules: "default", or "paper" for the details of the paper's authors.
        settled: The probability that all variables draw their mode once all have reached their bounds, in
            (0, 1); see `Categoricals`. Default rules only.
        spread: Initial standard deviation of ordered variables, as a share of the range, in (0, 0.5].
        reals: Whether the distribution includes reals. If not, they stay at their lower ends like constants,
            for a caller that draws them by other means.

    Attributes:
        rules: As given.
        n_theta: Degrees of freedom, sum (K_d - 1) + 2 (number of Gaussians).
        n_root: Length of the vectors that `fisher_root` returns.
        n_free: Number of variables that have parameters.
        free: Their indices in the space's order, shape (n_free,).
        of_integers: Indices of the integers among the ordered variables.
        of_reals: Indices of the reals among the ordered variables.

    Example:
        >>> from asng.space import Integer
        >>> product = Product(Space({"op": Categorical(["conv", "skip"]), "width": Integer(1, 9)}))
        >>> product.n_theta, product.initial().mean
        (3, array([5.]))
    """

    def __init__(
        self,
        space: Space,
        *,
        rules: Rules = "default",
        settled: float = 0.37,
        spread: float = 0.5,
        reals: bool = True,
    ) -> None:
        if not isinstance(space, Space):
            raise InputError(f"space: expected an asng.Space, got {space!r}.")
        self.space = space
        self.rules = rules
        variables = list(space.values())
        free = [i for i, variable in enumerate(variables) if not is_constant(variable)]
        among = len(free)
        if not reals:
            free = [i for i in free if not isinstance(variables[i], Real)]
        choices = [i for i in free if isinstance(variables[i], Categorical)]
        ordered = [i for i in free if not isinstance(variables[i], Categorical)]
        counts = [len(variables[i].choices) for i in choices]  # type: ignore[union-attr]
        self.categoricals = Categoricals(counts, rules=rules, settled=settled, among=among)
        numbers = [variables[i] for i in ordered]
        self.gaussians = Gaussians(numbers, rules=rules, spread=spread)  # type: ignore[arg-type]
        self.n_theta = self.categoricals.n_theta + self.gaussians.n_theta
        of_choices = self.categoricals.n_theta if rules == "paper" else sum(counts)
        self.n_root = of_choices + self.gaussians.n_theta
        self.n_free = len(free)
        self.free = np.array(free, dtype=np.intp)
        self.rank = {name: i for i, name in enumerate(space)}
        self.choice_columns = np.array(choices, dtype=np.intp)
        self.ordered_columns = np.array(ordered, dtype=np.intp)
        self._choices = as_slice(self.choice_columns)
        self._ordered = as_slice(self.ordered_columns)
        self._constants = np.array([_only_value(variable) for variable in variables])
        whole = [not isinstance(variables[i], Real) for i in ordered]
        self.of_integers, self.of_reals = np.flatnonzero(whole), np.flatnonzero(np.logical_not(whole))
        self._ones = np.ones(self.gaussians.n_theta)
        parts = self.categoricals.segments.parts
        self._parts = [(as_slice(self.choice_columns[own]), segments) for own, _, segments in parts]
        # Few choices and few ordered variables are summed together, which is faster than separately.
        self._few = (
            self.gaussians.size > 0 and len(parts) == 1 and len(blocks(AT_ONCE, self.gaussians.size)) == 1
        )

    def initial(self) -> Theta:
        """Return the usual start: uniform choices, and the middle of every range."""
        return Theta(self.categoricals.initial(), *self.gaussians.initial())

    def sample(self, theta: Theta, u: Floats) -> Floats:
        """Map uniform numbers to raw draws.

        Args:
            theta: Parameters.
            u: Uniform numbers in [0, 1), shape (n, n_free): first the categoricals, then the Gaussians.

        Returns:
            Raw coordinates in the space's order, shape (n, D).
        """
        x = self._blank(len(u))
        split = self.categoricals.size
        if split:
            x[:, self._choices] = self.categoricals.sample(theta.p, u[:, :split])
        if self.gaussians.size:
            x[:, self._ordered] = self.gaussians.sample(theta.mean, theta.std, u[:, split:])
        return x

    def uniform(self, u: Floats) -> Floats:
        """Map uniform numbers, as for `sample`, to raw points with every value equally likely."""
        x = self._blank(len(u))
        split = self.categoricals.size
        x[:, self._choices] = np.floor(u[:, :split] * self.categoricals.counts)
        x[:, self._ordered] = self.gaussians.uniform(u[:, split:])
        return x

    def snapped(self, x: Floats) -> Floats:
        """Round and clip raw coordinates, so that draws of the same architecture are equal, shape (n, D)."""
        if not self.gaussians.size:
            return x
        snapped: Floats = x.copy()
        snapped[:, self._ordered] = self.gaussians.snapped(x[:, self._ordered])
        return snapped

    def mode(self, theta: Theta) -> Floats:
        """Return raw coordinates of the most likely point, shape (D,)."""
        x: Floats = self._blank(1)[0]
        if self.categoricals.size:
            x[self._choices] = self.categoricals.mode(theta.p)
        x[self._ordered] = theta.mean
        return x

    def natural_gradient(self, theta: Theta, x: Floats, u: Floats, active: Floats | None = None) -> Tangent:
        """Return G = (1/n) sum_i u_i (T(x_i) - theta).

        A variable that a sample did not read had no part in its loss. With independent samples, leaving it
        out thus changes no expectation, whichever variables the samples read, and reduces noise. (Stratified
        draws of one variable depend on each other, so a draw that was not read partly repeats the information
        of one that was read: leaving it out shortens the expected gradient there.)

        Args:
            theta: Parameters.
            x: Raw draws, shape (n, D).
            u: Utilities, shape (n,).
            active: 1 if the evaluation of sample i read variable d, else 0, shape (n, D). A sample
                is left out of the gradient of the variables that it did not read. Default: all 1.
        """
        w = u[:, None] if active is None else u[:, None] * active
        p, g1, g2 = theta.p, theta.mean, theta.std
        if self.categoricals.size:
            c, own = x[:, self._choices].astype(np.intp), w if active is None else w[:, self._choices]
            p = self.categoricals.natural_gradient(theta.p, c, own)
        if self.gaussians.size:
            own = w if active is None else w[:, self._ordered]
            g1, g2 = self.gaussians.natural_gradient(theta.mean, theta.std, x[:, self._ordered], own)
        return Tangent(p, g1, g2)

    def fisher_root(self, theta: Theta, G: Tangent) -> Floats:
        """Return a vector whose Euclidean norm is the norm of G in the Fisher metric, shape (n_root,)."""
        if not self.gaussians.size:
            return self.categoricals.fisher_root(theta.p, G.p)
        ordered = self.gaussians.fisher_root(theta.mean, theta.std, G.g1, G.g2)
        return np.concatenate((self.categoricals.fisher_root(theta.p, G.p), ordered))

    def from_root(self, theta: Theta, root: Floats) -> Tangent:
        """Return the gradient that has the given `fisher_root`; default rules only."""
        size, ordered = len(theta.p), len(theta.mean)
        g2 = root[size + ordered :] * math.sqrt(2.0)
        return Tangent(root[:size] * theta.root, root[size : size + ordered], g2)

    def free_root(self, theta: Theta) -> Floats:
        """Return the factors from effects to coordinates of `fisher_root`: the root of p, or 1 if ordered."""
        return np.concatenate((theta.root, self._ones)) if self.gaussians.size else theta.root

    def centred(self, theta: Theta, root: Floats) -> Floats:
        """Project a vector of `fisher_root` coordinates so that it keeps the sums of probabilities."""
        size = len(theta.p)
        if not size:
            return root
        choices = self.categoricals.centred(theta.root, root[:size])
        return np.concatenate((choices, root[size:])) if self.gaussians.size else choices

    def placed(self, theta: Theta, x: Floats) -> Placed:
        """Return raw draws of shape (n, D) in the coordinates of theta."""
        at = []
        for columns, segments in self._parts:
            choices = x[:, columns].astype(np.intp)
            choices += segments.starts
            at.append(choices)
        z = x[:, :0]
        if self.gaussians.size:
            z = standardised(theta.mean, theta.std, x[:, self._ordered])
        return Placed(at, z)

    def log_density(self, theta: Theta, placed: Placed, active: Floats | None = None) -> Floats:
        """Return the log density of each draw, up to a constant, over the variables that it read.

        Args:
            theta: Parameters.
            placed: Draws, in the coordinates of theta.
            active: 1 if a draw read a variable, else 0, shape (n, D). Default: all 1.

        Returns:
            Shape (n,).
        """
        total: Floats = np.zeros(len(placed.z))
        parts: Iterable[Floats] = self._log_densities(theta, placed, active)
        if self._few:
            parts = [np.concatenate(list(parts), axis=1)]
        for part in parts:
            total += part.sum(axis=1)
        return total

    def move(self, theta: Theta, G: Tangent, eps: float) -> Theta:
        """Return theta after a step of eps along G, inside all bounds."""
        p, mean, std = theta
        if self.categoricals.size:
            p = self.categoricals.move(p, G.p, eps)
        if self.gaussians.size:
            mean, std = self.gaussians.move(mean, std, G.g1, G.g2, eps)
        return Theta(p, mean, std)

    def spread(self, values: Floats) -> Tangent:
        """Expand one number per variable, shape (D,), to one for each coordinate of a gradient."""
        ordered = values[self._ordered]
        return Tangent(self.categoricals.segments.spread(values[self._choices]), ordered, ordered)

    def degrees(self, share: Floats) -> float:
        """Return the degrees of freedom, each variable's weighted by a share, shape (D,)."""
        choices = (share[self._choices] * (self.categoricals.counts - 1)).sum()
        return float(choices + 2.0 * share[self._ordered].sum())

    def entropy(self, theta: Theta) -> float:
        """Return the mean relative entropy of the free variables, in [0, 1]; 0 if there are none."""
        if not self.n_free:
            return 0.0
        total = self.gaussians.entropy(theta.mean, theta.std).sum()
        if self.categoricals.size:
            total += self.categoricals.entropy(theta.p).sum()
        return float(total) / self.n_free

    def is_fit(self, x: Floats) -> bool:
        """Whether raw coordinates, shape (n, D), are all finite, and those of categoricals valid indices."""
        c = x[:, self._choices]
        inside = (c >= 0) & (c < self.categoricals.counts) & (c == np.floor(c))
        return bool(np.isfinite(x).all() and inside.all())

    def _log_densities(self, theta: Theta, placed: Placed, active: Floats | None) -> Iterator[Floats]:
        parts = zip(placed.at, self.categoricals.segments.parts, strict=True)
        for at, (own, entries, _) in parts:
            each = np.log(theta.p[entries])[at]
            yield each if active is None else each * active[:, self.choice_columns[own]]
        for own in blocks(AT_ONCE, self.gaussians.size) if self.gaussians.size else ():
            each = log_densities(placed.z[:, own], theta.std[own])
            yield each if active is None else each * active[:, self.ordered_columns[own]]

    def _blank(self, n: int) -> Floats:
        x = np.empty((n, len(self._constants)))
        x[:] = self._constants
        return x


def is_constant(variable: Variable) -> bool:
    """Whether a variable has one value only."""
    if isinstance(variable, Categorical):
        return len(variable.choices) == 1
    return variable.encode(variable.low) >= variable.encode(variable.high)


def _only_value(variable: Variable) -> float:
    return 0.0 if isinstance(variable, Categorical) else variable.encode(variable.low)
