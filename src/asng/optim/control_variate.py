r"""A control variate: a linear prediction of new samples' utilities, learnt from earlier samples.

For the gradient of one variable, utilities vary mostly because of the other variables. The predictable part
of this variation is noise that can be removed. In coordinates in which the Fisher metric is the identity,
phi_i is the score of sample i, and the estimate of the paper is G = mean_i u_i phi_i. With a prediction
v_i = w . phi_i made before the utilities are known,

    G = c w + mean_i (u_i - c v_i) phi_i

has the same expectation, since E[phi phi^T] = 1 and so E[v_i phi_i] = w, and less variance if v agrees with
u. The best c is cov(u, v) / var(v), estimated over the last generations. It goes to 0 if noise leaves
nothing to predict, and the estimate is then the paper's.

| name    | shape             | meaning                                                    | first value |
| ------- | ----------------- | ---------------------------------------------------------- | ----------- |
| w       | that of phi_i     | contribution of each coordinate to the utility             | 0           |
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
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Product, ScoreVectors, Theta

__all__ = ["ControlVariate", "Prediction", "learnt", "predicted"]

STEP = 0.5
"""Share of the step along the gradient of the squared error that fits the newest generation best. With half
of it, old and new evidence count the same, and noise is forgotten; others: docs/optimiser/rejected.md."""

RATE_MAX = 0.5
"""Largest rate of c, so that the newest generation never determines it alone."""


@dataclass(frozen=True)
class ControlVariate:
    """The control variate's memory between generations. See the table at the top of this file."""

    effects: Floats
    agreed: float = 0.0
    squared: float = 0.0

    @classmethod
    def first(cls, product: Product) -> "ControlVariate":
        """Return a control variate that predicts 0."""
        return cls(np.zeros(len(product.free_root(product.initial()))))


class Prediction(NamedTuple):
    """The prediction for samples before their losses are known: w, v and c."""

    w: Floats
    v: Floats
    c: float


def predicted(
    product: Product, theta: Theta, known: ControlVariate, scores: ScoreVectors, active: Floats | None = None
) -> Prediction:
    """Predict the utilities of samples.

    Args:
        product: Family of distributions, default rules.
        theta: Parameters.
        known: The control variate from earlier samples.
        scores: The scores of the samples.
        active: 1 if a sample read a variable, shape (n, D). Default: all 1.
    """
    w = product.centred(theta, known.effects * product.free_root(theta))
    if active is not None:
        w = np.where(np.concatenate(product.spread(active.max(axis=0))) > 0.0, w, 0.0)
    c = min(max(known.agreed / known.squared, 0.0), 1.0) if known.squared > 0.0 else 0.0
    return Prediction(w, scores.along(w), c)


def learnt(
    product: Product,
    theta: Theta,
    known: ControlVariate,
    scores: ScoreVectors,
    prediction: Prediction,
    *,
    u: Floats,
    weights: Floats | float,
    rate: float,
    error: Floats | None = None,
) -> ControlVariate:
    """Return the control variate after an update with the utilities of samples.

    Args:
        product: Family of distributions, default rules.
        theta: Parameters.
        known: The control variate before.
        scores: The scores of the samples.
        prediction: The prediction for the samples.
        u: Their utilities, shape (n,).
        weights: Weight of each sample, shape (n,), with mean 1; or one for all.
        rate: Learning rate of c, in (0, 1].
        error: The mean score weighted by the prediction errors, if already known.
    """
    v, rate = prediction.v, min(rate, RATE_MAX)
    agreed = (1.0 - rate) * known.agreed + rate * float((weights * u * v).sum())
    squared = (1.0 - rate) * known.squared + rate * float((weights * v * v).sum())
    error = scores.mean(weights * (u - v)) if error is None else error
    seen = scores.along(error)
    length = float((weights * seen * seen).sum())
    best = float((error * error).sum()) * len(u) / length if length > 0.0 else 0.0
    effects = known.effects + STEP * best * error / product.free_root(theta)
    return ControlVariate(effects, agreed, squared)
