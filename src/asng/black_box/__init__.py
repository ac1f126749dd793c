"""Minimise a function of an architecture: `asng.minimize`. Needs NumPy and SciPy, no torch."""

from asng.black_box.entry import minimize
from asng.black_box.evaluation import Evaluation
from asng.black_box.progress import Callback, Progress
from asng.black_box.result import MinimizeResult
from asng.black_box.stopping import StopRule

__all__ = ["Callback", "Evaluation", "MinimizeResult", "Progress", "StopRule", "minimize"]
