"""Search spaces: variables and their values, independent of any optimiser. Needs neither NumPy nor torch."""

from asng.space.architecture import Architecture
from asng.space.arithmetic import SizeExpression
from asng.space.space import Candidate, Space, Uniform
from asng.space.variables import Categorical, Integer, Real, Value, Variable

__all__ = [
    "Architecture",
    "Candidate",
    "Categorical",
    "Integer",
    "Real",
    "SizeExpression",
    "Space",
    "Uniform",
    "Value",
    "Variable",
]
