r"""What former samples say of new ones: a linear prediction of utilities, used as a control variate.

Most of what makes one sample better than another is the other variables. Whatever part of it can be
predicted is noise that the gradient need not have. Written in coordinates in which the Fisher metric is
the identity, phi_i is the score of sample i, and the estimate of the paper is G = mean_i u_i phi_i.
With a prediction v_i = w . phi_i made before the utilities are known,

    G = c w + mean_i (u_i - c v_i) phi_i

has the same expectation, since E[phi phi^T] = 1 and so E[v_i phi_i] = w, and less variance where v agrees
with u. The best c is cov(u, v) / var(v), estimated over the last generations: it goes to 0 where noise leaves
nothing to predict, and the estimate is then the paper's.

| name    | shape             | meaning                                                    | first value |
| ------- | ----------------- | ---------------------------------------------------------- | ----------- |
| w       | that of phi_i     | what each coordinate adds to the utility                   | 0           |
| effects | that of phi_i     | w in units that stay when theta moves: of a choice, of std | 0           |
| v       | (lam,)            | predicted utilities                                        |             |
| agreed  | ()                | sum of u v over the last generations                       | 0           |
| squared | ()                | sum of v v over the last generations                       | 0           |
| c       | ()                | agreed / squared, within [0, 1]                            |             |

References:
    Owen, "Monte Carlo theory, methods and examples", 2013, Section 8.9 (control variates, the best c).
    Haykin, "Adaptive Filter Theory", 2002, Chapter 6 (normalised least mean squares, by which w is learnt).
"""

from dataclasses import dataclass

import numpy as np

from asng.distributions import Floats, Product, Theta

__all__ = ["Memory", "first_memory", "predicted"]

STEP = 0.5
"""Of the step along the gradient of the squared error that fits the newest generation best: old and new
words count the same. Half of it forgets noise; see docs/optimiser.md for others."""

RATE_MAX = 0.5
"""The newest generation alone never decides about c."""


@dataclass(frozen=True)
class Memory:
    """What is kept from generation to generation. See the table at the top of this file."""

    effects: Floats
    agreed: float = 0.0
    squared: float = 0.0


def first_memory(product: Product) -> Memory:
    """Return the memory of nothing."""
    return Memory(np.zeros(len(product.free_root(product.initial()))))


def predicted(
    product: Product,
    theta: Theta,
    memory: Memory,
    x: Floats,
    u: Floats,
    *,
    active: Floats | None,
    rate: float,
) -> tuple[Floats, Memory]:
    """Return G with less noise in the coordinates of the Fisher root, and what is known after.

    Args:
        product: Family of distributions, default rules.
        theta: Parameters that the samples were drawn from.
        memory: What is known before.
        x: Raw draws, shape (lam, D).
        u: Their utilities, shape (lam,).
        active: What each sample read, divided by the root of its share; shape (lam, D). None where all did.
        rate: How fast c follows, in (0, 1].
    """
    unit = product.free_root(theta)
    w = product.centred(theta, memory.effects * unit)
    if active is not None:
        w = np.where(np.concatenate(product.spread(active.max(axis=0))) > 0.0, w, 0.0)
    v = product.along(theta, x, w, active)
    of_u = product.fisher_root(theta, product.natural_gradient(theta, x, u, active))
    of_v = product.fisher_root(theta, product.natural_gradient(theta, x, v, active))
    c = min(max(memory.agreed / memory.squared, 0.0), 1.0) if memory.squared > 0.0 else 0.0
    rate = min(rate, RATE_MAX)
    agreed = (1.0 - rate) * memory.agreed + rate * float(np.sum(u * v))
    squared = (1.0 - rate) * memory.squared + rate * float(np.sum(v * v))
    error = of_u - of_v
    seen = product.along(theta, x, error, active)
    length = float(np.sum(seen * seen))
    best = float(np.sum(error * error)) * len(x) / length if length > 0.0 else 0.0
    effects = memory.effects + np.where(unit > 0.0, STEP * best * error / unit, 0.0)
    return c * w + (of_u - c * of_v), Memory(effects, agreed, squared)
