"""What lies in a run folder: names, files, logs, checkpoints, locks."""

from asng.runs.environment import machine, versions

__all__ = ["machine", "versions"]
