"""Tasks: data, supernet, objective and settings put together, and the road from them to a report."""

from asng.tasks.pipeline import retrain_run, run_task
from asng.tasks.seeds import run_seeds
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Loaders, Task

__all__ = [
    "Loaders",
    "SearchSettings",
    "Task",
    "retrain_run",
    "run_seeds",
    "run_task",
]
