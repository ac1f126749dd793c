"""Optimisers with `ask` and `tell`: ASNG and the baselines to compare it with. Needs NumPy and SciPy."""

from asng.optim.adam import Adam
from asng.optim.asng import ASNG
from asng.optim.interface import Optimizer
from asng.optim.random import RandomSearch
from asng.optim.sng import SNG

__all__ = ["ASNG", "SNG", "Adam", "RandomSearch", "Optimizer"]
