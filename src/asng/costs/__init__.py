"""Costs of a child: measures, and the penalties and budgets that bring them into a search."""

from asng.costs.activations import activation_memory
from asng.costs.measures import multiply_adds, parameters, stored_bytes
from asng.costs.terms import Budget, Penalty, budgets_of
from asng.costs.timing import latency, onnx_latency

__all__ = [
    "Budget",
    "Penalty",
    "activation_memory",
    "budgets_of",
    "latency",
    "multiply_adds",
    "onnx_latency",
    "parameters",
    "stored_bytes",
]
