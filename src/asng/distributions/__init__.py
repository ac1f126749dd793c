"""Probability distributions over a search space: sampling, natural gradients, Fisher metric, bounds."""

from asng.distributions.arrays import Floats, Ints, blocks
from asng.distributions.categorical import Categoricals
from asng.distributions.gaussian import Gaussians
from asng.distributions.named import ThetaView, start
from asng.distributions.product import Placed, Product, Tangent, Theta
from asng.distributions.scores import ScoreVectors

__all__ = [
    "Placed",
    "Product",
    "Theta",
    "Tangent",
    "ThetaView",
    "ScoreVectors",
    "blocks",
    "start",
    "Categoricals",
    "Gaussians",
    "Floats",
    "Ints",
]
