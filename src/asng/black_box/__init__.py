"""Minimise a function of an architecture by `asng.minimize`; needs NumPy and SciPy, but no torch."""

from asng.black_box.measured import Measured
from asng.black_box.minimize import minimize
from asng.black_box.reporting import MedianRule, report_step
from asng.black_box.result import Callback, Evaluation, MinimizeError, MinimizeResult, Progress
from asng.black_box.stopping import MinimizeStopRule
from asng.optim.importance import Importance

__all__ = [
    "Callback",
    "Evaluation",
    "Importance",
    "Measured",
    "MedianRule",
    "MinimizeError",
    "MinimizeResult",
    "MinimizeStopRule",
    "Progress",
    "minimize",
    "report_step",
]
