"""Train and score a torch network, without a search."""

from asng.training.batch_norm import batch_statistics, give_averages, recalibrate
from asng.training.child_file import load_child, load_child_weights, save_child
from asng.training.distillation import distilled, relative_error, soft_cross_entropy
from asng.training.export import save_onnx, save_program
from asng.training.forward import running
from asng.training.metric import MetricObjective
from asng.training.objective import Forward, Loss, Objective, accuracy, supervised
from asng.training.optimizers import MakeOptimizer, MakeScheduler, adamw, cosine, sgd
from asng.training.train import count_parameters, score, train

__all__ = [
    "Forward",
    "Loss",
    "MakeOptimizer",
    "MakeScheduler",
    "MetricObjective",
    "Objective",
    "accuracy",
    "adamw",
    "batch_statistics",
    "cosine",
    "count_parameters",
    "distilled",
    "give_averages",
    "load_child",
    "load_child_weights",
    "recalibrate",
    "relative_error",
    "running",
    "save_child",
    "save_onnx",
    "save_program",
    "score",
    "sgd",
    "soft_cross_entropy",
    "supervised",
    "train",
]
