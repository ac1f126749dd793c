"""What a child costs, how it is measured, and what follows from it for the search."""

from asng.search.costs.measures import multiply_adds, parameters
from asng.search.costs.memory import activation_memory
from asng.search.costs.terms import Budget, Penalty
from asng.search.costs.timing import latency

__all__ = ["Budget", "Penalty", "activation_memory", "latency", "multiply_adds", "parameters"]
