"""The road from a task to a report: search, score, train alone, compare with chance."""

from asng.pipeline.retrain import retrain_run
from asng.pipeline.run import one_shot_search, run_task
from asng.pipeline.seeds import run_seeds
from asng.pipeline.settings import SearchSettings
from asng.pipeline.task import Loaders, Task

__all__ = ["Loaders", "SearchSettings", "Task", "one_shot_search", "retrain_run", "run_seeds", "run_task"]
