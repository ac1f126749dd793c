"""The tasks that a run folder can name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from asng.pipeline.task import Task
from asng.tasks.classification import ClassificationSettings, classification
from asng.tasks.inpainting import InpaintingSettings, inpainting
from asng.tasks.user import OwnSettings, own

__all__ = ["TASKS", "TaskKind"]


@dataclass(frozen=True)
class TaskKind:
    """How a task is made again from what config.yaml holds.

    Args:
        settings: Dataclass of its settings, whose fields are plain values.
        make: Makes the task from them.
    """

    settings: type[Any]
    make: Callable[[Any], Task]


TASKS: Mapping[str, TaskKind] = MappingProxyType(
    {
        "classification": TaskKind(ClassificationSettings, classification),
        "inpainting": TaskKind(InpaintingSettings, inpainting),
        "own": TaskKind(OwnSettings, own),
    }
)
