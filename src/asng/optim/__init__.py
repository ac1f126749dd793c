"""Optimisers with `ask` and `tell`: ASNG and the baselines to compare it with. Needs NumPy and SciPy."""

from asng.optim.asng import ASNG
from asng.optim.baselines import SNG, Adam, RandomSearch
from asng.optim.interface import Optimizer

__all__ = ["ASNG", "SNG", "Adam", "RandomSearch", "Optimizer"]
