"""Caution: a variable moves only as far as its signal stands out from chance.

References:
    James and Stein, "Estimation with quadratic loss", Berkeley Symposium, 1961 (the shrinkage).
"""

import numpy as np

from asng.distributions import Floats, Product, Tangent, Theta

__all__ = ["damped"]

CHANCE = 2.0
"""How many times what chance makes of it |s_d|^2 must be before a cautious search moves variable d."""


def damped(product: Product, theta: Theta, root: Floats, lengths: Floats, gammas: Floats) -> Tangent:
    """Return G with the part of each variable shrunk towards 0, as James and Stein shrink a mean.

    |s_d|^2 is what its accumulated gradient is, gamma_d what it would be by chance. A variable that does
    not matter is left alone most of the time, so that the steps of the others do not take it along.
    """
    ratio = lengths / np.where(gammas > 0.0, gammas, 1.0)
    # Half of the strongest signal is always enough, or a space of one variable would never move.
    wanted = min(CHANCE, 0.5 * float(ratio.max()))
    factors = np.maximum(1.0 - wanted / np.where(ratio > 0.0, ratio, wanted), 0.0) if wanted > 0.0 else ratio
    return product.from_root(theta, product.each(factors, root))
