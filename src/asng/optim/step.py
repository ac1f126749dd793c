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
| delta_max  |                | ()        | longest step                                   | 2           |
| t          |                | ()        | number of this update, from 1                  |             |
| lam        | lambda_theta   | ()        | number of samples                              |             |
| u          | u              | (lam,)    | utilities of the samples                       |             |
| G          | G_theta        | `Tangent` | estimate of the natural gradient               |             |
| share      |                | (D,)      | of the samples that read variable d            |             |
| gammas     |                | (n_free,) | gamma by variable: what chance makes of \|s_d\|^2 | 0          |

References:
    Akimoto, Shirakawa, Yoshinari, Uchida, Saito, Nishida, "Adaptive Stochastic Natural Gradient Method
    for One-Shot Neural Architecture Search", ICML 2019, Algorithm 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Product, Scores, Tangent, Theta
from asng.optim.memory import Memory, first_memory, learnt, predicted
from asng.optim.ranking import normal_scores, utilities
from asng.optim.reuse import Former, Pool, kept, pooled

__all__ = ["Settings", "State", "first_state", "step", "gradient"]

NORM_FLOOR = 1e-9
"""Added to the norm of G, as the authors do, for the case that all samples coincide and G is 0."""


CHANCE = 2.0
"""How many times what chance makes of it |s_d|^2 must be before a cautious search moves variable d."""

EARLY_GROWTH, EARLY_SHRINKAGE = 5.0, 1.0
"""Over t these are the least rates at which an early step size grows and shrinks: it soon leaves a delta_init
that is far too small, and is hardly led away from a good one by the noise of a few updates."""

ROUNDING = 1e-12
"""Where all samples coincide, their utilities cancel up to rounding; a norm below this is taken as 0."""


@dataclass(frozen=True)
class Settings:
    """What stays the same during a search.

    Args:
        alpha: Threshold of the step-size adaptation, > 0.
        delta_init: First step size, > 0.
        Delta_max: Largest Delta, >= 1, may be infinite.
        delta_max: Longest step, > 0, may be infinite; comes before Delta_max.
        early: Let s and gamma be means over all updates, and Delta adapt faster, while updates are few.
        reuse: Read the samples of the last update once more, `asng.optim.reuse`; default rules only.
        memory: Predict utilities from former samples, `asng.optim.memory`; default rules only.
        cautious: Move a variable only where its signal stands out from chance; default rules only.
        scores: Utilities are normal scores, not +-1/mu for the best and the worst quarter.
    """

    alpha: float = 1.5
    delta_init: float = 1.0
    Delta_max: float = math.inf
    delta_max: float = math.inf
    early: bool = False
    reuse: bool = False
    memory: bool = False
    cautious: bool = False
    scores: bool = False


@dataclass(frozen=True)
class State:
    """What an update changes. See the table of symbols at the top of this file.

    `updates` is how many there were, t - 1. `memory`, `gammas` and `former`, the samples of the
    last update, are None where the settings do without.
    """

    theta: Theta
    s: Floats
    gamma: float
    Delta: float
    updates: int = 0
    memory: Memory | None = None
    gammas: Floats | None = None
    former: Former | None = None


