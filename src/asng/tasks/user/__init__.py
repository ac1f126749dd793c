"""A user's own model, data, loss and objective, named by their import paths."""

from asng.tasks.user.task import OwnSettings, own

__all__ = ["OwnSettings", "own"]
