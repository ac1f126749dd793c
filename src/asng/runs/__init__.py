"""Write and read run folders: names, files, logs, checkpoints, locks."""

from asng.runs.environment import machine, versions

__all__ = ["machine", "versions"]