def first_state(product: Product, settings: Settings | None = None) -> State:
    """Return the state before the first update, by default without memory or caution."""
    theta, settings = product.initial(), settings or Settings()
    return State(
        theta,
        s=np.zeros(len(product.fisher_root(theta, _zero(theta)))),
        gamma=0.0,
        Delta=_bounded(settings, 1.0),
        memory=first_memory(product) if settings.memory else None,
        gammas=np.zeros(product.n_free) if settings.cautious else None,
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

    Differs: beta is at most 1 (a small delta_init on a tiny space once made it exceed 2, and s NaN); the
    norm has 1e-9 added for the mixed case too. With the default rules, samples that do not differ in what
    they read change nothing, where the authors let s and gamma go on as if a signal had been missing; and
    a variable that few samples read takes steps as long as one that all do, see `gradient`. By the settings,
    utilities are normal scores, G has the noise taken off that former samples foresee, the last update's
    samples are read once more, a cautious search leaves alone what does not stand out from chance, delta has
    an upper bound, and the first updates adapt it faster.

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
    ranked = normal_scores if settings.scores else utilities
    u = ranked(losses)
    if not (u.any() and product.n_theta):
        return state
    t = state.updates + 1
    pool = pooled(product, state.theta, Pool(x, losses, active), state.former)
    n_theta = _degrees(product, pool.active)
    delta = settings.delta_init / state.Delta
    plain = min(delta / math.sqrt(n_theta), 1.0) if n_theta else 1.0
    # While there were fewer than 1/beta updates, s and gamma weigh all of them alike.
    beta = max(plain, 1.0 / t) if settings.early else plain
    if product.rules == "paper":
        found, memory, former = _plain(product, state.theta, x, u, active), None, None
    else:
        found, memory = _estimate(product, state, pool, u, ranked, beta)
        former = kept(product, state.theta, x, losses, active) if settings.reuse else None
    if found is None:
        return state if memory is state.memory else replace(state, memory=memory, updates=t, former=former)
    gain = beta * (2.0 - beta)
    s = (1.0 - beta) * state.s + (math.sqrt(gain) / found.strength) * found.signal  # Algorithm 1, s
    gamma = (1.0 - beta) ** 2 * state.gamma + gain  # Algorithm 1, gamma
    G, gammas = found.G, state.gammas
    if gammas is not None:
        lengths = product.lengths(found.signal)
        gammas = (1.0 - beta) ** 2 * gammas + gain / found.strength**2 * lengths
        G = _damped(product, state.theta, found.root, product.lengths(s), gammas)
    theta = product.move(state.theta, G, delta / found.norm)  # Algorithm 1, theta, and its projection
    excess = gamma - _squared_length(s) / settings.alpha
    rate = plain
    if settings.early:
        rate = min(1.0, max(plain, (EARLY_SHRINKAGE if excess > 0.0 else EARLY_GROWTH) / t))
    Delta = _bounded(settings, state.Delta * math.exp(rate * excess))  # Algorithm 1, Delta
    return State(theta, s, gamma, Delta, t, memory, gammas, former)


def _bounded(settings: Settings, Delta: float) -> float:
    return max(settings.delta_init / settings.delta_max, min(settings.Delta_max, Delta))


def gradient(
    product: Product, theta: Theta, x: Floats, losses: Floats, active: Floats | None = None
) -> tuple[Tangent, float] | None:
    """Return G and its norm in the Fisher metric, for the baselines; None where nothing can be learnt.

    The part of G of a variable that a share of the samples read is divided by the root of that share.
    What chance does to a sum over few samples is thus as large as to one over all of them, so that every
    variable wanders equally far, and `step` sees no direction preferred where there is no signal. Which
    variables are read does not depend on their own values; hence no direction is preferred by this either.
    """
    u = utilities(losses)
    found = _plain(product, theta, x, u, active) if u.any() and product.n_theta else None
    return None if found is None else (found.G, found.norm)


class _Estimate(NamedTuple):
    """G, F^(1/2) G and ||G||_F > 0; what goes into s, and its norm."""

    G: Tangent
    root: Floats
    norm: float
    signal: Floats
    strength: float


def _plain(product: Product, theta: Theta, x: Floats, u: Floats, active: Floats | None) -> _Estimate | None:
    """Return the estimate of Algorithm 1, G_theta, or None where the samples say nothing."""
    weights = _weights(active) if active is not None and product.rules == "default" else active
    G = product.natural_gradient(theta, x, u, weights)
    root = product.fisher_root(theta, G)
    norm = math.sqrt(_squared_length(root))
    if norm < ROUNDING:
        if product.rules == "default":
            return None
        G, root, norm = _zero(theta), np.zeros_like(root), 0.0
    return _Estimate(G, root, norm + NORM_FLOOR, root, norm + NORM_FLOOR)


def _estimate(
    product: Product, state: State, pool: Pool, u: Floats, ranked: Callable[[Floats], Floats], rate: float
) -> tuple[_Estimate | None, Memory | None]:
    """Return the estimate by the default rules, None where the samples say nothing, and what is known after.

    Args:
        product: Family of distributions.
        state: What was before.
        pool: The new samples, and those that are read once more.
        u: Utilities of the new samples among themselves.
        ranked: What gives utilities to losses.
        rate: How fast the memory follows.
    """
    theta, memory = state.theta, state.memory
    scores = Scores(product, theta, pool.x, None if pool.active is None else _weights(pool.active))
    signal = scores.mean(u)
    if math.sqrt(_squared_length(signal)) < ROUNDING:
        return None, memory
    weights, of_all = pool.weights, u
    if weights is not None:
        of_all = ranked(pool.losses)
        of_all = of_all - (weights * of_all).sum() / len(of_all)
    root = signal
    if memory is not None:
        foreseen = predicted(product, theta, memory, scores, pool.active)
        w, v, c = foreseen
        root = signal = c * w + (signal - c * scores.mean(v[: len(u)]))
        if weights is not None:
            root = c * w + scores.mean(weights * (of_all - c * v))
        by = 1.0 if weights is None else weights
        memory = learnt(product, theta, memory, scores, foreseen, u=of_all, weights=by, rate=rate)
    elif weights is not None:
        root = scores.mean(weights * of_all)
    norm, strength = math.sqrt(_squared_length(root)), math.sqrt(_squared_length(signal))
    if min(norm, strength) < ROUNDING:
        return None, memory
    G = product.from_root(theta, root)
    return _Estimate(G, root, norm + NORM_FLOOR, signal, strength + NORM_FLOOR), memory


def _degrees(product: Product, active: Floats | None) -> float:
    """Return n_theta, each variable counted by the share of samples that read it; default rules."""
    if active is None or product.rules == "paper":
        return product.n_theta
    return product.degrees(active.mean(axis=0))


def _weights(active: Floats) -> Floats:
    """Return what each sample read over the root of its share, see `gradient`; 0 where none did."""
    share = active.mean(axis=0)
    return active / np.sqrt(np.where(share > 0.0, share, 1.0))


def _damped(product: Product, theta: Theta, root: Floats, lengths: Floats, gammas: Floats) -> Tangent:
    """Return G with the part of each variable shrunk towards 0, as James and Stein shrink a mean.

    |s_d|^2 is what its accumulated gradient is, gamma_d what it would be by chance. A variable that does
    not matter is left alone most of the time, so that the steps of the others do not take it along.
    """
    ratio = lengths / np.where(gammas > 0.0, gammas, 1.0)
    # Half of the strongest signal is always enough, or a space of one variable would never move.
    wanted = min(CHANCE, 0.5 * float(ratio.max()))
    factors = np.maximum(1.0 - wanted / np.where(ratio > 0.0, ratio, wanted), 0.0) if wanted > 0.0 else ratio
    return product.from_root(theta, product.each(factors, root))


def _squared_length(vector: Floats) -> float:
    """Return the sum of squares, by NumPy: that of BLAS depends in its last bits on the number of threads."""
    return float((vector * vector).sum())


def _zero(theta: Theta) -> Tangent:
    return Tangent(*(np.zeros_like(part) for part in theta))
