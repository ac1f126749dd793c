"""What a child costs, how it is measured, and what follows from it for the search."""

from asng.costs.activations import activation_memory
from asng.costs.measures import multiply_adds, parameters
from asng.costs.terms import Budget, Penalty
from asng.costs.timing import latency

__all__ = ["Budget", "Penalty", "activation_memory", "latency", "multiply_adds", "parameters"]
