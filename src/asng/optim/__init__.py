"""Optimisers with `ask` and `tell`: ASNG, and baselines for comparison. Needs NumPy and SciPy."""

from asng.optim.ask_tell import HasTheta, Optimizer, Told
from asng.optim.asng import ASNG
from asng.optim.baselines import SNG, Adam, RandomSearch
from asng.optim.several import SeveralGoals
from asng.optim.staged import Staged
from asng.optim.staged_constrained import StagedConstrained
from asng.optim.staged_front import StagedFront

__all__ = [
    "ASNG",
    "SNG",
    "Adam",
    "HasTheta",
    "Optimizer",
    "RandomSearch",
    "SeveralGoals",
    "Staged",
    "StagedConstrained",
    "StagedFront",
    "Told",
]
