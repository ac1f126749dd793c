"""The pipeline from a task to a report: search, score, train from scratch, compare with random networks."""

from asng.pipeline.found import Retrained
from asng.pipeline.retrain import retrain_run
from asng.pipeline.run import one_shot_search, run_task
from asng.pipeline.seeds import run_seeds
from asng.pipeline.task import Loaders, Task
from asng.settings import PAPER, Preset, SearchSettings, passes

__all__ = [
    "PAPER",
    "Loaders",
    "Preset",
    "Retrained",
    "SearchSettings",
    "Task",
    "one_shot_search",
    "passes",
    "retrain_run",
    "run_seeds",
    "run_task",
]
