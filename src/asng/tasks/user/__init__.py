"""A user's own model, data, loss and objective, named by their import paths."""

from asng.settings import UserSettings
from asng.tasks.user.task import user_task

__all__ = ["UserSettings", "user_task"]
