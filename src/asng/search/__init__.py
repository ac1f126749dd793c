"""The one-shot loop, and what comes before and after it. Knows no images."""

from asng.search.batch_norm import batch_statistics, give_averages, recalibrate
from asng.search.child import load_child_weights, save_child, save_onnx, save_program
from asng.search.costs import Budget, Penalty
from asng.search.descent import MakeOptimizer, MakeScheduler, cosine, sgd
from asng.search.objective import Forward, Loss, Objective, accuracy, supervised
from asng.search.one_shot import OneShotSearch
from asng.search.result import SearchResult
from asng.search.stopping import StopRule
from asng.search.train import count_parameters, score, train

__all__ = [
    "Budget",
    "Forward",
    "Loss",
    "MakeOptimizer",
    "MakeScheduler",
    "Objective",
    "OneShotSearch",
    "Penalty",
    "SearchResult",
    "StopRule",
    "accuracy",
    "batch_statistics",
    "cosine",
    "count_parameters",
    "give_averages",
    "load_child_weights",
    "recalibrate",
    "save_child",
    "save_onnx",
    "save_program",
    "score",
    "sgd",
    "supervised",
    "train",
]
