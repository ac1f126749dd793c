"""Update choices and integers by the natural gradient and reals by a covariance, with joint ranks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from asng.distributions import Floats, Product, Theta
from asng.errors import RunError
from asng.optim.ask_tell import Told
from asng.optim.covariance import Bounds, Covariance, first_covariance, moved
from asng.optim.saving import array, number, whole
from asng.optim.step import Settings, State, first_state, step

__all__ = ["Joint", "begun", "drawn", "pack_covariance", "unpack_covariance", "updated", "weighed"]

_U_MIN = 2.0**-54
_FINEST = 1e-12
"""The smallest standard deviation of a real, as a share of its range."""


class Joint:
    """The division of a distribution into one over choices and integers and one over reals.

    Args:
        product: The distribution over all variables, with the default rules and at least one free real.
        discrete: The same with the reals held constant.

    Attributes:
        discrete: As given.
        bounds: Bounds of the reals.
        columns: Columns of the reals in the space.
    """

    def __init__(self, product: Product, discrete: Product) -> None:
        self.discrete, self._product = discrete, product
        self._reals, self._integers = product.of_reals, product.of_integers
        self.columns = product.ordered_columns[self._reals]
        family = product.gaussians
        low, high, std_max = (part[self._reals] for part in (family.low, family.high, family.std_max))
        self.bounds = Bounds(low, high, _FINEST * 2.0 * std_max, std_max)

    def first(self, theta: Theta) -> Covariance:
        """Return the distribution of the reals with theta's means and standard deviations."""
        return first_covariance(theta.mean[self._reals], theta.std[self._reals])

    def of_discrete(self, theta: Theta) -> Theta:
        """Return the part of theta that the natural gradient moves."""
        return Theta(theta.p, theta.mean[self._integers], theta.std[self._integers])

    def whole(self, theta: Theta, reals: Covariance) -> Theta:
        """Return theta over all variables, with means and standard deviations of the reals."""
        mean, std = (np.empty(self._product.gaussians.size) for _ in range(2))
        mean[self._integers], std[self._integers] = theta.mean, theta.std
        mean[self._reals], std[self._reals] = reals.mean, reals.std
        return Theta(theta.p, mean, std)

    def draw(self, theta: Theta, reals: Covariance, u: Floats) -> Floats:
        """Map uniform numbers of shape (n, n_free), as for `Product.sample`, to raw draws."""
        x = self._product.sample(theta, u)
        own = u[:, self._product.categoricals.size + self._reals]
        x[:, self.columns] = reals.draw(ndtri(own.clip(_U_MIN, 1.0 - 2 * _U_MIN)))
        return x

    def moved(self, reals: Covariance, x: Floats, losses: Floats, active: Floats | None) -> Covariance:
        """Return the distribution of the reals after an update."""
        active = None if active is None else active[:, self.columns]
        return moved(reals, x[:, self.columns], losses, self.bounds, active)


def begun(product: Product, joint: Joint | None, settings: Settings, theta: Theta) -> State:
    """Return the state of a search that begins at theta."""
    if joint is None:
        return replace(first_state(product, settings), theta=theta)
    return replace(first_state(joint.discrete, settings), theta=theta, reals=joint.first(theta))


def drawn(product: Product, joint: Joint | None, state: State, u: Floats) -> Floats:
    """Map uniform numbers, as for `Product.sample`, to raw draws from a state's distribution."""
    if joint is None or state.reals is None:
        return product.sample(state.theta, u)
    return joint.draw(state.theta, state.reals, u)


def updated(product: Product, joint: Joint | None, settings: Settings, state: State, told: Told) -> State:
    """Return the state after an update of all variables."""
    if joint is None or state.reals is None:
        return step(product, settings, state, told.x, told.losses, told.active)
    reals = joint.moved(state.reals, told.x, told.losses, told.active)
    before = replace(state, theta=joint.of_discrete(state.theta))
    if not joint.discrete.n_theta:
        after = replace(before, theta=joint.whole(before.theta, reals), reals=reals)
        return replace(after, updates=state.updates + (reals is not state.reals))
    after = step(joint.discrete, settings, before, told.x, told.losses, told.active)
    return replace(after, theta=joint.whole(after.theta, reals), reals=reals)


def weighed(joint: Joint | None, x: Floats, active: Floats | None) -> Floats | None:
    """Return which variables determine the weight of a sample that is told late, shape (n, D); None for all.

    Reals do not: a covariance takes samples from elsewhere as they are (Hansen, "Injecting external solutions
    into CMA-ES", 2011). With ten reals or more, the ratio of two densities is close to 0 after a single step,
    and paid evaluations would be lost.
    """
    if joint is None:
        return active
    active = np.ones_like(x) if active is None else active.copy()
    active[:, joint.columns] = 0.0
    return active


_PATHS = ("p_sigma", "p_c", "p_d")
_SQUARES = ("C", "root", "unroot")


def pack_covariance(reals: Covariance) -> dict[str, Any]:
    """Return the distribution as plain values, without the means, which are in theta."""
    saved: dict[str, Any] = {"sigma": reals.sigma, "d": reals.d.tolist(), "updates": reals.updates}
    saved |= {name: getattr(reals, name).tolist() for name in _PATHS}
    if reals.C is not None:
        saved |= {name: getattr(reals, name).tolist() for name in _SQUARES} | {"damped": reals.damped}
    return saved


def unpack_covariance(saved: Mapping[str, Any], like: Covariance, mean: Floats) -> Covariance:
    """Return the distribution of a saved state.

    Raises:
        RunError: A value is missing, has another shape, or is not a number.
    """
    size = len(like.mean)
    paths: dict[str, Any] = {name: array(saved, name, size) for name in _PATHS}
    full: dict[str, Any] = {}
    if like.C is not None:
        full = {name: array(saved, name, size, size) for name in _SQUARES}
        full["damped"] = number(saved, "damped", 1.0)
    loaded = replace(
        like,
        mean=mean,
        sigma=number(saved, "sigma", 0.0),
        d=array(saved, "d", size),
        updates=whole(saved, "updates"),
        **paths,
        **full,
    )
    if loaded.sigma == 0.0 or (loaded.d <= 0.0).any():
        raise RunError("state['reals']: expected lengths > 0, got others.")
    return loaded
