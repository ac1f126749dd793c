"""A user's own model, data, loss and objective, named by their import paths."""

from asng.tasks.user.task import UserSettings, user_task

__all__ = ["UserSettings", "user_task"]
