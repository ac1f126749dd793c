"""Check that your own optimiser, searchable layer or task keeps the contract that asng relies on.

A claim is a function whose name says what it claims. It raises AssertionError with what it expected and what
it got. `check_optimizer`, `check_layer` and `check_task` try all claims; the tuples of claims are for
parametrised tests. pytest is not needed.
"""

from asng.testing.layers import LAYER_CLAIMS, TWIN_CLAIMS, LayerCase, check_layer
from asng.testing.optimizers import OPTIMIZER_CLAIMS, check_optimizer
from asng.testing.tasks import TASK_CLAIMS, check_task

__all__ = [
    "LAYER_CLAIMS",
    "OPTIMIZER_CLAIMS",
    "TASK_CLAIMS",
    "TWIN_CLAIMS",
    "LayerCase",
    "check_layer",
    "check_optimizer",
    "check_task",
]
