r"""The update of ASNG as a pure function from state to state.

| name       | paper          | shape     | meaning                                        | first value |
| ---------- | -------------- | --------- | ---------------------------------------------- | ----------- |
| theta      | theta          | `Theta`   | parameters of the distribution                 | uniform     |
| s          | s              | (n_root,) | accumulated normalised F^(1/2) G               | 0           |
| gamma      | gamma          | ()        | expected value of \|s\|^2 without a signal     | 0           |
| Delta      | Delta          | ()        | divisor of the step size                       | 1           |
| delta      | delta_theta    | ()        | trust region: length of a step, Fisher metric  | delta_init  |
| beta       | beta           | ()        | rate of accumulation, delta / sqrt(n_theta)    |             |
| eps        | epsilon_theta  | ()        | learning rate, delta / norm of G               |             |
| alpha      | alpha          | ()        | how far \|s\|^2 may exceed gamma               | 1.5         |
| delta_init | delta^0_theta  | ()        | first delta                                    | 1           |
| Delta_max  | Delta_max      | ()        | largest Delta                                  | infinity    |
| delta_max  |                | ()        | longest step                                   | 2           |
| t          |                | ()        | number of this update, from 1                  |             |
| lam        | lambda_theta   | ()        | number of samples                              |             |
| u          | u              | (lam,)    | utilities of the samples                       |             |
| G          | G_theta        | `Tangent` | estimate of the natural gradient               |             |
| share      |                | (D,)      | share of the samples that read variable d      |             |

References:
    Akimoto, Shirakawa, Yoshinari, Uchida, Saito, Nishida, "Adaptive Stochastic Natural Gradient Method
    for One-Shot Neural Architecture Search", ICML 2019, Algorithm 1.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from asng.distributions import Floats, Product, Theta
from asng.optim.control_variate import ControlVariate
from asng.optim.covariance import Covariance
from asng.optim.estimate import estimate, squared_length
from asng.optim.ranking import normal_scores, utilities
from asng.optim.reuse import Former, SamplePool, kept, pooled

__all__ = ["Settings", "State", "first_state", "step"]

EARLY_GROWTH, EARLY_SHRINKAGE = 5.0, 1.0
"""Divided by t, the smallest rates at which an early step size grows and shrinks. It thus soon leaves a
delta_init that is far too small, and the noise of a few updates hardly moves it from a good one."""


@dataclass(frozen=True)
class Settings:
    """The constants of a search.

    Args:
        alpha: Threshold of the step-size adaptation, > 0.
        delta_init: First step size, > 0.
        Delta_max: Largest Delta, >= 1, may be infinite.
        delta_max: Longest step, > 0, may be infinite; takes precedence over Delta_max.
        early: While updates are few, average s and gamma over all of them, and adapt Delta faster.
        reuse: Use the samples of the last update again, `asng.optim.reuse`; default rules only.
        control_variate: Predict utilities, `asng.optim.control_variate`; default rules only.
        scores: Use normal scores as utilities, not +-1/mu for the best and the worst quarter.
    """

    alpha: float = 1.5
    delta_init: float = 1.0
    Delta_max: float = math.inf
    delta_max: float = math.inf
    early: bool = False
    reuse: bool = False
    control_variate: bool = False
    scores: bool = False


@dataclass(frozen=True)
class State:
    """The state that an update changes. See the table of symbols at the top of this file.

    `updates` is the number of updates so far, t - 1. `control_variate`, and the samples of the last update in
    `former`, are None if the settings do not use them. `reals` is the covariance of the reals, None if they
    step as integers do; `step` does not change it.
    """

    theta: Theta
    s: Floats
    gamma: float
    Delta: float
    updates: int = 0
    control_variate: ControlVariate | None = None
    former: Former | None = None
    reals: Covariance | None = None


def first_state(product: Product, settings: Settings | None = None) -> State:
    """Return the state before the first update, by default without a control variate."""
    theta, settings = product.initial(), settings or Settings()
    return State(
        theta,
        s=np.zeros(product.n_root),
        gamma=0.0,
        Delta=_bounded(settings, 1.0),
        control_variate=ControlVariate.first(product) if settings.control_variate else None,
    )


def step(
    product: Product,
    settings: Settings,
    state: State,
    x: Floats,
    losses: Floats,
    active: Floats | None = None,
) -> State:
    """Return the state after one update with samples and their losses.

    Differs: beta is at most 1, because a small delta_init on a tiny space can make it exceed 2, and s NaN.
    The norm has 1e-9 added for the mixed case too. With the default rules, samples that do not differ in
    what they read change nothing; the authors update s and gamma as if there were no signal. A variable that
    few samples read takes steps as long as one that all read, see `asng.optim.estimate`. Depending on the
    settings, utilities are normal scores, predictable noise is removed from G, and the last update's samples
    are used again. Delta has bounds, and the first updates adapt it faster.

    Args:
        product: Family of distributions, with n_theta degrees of freedom.
        settings: Constants.
        state: The state before.
        x: Raw draws from state.theta, shape (lam, D).
        losses: Their losses, smaller is better, shape (lam,).
        active: 1 if the evaluation of sample i read variable d, else 0, shape (lam, D). Default: all 1.

    Returns:
        The state after; the same object if nothing can be learnt.

    Example:
        >>> from asng.space import Categorical, Space
        >>> product = Product(Space({name: Categorical([0, 1]) for name in "abcdef"}))
        >>> x = np.array([[0.0] * 6, [1.0] * 6])
        >>> state = step(product, Settings(), first_state(product), x, np.array([3.0, 7.0]))
        >>> bool(state.theta.p[0] > 0.5)
        True
    """
    ranked = normal_scores if settings.scores else utilities
    u = ranked(losses)
    if not (u.any() and product.n_theta):
        return state
    t, delta = state.updates + 1, settings.delta_init / state.Delta  # Algorithm 1, delta
    pool = pooled(product, state.theta, SamplePool(x, losses, active), state.former)
    share = None if pool.active is None or product.rules == "paper" else pool.active.mean(axis=0)
    n_theta = product.n_theta if share is None else product.degrees(share)
    beta = rate = min(delta / math.sqrt(n_theta), 1.0) if n_theta else 1.0  # Algorithm 1, beta
    if settings.early:
        beta = max(beta, 1.0 / t)  # in the first 1/beta updates, s and gamma weight all equally

    found, known = estimate(product, state.theta, state.control_variate, pool, u, ranked, beta, share)
    if found is None and known is state.control_variate:
        return state
    former = kept(product, state.theta, x, losses, active, pool.density) if settings.reuse else None
    if found is None:
        return replace(state, updates=t, control_variate=known, former=former)

    gain = beta * (2.0 - beta)
    theta = product.move(state.theta, found.G, delta / found.norm)  # Algorithm 1, theta, and its projection
    s = (1.0 - beta) * state.s + (math.sqrt(gain) / found.strength) * found.signal  # Algorithm 1, s
    gamma = (1.0 - beta) ** 2 * state.gamma + gain  # Algorithm 1, gamma
    excess = gamma - squared_length(s) / settings.alpha
    if settings.early:
        rate = min(1.0, max(rate, (EARLY_SHRINKAGE if excess > 0.0 else EARLY_GROWTH) / t))
    Delta = _bounded(settings, state.Delta * math.exp(rate * excess))  # Algorithm 1, Delta
    return State(theta, s, gamma, Delta, t, known, former, state.reals)


def _bounded(settings: Settings, Delta: float) -> float:
    return max(settings.delta_init / settings.delta_max, min(settings.Delta_max, Delta))
