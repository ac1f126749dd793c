"""The road from a task to a report: search, score, train alone, compare with chance."""

from asng.pipeline.retrain import retrain_run
from asng.pipeline.run import run_task
from asng.pipeline.seeds import run_seeds
from asng.pipeline.settings import PAPER, Preset, SearchSettings, passes
from asng.pipeline.task import Loaders, Task

__all__ = [
    "PAPER",
    "Loaders",
    "Preset",
    "SearchSettings",
    "Task",
    "passes",
    "retrain_run",
    "run_seeds",
    "run_task",
]
