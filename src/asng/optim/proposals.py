"""Propose the points that a model expects most of, in a search from the best known ones."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from asng.distributions import Floats, Ints, Product
from asng.optim.reading import read_only
from asng.optim.surrogate import Coordinates, Surrogate

Flags: TypeAlias = NDArray[np.bool_]

__all__ = ["Pool", "best_of", "log_improvement", "proposed", "searched"]

_UNIFORM, _LOCAL, _ROUND = 20, 160, 80
"""Points of the first pool, drawn uniformly and near the best, and of each later round."""

_ROUNDS = 3
_PARENTS = 8


GREEDY = True


class Pool(NamedTuple):
    """Points, shape (n, D), and what each is worth, shape (n,); more is better."""

    x: Floats
    value: Floats


def proposed(
    product: Product,
    rng: np.random.Generator,
    surrogate: Surrogate,
    best: Floats,
    n: int,
    *,
    place: int = 0,
    nearby: bool = False,
    reads: Callable[[Floats], Floats | None],
    known: Callable[[Floats], Flags],
) -> Floats:
    """Return n promising points.

    They are in turn the point with the best predicted mean, and the one with the largest expected
    improvement, which may lie where little is known. Each further point is chosen as if the losses of those
    before it were as predicted, which keeps the mean as it is and reduces the uncertainty nearby.

    Args:
        product: Family of distributions.
        rng: Source of randomness.
        surrogate: The model.
        best: Known points to search from, the best first, snapped, shape (k, D).
        n: Number of points.
        place: Place of the first point in the alternation; even places take the best mean.
        nearby: Whether to draw the last point near the best one, whatever the model predicts. If losses have
            cliffs, a smooth model keeps away from the edge on which the best points lie.
        reads: Returns which variables points are expected to read, shape (m, D); None for all.
        known: Returns whether points of shape (m, D) need no evaluation, shape (m,).
    """
    goal = float(surrogate.mean(Coordinates.of(product, best, reads(best))).min())

    def weighed(x: Floats) -> Pool:
        x = x[~known(x)]
        if not len(x):
            return Pool(x, np.zeros(0))
        mean, variance, _, _ = surrogate.predicted(Coordinates.of(product, x, reads(x)))
        gain = log_improvement(goal - mean, np.sqrt(variance))
        return Pool(x, -np.minimum(_places(-gain), _places(mean)) if GREEDY else gain)

    pool, everywhere = searched(product, rng, best, weighed)
    if not nearby or place + n < 2:
        return _batch(product, surrogate, pool, goal, n, reads, everywhere, place)
    if n == 1:
        return _unseen(product, rng, best, known, np.empty((0, best.shape[1])))
    chosen = _batch(product, surrogate, pool, goal, n - 1, reads, everywhere, place)
    return np.concatenate((chosen, _unseen(product, rng, best, known, chosen)))


def searched(
    product: Product, rng: np.random.Generator, best: Floats, weighed: Callable[[Floats], Pool]
) -> tuple[Pool, Floats]:
    """Return points that are worth much, and the uniform draws among those that were looked at.

    Args:
        product: Family of distributions.
        rng: Source of randomness.
        best: Points to search from, snapped, shape (k, D).
        weighed: Returns what points of shape (m, D) are worth, without those that need no evaluation.
    """
    everywhere = product.snapped(product.uniform(rng.random((_UNIFORM, product.n_free))))
    pool = weighed(np.concatenate((everywhere, _mutated(product, rng, best, _LOCAL))))
    for _ in range(_ROUNDS):
        if not len(pool.x):
            break
        parents = pool.x[np.argsort(-pool.value, kind="stable")[:_PARENTS]]
        more = weighed(_mutated(product, rng, parents, _ROUND))
        pool = Pool(np.concatenate((pool.x, more.x)), np.concatenate((pool.value, more.value)))
    return pool, everywhere


def best_of(
    product: Product,
    rng: np.random.Generator,
    best: Floats,
    value: Callable[[Floats], Floats],
    known: Callable[[Floats], Flags],
    taken: Floats,
) -> Floats:
    """Return the point that is worth most, shape (D,).

    Args:
        product: Family of distributions.
        rng: Source of randomness.
        best: Points to search from, snapped, shape (k, D).
        value: Returns what points of shape (m, D) are worth, m >= 1, shape (m,).
        known: Returns which points need no evaluation.
        taken: Points that are not to be proposed again, shape (j, D).
    """

    def weighed(x: Floats) -> Pool:
        x = x[~(known(x) | (x[:, None] == taken).all(axis=2).any(axis=1))]
        return Pool(x, value(x) if len(x) else np.zeros(0))

    pool, everywhere = searched(product, rng, best, weighed)
    return np.asarray(pool.x[int(np.argmax(pool.value))] if len(pool.x) else everywhere[0])


def _unseen(
    product: Product,
    rng: np.random.Generator,
    best: Floats,
    known: Callable[[Floats], Flags],
    chosen: Floats,
) -> Floats:
    """Return one point near the best one, whatever the model predicts, new if possible, shape (1, D)."""
    near = _mutated(product, rng, best[:1], _ROUND)
    fresh = ~known(near) & ~(near[:, None] == chosen).all(axis=2).any(axis=1)
    return near[fresh][:1] if fresh.any() else near[:1]


def _places(values: Floats) -> Floats:
    """Return the rank of each number, 0 for the smallest."""
    places = np.empty(len(values))
    places[np.argsort(values, kind="stable")] = np.arange(len(values))
    return places


def _batch(
    product: Product,
    surrogate: Surrogate,
    pool: Pool,
    goal: float,
    n: int,
    reads: Callable[[Floats], Floats | None],
    spare: Floats,
    place: int,
) -> Floats:
    """Choose n different points of a pool one after the other; if there are too few, add spare ones."""
    chosen: list[Floats] = []
    if len(pool.x):
        x = np.unique(pool.x[np.argsort(-pool.value, kind="stable")[: max(50, 4 * n)]], axis=0)
        # Points that differ only in variables that they will not read are one.
        x = x[np.sort(np.unique(read_only(x, reads(x)), axis=0, return_index=True)[1])]
        points = Coordinates.of(product, x, reads(x))
        mean, variance, covariance, solved = surrogate.predicted(points)
        for i in range(min(n, len(x))):
            value = log_improvement(goal - mean, np.sqrt(variance))
            if GREEDY and (place + i) % 2 == 0:
                value = -mean
            at = int(np.argmax(np.where(np.isfinite(mean), value, -np.inf)))
            chosen.append(x[at])
            shared = surrogate.shared(points, solved, covariance, at)
            variance = np.maximum(variance - shared**2 / (variance[at] + surrogate.noise), 1e-9)
            mean = mean.copy()
            mean[at] = np.inf
    return np.array(chosen + list(spare[: n - len(chosen)]))


def log_improvement(gain: Floats, spread: Floats) -> Floats:
    """Return the logarithm of E[max(0, X)] for X normal with mean `gain` and deviation `spread`.

    Example:
        >>> log_improvement(np.array([0.0, -50.0]), np.array([1.0, 1.0])).round(2).tolist()
        [-0.92, -1258.74]
    """
    z = np.clip(gain / spread, -1e6, 1e6)
    with np.errstate(under="ignore", over="ignore", divide="ignore", invalid="ignore"):
        direct = np.log(np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) + z * ndtr(z))
        # phi(z) + z Phi(z) = phi(z) (1 - |z| sqrt(pi / 2) erfcx(|z| / sqrt 2)), about phi(z) / z^2 far out.
        low = np.minimum(z, -1.0)
        rest = 1.0 + low * math.sqrt(math.pi / 2.0) * erfcx(-low / math.sqrt(2.0))
        rest = np.where(low < -1e3, 1.0 / (low * low), rest)
        far = -0.5 * low * low - 0.5 * math.log(2.0 * math.pi) + np.log(np.maximum(rest, 1e-300))
    return np.asarray(np.where(z < -1.0, far, direct) + np.log(spread))


def _mutated(product: Product, rng: np.random.Generator, parents: Floats, n: int) -> Floats:
    """Return n points near some parents, each with at least one variable changed."""
    x = parents[rng.integers(0, len(parents), n)].copy()
    free = product.free
    chance = np.exp(rng.uniform(math.log(min(1.0, 1.0 / len(free))), 0.0, n))
    changed = rng.random((n, len(free))) < chance[:, None]
    changed[np.arange(n), rng.integers(0, len(free), n)] = True
    mask = np.zeros(x.shape, dtype=bool)
    mask[:, free] = changed
    _redraw_choices(product, rng, x, mask)
    at, family = product.ordered_columns, product.gaussians
    if len(at):
        width = np.exp(rng.uniform(math.log(3e-4), math.log(0.5), n))[:, None] * (family.high - family.low)
        moved = x[:, at] + width * rng.standard_normal((n, len(at)))
        moved = np.where(
            (moved < family.low) | (moved > family.high), _reflected(moved, family.low, family.high), moved
        )
        x[:, at] = np.where(mask[:, at], moved, x[:, at])
    return product.snapped(x)


def _reflected(x: Floats, low: Floats, high: Floats) -> Floats:
    """Reflect numbers beyond a bound to the inside; if that passes the other bound, clip them."""
    return np.clip(np.where(x < low, 2.0 * low - x, 2.0 * high - x), low, high)


def _redraw_choices(product: Product, rng: np.random.Generator, x: Floats, mask: Flags) -> None:
    at, counts = product.choice_columns, product.categoricals.counts
    if not len(at):
        return
    step: Ints = np.floor(rng.random((len(x), len(at))) * (counts - 1)).astype(np.intp) + 1
    x[:, at] = np.where(mask[:, at], (x[:, at] + step) % counts, x[:, at])
