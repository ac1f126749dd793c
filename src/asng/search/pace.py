"""When the next checkpoint is due."""

import time

__all__ = ["CheckpointPace"]

LEAST_RATIO = 50
"""The interval is at least so many times what the last checkpoint took, so that all of them together take at
most 2 % of the time."""


class CheckpointPace:
    """Counts pieces of work and seconds between checkpoints.

    Args:
        seconds: A checkpoint is due after so many, but not before 50 times what the last one took; 0: after
            every piece of work, whatever it takes.
        steps: One is due after so many pieces of work too, whatever it takes; or None.

    Example:
        >>> pace = CheckpointPace(60.0, 2)
        >>> [pace.due() for _ in range(4)]
        [False, True, True, True]
        >>> pace.saved(took=0.1)
        >>> pace.due(), pace.interval
        (False, 60.0)
        >>> pace.saved(took=3.0)
        >>> pace.interval
        150.0
    """

    def __init__(self, seconds: float, steps: int | None) -> None:
        self.seconds, self.steps = seconds, steps
        self.interval = seconds
        self._pieces = 0
        self._since = time.perf_counter()  # which no change of the clock moves

    def due(self) -> bool:
        """Count a piece of work, and say whether a checkpoint is due."""
        self._pieces += 1
        if self.steps is not None and self._pieces >= self.steps:
            return True
        return time.perf_counter() - self._since > self.interval

    def saved(self, *, took: float) -> None:
        """Begin to count anew after a checkpoint that took so many seconds."""
        self._pieces, self._since = 0, time.perf_counter()
        self.interval = max(self.seconds, LEAST_RATIO * took) if self.seconds > 0.0 else 0.0
