r"""The model of losses: a Box-Cox transform and the hyper-parameters of a Gaussian process.

A Gaussian process suits losses on a smooth surface, but losses of real functions span powers of ten, and have
cliffs. So they are bent by one of the Box-Cox transforms ``(t^power - 1) / power``, the logarithm among them,
of ``t = (loss - least) / (median - least) + 1/100``. The transform is chosen by the likelihood of the
original losses, which is the density of the bent ones times the slope of the bend. Scaling or shifting all
losses changes nothing. Points that violate constraints count as just beyond the worst of the others.

References:
    Box and Cox, "An analysis of transformations", Journal of the Royal Statistical Society B 26, 1964.
    Snelson, Rasmussen, Ghahramani, "Warped Gaussian processes", NIPS 2003.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asng.distributions import Floats, Ints, Product
from asng.errors import RunError
from asng.optim.saving import array, get, whole
from asng.optim.surrogate import Coordinates, Hyper, Surrogate, first_hyper, fitted, surprise

__all__ = [
    "INFEASIBLE",
    "MOST",
    "POWERS",
    "Archive",
    "Model",
    "bent",
    "comparable",
    "learnt_model",
    "surrogate_of",
]

POWERS = (1.0, 0.5, 0.25, 0.0, -0.25, -0.5)
_OFFSET = 0.01
_T_MAX = 1e12
_LARGE = 4e307
"""Losses beyond this are scaled, so that differences and sums of two are floats."""
INFEASIBLE = 1e300
"""The losses of points that violate constraints are from this, the least violation, to twice it."""
_STEPS = 6
MOST = 150
"""Most points of a model: two thirds are the best, the others the newest."""


@dataclass(frozen=True)
class Archive:
    """The evaluated points, in the order in which they were told.

    Attributes:
        x: Snapped raw coordinates, shape (n, D).
        losses: Losses, shape (n,); may hold NaN and infinities.
        active: 1 if a point read a variable, else 0, shape (n, D).
    """

    x: Floats
    losses: Floats
    active: Floats

    @classmethod
    def empty(cls, size: int) -> "Archive":
        """Return an archive without points, for `size` variables."""
        return cls(np.empty((0, size)), np.empty(0), np.empty((0, size)))

    def __len__(self) -> int:
        return len(self.losses)

    def joined(self, x: Floats, losses: Floats, active: Floats | None) -> "Archive":
        """Return an archive with more points."""
        read = np.ones_like(x) if active is None else active
        if not len(self):
            return Archive(x, losses, read)
        return Archive(
            np.concatenate((self.x, x)),
            np.concatenate((self.losses, losses)),
            np.concatenate((self.active, read)),
        )

    def order(self) -> Ints:
        """Return the indices of the points, the best first and those with non-finite losses last."""
        return np.argsort(np.where(np.isfinite(self.losses), self.losses, np.inf), kind="stable")

    def chosen(self) -> "Archive":
        """Return the points that a model uses, the newest last."""
        keep = self.kept()
        return Archive(self.x[keep], comparable(self.losses[keep]), self.active[keep])

    def kept(self) -> Ints:
        """Return the indices of the points that a model uses, rising."""
        every = np.arange(len(self))
        if len(self) <= MOST:
            return every
        good = self.order()[: 2 * MOST // 3]
        rest = np.setdiff1d(every, good)[-(MOST - len(good)) :]
        return np.sort(np.concatenate((good, rest)))


@dataclass(frozen=True)
class Model:
    """What has been learnt about the Gaussian process.

    Attributes:
        hypers: Hyper-parameters for each of the bends, shape (number of bends, D + 2).
        bend: Index of the likeliest bend.
        turn: Number of times the model was updated.
    """

    hypers: Floats
    bend: int = 0
    turn: int = 0

    @classmethod
    def first(cls, size: int) -> "Model":
        """Return the initial model for `size` free variables."""
        return cls(np.tile(first_hyper(size).values, (len(POWERS), 1)))

    def pack(self) -> dict[str, Any]:
        """Return the model as plain values."""
        return {"hypers": self.hypers.tolist(), "bend": self.bend, "turn": self.turn}

    @classmethod
    def unpack(cls, saved: Mapping[str, Any], size: int) -> "Model":
        """Return the model that `pack` saved.

        Raises:
            RunError: A value is missing, has another shape, or is not a number.
        """
        bend = whole(saved, "bend")
        if bend >= len(POWERS):
            raise RunError(
                f"state['model']['bend']: expected one of {len(POWERS)}, got {get(saved, 'bend')!r}."
            )
        return cls(array(saved, "hypers", len(POWERS), size + 2), bend, whole(saved, "turn"))


def comparable(losses: Floats) -> Floats:
    """Return losses in which those that stand for a violation are just beyond the worst of the others.

    Example:
        >>> comparable(np.array([1.0, 3.0, INFEASIBLE, 1.5 * INFEASIBLE])).tolist()
        [1.0, 3.0, 4.0, 5.0]
    """
    over = np.isfinite(losses) & (losses >= INFEASIBLE)
    good = losses[np.isfinite(losses) & ~over]
    low, high = (float(good.min()), float(good.max())) if len(good) else (0.0, 0.0)
    width = min(high - low, INFEASIBLE / 10.0) or 1.0  # so that no sum is infinite
    return np.where(over, high + width * (losses / INFEASIBLE - 0.5), losses)


def bent(losses: Floats, power: float) -> tuple[Floats, float]:
    """Return the bent losses, with mean 0 and deviation 1, and the logarithm of the product of the slopes.

    Non-finite losses count as the largest finite one.

    Example:
        >>> y, _ = bent(np.array([1.0, 2.0, 3.0, float("inf")]), 1.0)
        >>> y.round(2).tolist()
        [-1.51, -0.3, 0.9, 0.9]
    """
    finite = np.isfinite(losses)
    if not finite.any():
        return np.zeros(len(losses)), 0.0
    losses = np.where(finite, losses, losses[finite].max())
    if float(np.abs(losses).max()) > _LARGE:
        losses = losses / 4.0  # exact, and of no weight: only their ratios count
    least, most = float(losses.min()), float(losses.max())
    unit = max(float(np.median(losses)) - least, (most - least) / _T_MAX)
    if not unit > 0.0:
        return np.zeros(len(losses)), 0.0
    t = np.minimum((losses - least) / unit, _T_MAX) + _OFFSET
    y = np.log(t) if power == 0.0 else (t**power - 1.0) / power
    deviation = float(y.std())
    if not deviation > 0.0:
        return np.zeros(len(losses)), 0.0
    slopes = (power - 1.0) * float(np.log(t).sum()) - len(t) * float(np.log(deviation))
    return (y - y.mean()) / deviation, slopes


def learnt_model(product: Product, archive: Archive, model: Model) -> Model:
    """Return the model after some fitting steps for the bend in use and, every other time, for another."""
    known = archive.chosen()
    pairs = Coordinates.of(product, known.x, known.active).pairs()
    y, _ = bent(known.losses, POWERS[model.bend])
    if not y.any():
        return model
    hypers = model.hypers.copy()
    hypers[model.bend] = fitted(pairs, y, Hyper(hypers[model.bend]), _STEPS).values
    if model.turn % 2:
        return replace(model, hypers=hypers, turn=model.turn + 1)
    other = (model.bend + 1 + model.turn // 2 % (len(POWERS) - 1)) % len(POWERS)
    both = [bent(known.losses, power) for power in POWERS]
    hypers[other] = fitted(pairs, both[other][0], Hyper(hypers[other]), _STEPS).values
    against = [surprise(pairs, y, Hyper(own)) - slopes for (y, slopes), own in zip(both, hypers, strict=True)]
    return Model(hypers, int(np.argmin(against)), model.turn + 1)


def surrogate_of(
    product: Product,
    archive: Archive,
    model: Model,
    under_way: Floats | None = None,
    active: Floats | None = None,
) -> Surrogate:
    """Return the Gaussian process, given the evaluated points.

    Args:
        product: Family of distributions.
        archive: The evaluated points.
        model: What has been learnt about the process.
        under_way: Points whose losses are still to come, snapped, shape (m, D). Their losses count as
            predicted, which keeps the mean as it is and reduces the uncertainty nearby.
        active: Which variables those are expected to read, shape (m, D); None for all.
    """
    known, hyper = archive.chosen(), Hyper(model.hypers[model.bend])
    y, _ = bent(known.losses, POWERS[model.bend])
    points = Coordinates.of(product, known.x, known.active)
    surrogate = Surrogate(points, y, hyper)
    if under_way is None or not len(under_way):
        return surrogate
    others = Coordinates.of(product, under_way, active)
    return Surrogate(points.joined(others), np.concatenate((y, surrogate.mean(others))), hyper)
