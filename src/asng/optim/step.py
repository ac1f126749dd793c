r"""The update of ASNG as a pure function from state to state.

| name       | paper          | shape     | meaning                                        | first value |
| ---------- | -------------- | --------- | ---------------------------------------------- | ----------- |
| theta      | theta          | `Theta`   | parameters of the distribution                 | uniform     |
| s          | s              | (n_root,) | accumulated normalised F^(1/2) G               | 0           |
| gamma      | gamma          | ()        | what \|s\|^2 is expected to be without signal  | 0           |
| Delta      | Delta          | ()        | divisor of the step size                       | 1           |
| delta      | delta_theta    | ()        | trust region: length of a step, Fisher metric  | delta_init  |
| beta       | beta           | ()        | rate of accumulation, delta / sqrt(n_theta)    |             |
| eps        | epsilon_theta  | ()        | learning rate, delta / norm of G               |             |
| alpha      | alpha          | ()        | how far \|s\|^2 may exceed gamma               | 1.5         |
| delta_init | delta^0_theta  | ()        | first delta                                    | 1           |
| Delta_max  | Delta_max      | ()        | largest Delta                                  | infinity    |
| lam        | lambda_theta   | ()        | number of samples                              |             |
| u          | u              | (lam,)    | utilities of the samples                       |             |
| G          | G_theta        | `Tangent` | estimate of the natural gradient               |             |
| share      |                | (D,)      | of the samples that read variable d            |             |

References:
    Akimoto, Shirakawa, Yoshinari, Uchida, Saito, Nishida, "Adaptive Stochastic Natural Gradient Method
    for One-Shot Neural Architecture Search", ICML 2019, Algorithm 1.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Product, Tangent, Theta
from asng.optim.ranking import utilities

__all__ = ["Settings", "State", "first_state", "step", "gradient"]

NORM_FLOOR = 1e-9
"""Added to the norm of G, as the authors do, for the case that all samples coincide and G is 0."""


ROUNDING = 1e-12
"""Where all samples coincide, their utilities cancel up to rounding; a norm below this is taken as 0."""


@dataclass(frozen=True)
class Settings:
    """What stays the same during a search.

    Args:
        alpha: Threshold of the step-size adaptation, > 0.
        delta_init: First step size, > 0.
        Delta_max: Largest Delta, >= 1, may be infinite.
    """

    alpha: float = 1.5
    delta_init: float = 1.0
    Delta_max: float = math.inf


@dataclass(frozen=True)
class State:
    """What an update changes. See the table of symbols at the top of this file."""

    theta: Theta
    s: Floats
    gamma: float
    Delta: float


def first_state(product: Product) -> State:
    """Return the state before the first update."""
    theta = product.initial()
    return State(theta, np.zeros(len(product.fisher_root(theta, _zero(theta)))), 0.0, 1.0)


def step(
    product: Product,
    settings: Settings,
    state: State,
    x: Floats,
    losses: Floats,
    active: Floats | None = None,
) -> State:
    """Return the state after one update with samples and their losses.

    Differs: beta is at most 1 (a small delta_init on a tiny space once made it exceed 2, and s NaN); the
    norm has 1e-9 added for the mixed case too. With the default rules, samples that do not differ in what
    they read change nothing, where the authors let s and gamma go on as if a signal had been missing; and
    a variable that few samples read takes steps as long as one that all do, see `gradient`.

    Args:
        product: Family of distributions, with n_theta degrees of freedom.
        settings: Constants.
        state: State before.
        x: Raw draws from state.theta, shape (lam, D).
        losses: Their losses, lower is better, shape (lam,).
        active: 1 where the evaluation of sample i read variable d, else 0, shape (lam, D). Default: all 1.

    Returns:
        The state after; the same object where nothing can be learnt.

    Example:
        >>> from asng.space import Categorical, Space
        >>> product = Product(Space({name: Categorical([0, 1]) for name in "abcdef"}))
        >>> x = np.array([[0.0] * 6, [1.0] * 6])
        >>> state = step(product, Settings(), first_state(product), x, np.array([3.0, 7.0]))
        >>> bool(state.theta.p[0] > 0.5)
        True
    """
    found = _estimate(product, state.theta, x, losses, active)
    if found is None:
        return state
    G, root, norm, n_theta = found
    delta = settings.delta_init / state.Delta
    beta = min(delta / math.sqrt(n_theta), 1.0)
    theta = product.move(state.theta, G, delta / norm)  # Algorithm 1, theta, and its projection
    s = (1.0 - beta) * state.s + (math.sqrt(beta * (2.0 - beta)) / norm) * root  # Algorithm 1, s
    gamma = (1.0 - beta) ** 2 * state.gamma + beta * (2.0 - beta)  # Algorithm 1, gamma
    growth = math.exp(beta * (gamma - _squared_length(s) / settings.alpha))
    Delta = min(settings.Delta_max, state.Delta * growth)  # Algorithm 1, Delta
    return State(theta, s, gamma, Delta)


def gradient(
    product: Product, theta: Theta, x: Floats, losses: Floats, active: Floats | None = None
) -> tuple[Tangent, float] | None:
    """Return G and its norm in the Fisher metric, for the baselines; None where nothing can be learnt.

    The part of G of a variable that a share of the samples read is divided by the root of that share.
    What chance does to a sum over few samples is thus as large as to one over all of them, so that every
    variable wanders equally far, and `step` sees no direction preferred where there is no signal. Which
    variables are read does not depend on their own values; hence no direction is preferred by this either.
    """
    found = _estimate(product, theta, x, losses, active)
    return None if found is None else (found.G, found.norm)


class _Estimate(NamedTuple):
    """G, F^(1/2) G, ||G||_F > 0, and the degrees of freedom that G speaks of."""

    G: Tangent
    root: Floats
    norm: float
    n_theta: float


def _estimate(
    product: Product, theta: Theta, x: Floats, losses: Floats, active: Floats | None
) -> _Estimate | None:
    """Return the estimate of Algorithm 1, G_theta, or None where the samples say nothing."""
    u = utilities(losses)
    if not (u.any() and product.n_theta):
        return None
    G = product.natural_gradient(theta, x, u, active)
    n_theta: float = product.n_theta
    if active is not None and product.rules == "default":
        share = active.mean(axis=0)
        G, n_theta = _as_if_all_had_read(product, G, share), product.degrees(share)
    root = product.fisher_root(theta, G)
    norm = math.sqrt(_squared_length(root))
    if norm >= ROUNDING:
        return _Estimate(G, root, norm + NORM_FLOOR, n_theta)
    if product.rules == "default":
        return None
    return _Estimate(_zero(theta), np.zeros_like(root), NORM_FLOOR, n_theta)


def _as_if_all_had_read(product: Product, G: Tangent, share: Floats) -> Tangent:
    scale = np.where(share > 0.0, 1.0 / np.sqrt(np.where(share > 0.0, share, 1.0)), 0.0)
    return Tangent(*(part * factor for part, factor in zip(G, product.spread(scale), strict=True)))


def _squared_length(vector: Floats) -> float:
    """Return the sum of squares, by NumPy: that of BLAS depends in its last bits on the number of threads."""
    return float(np.sum(vector * vector))


def _zero(theta: Theta) -> Tangent:
    return Tangent(*(np.zeros_like(part) for part in theta))
