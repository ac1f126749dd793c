"""An end for a search that hangs: in a loss, a model, a loader that waits, or another process."""

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from asng.checks import real_between
from asng.errors import InputError, RunError
from asng.search.callbacks import Callback

if TYPE_CHECKING:
    from asng.search.loop import Loop

__all__ = ["StepLimit"]

_MOMENT = 0.01
"""For Python to hear of a pause, in seconds."""


class StepLimit(Callback):
    """Ends a search of which a step takes too long, by an error beside whose traceback stands what hangs.

    What is bounded is the time from one step of the weights to the next, from the first step on, in the
    search and in its final. It includes the step in theta between them and whatever is scored. Python hears
    the clock between two of its own instructions: a call that hangs within a library is not ended. After a
    pause of the process (SIGSTOP, ctrl-Z) the step that it came in has its whole time anew.

    Args:
        seconds: Which no step may take, > 0: many times what a slow one does.

    Raises:
        InputError: `seconds` is none. At the beginning of a search: it runs outside the main thread, or on a
            system without such a clock (Windows), or something else uses that clock (SIGALRM).

    Example:
        >>> import asng, time, torch
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> def loss(forward, batch):
        ...     time.sleep(60)
        >>> op = asng.nn.Choice({"a": torch.nn.Linear(2, 1), "b": torch.nn.Linear(2, 1)}, label="op")
        >>> search = asng.OneShotSearch(asng.nn.Supernet(op), loss, callbacks=[StepLimit(0.1)])
        >>> loader = DataLoader(TensorDataset(torch.randn(8, 2)), batch_size=2)
        >>> search.fit(loader, loader, epochs=2, check=False, progress=False)
        Traceback (most recent call last):
        asng.errors.RunError: step: expected each to take at most 0.1 s, got one that does not end. ...
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = real_between("seconds", seconds, 0.0, 1e9, open_low=True)
        self._before: Any = None
        self._continued: Any = None
        self._over = False

    def begin(self, loop: "Loop") -> None:
        """Take the clock; it is wound up by the first step, since what comes before may take its time."""
        super().begin(loop)
        main = threading.current_thread() is threading.main_thread()
        if not main or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
            raise InputError(
                "StepLimit: expected a search in the main thread of a system that has signals, with SIGALRM "
                "free, got another. Leave it out."
            )
        self._before = signal.signal(signal.SIGALRM, self._end)
        self._continued = signal.signal(signal.SIGCONT, self._go_on)

    def updates(self) -> bool:
        """Wind the clock up: a step of the weights begins."""
        self._wind()
        return True

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """Wind the clock up."""
        self._wind()

    def final(self, finalists: Sequence[Any]) -> None:
        """Wind the clock up."""
        self._wind()

    def end(self, result: Any) -> None:
        """Stop the clock: the steps are over."""
        self.close()

    def close(self) -> None:
        """Stop the clock, also after an error."""
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._before)
            signal.signal(signal.SIGCONT, self._continued or signal.SIG_DFL)  # None is a handler of C
            self._before = None

    def _wind(self) -> None:
        if self._before is not None:
            self._over = False
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """Wind the clock up after a pause, if it was going or has just run down."""
        if self._over or signal.getitimer(signal.ITIMER_REAL)[0]:
            self._wind()
        if callable(self._continued):
            self._continued(number, frame)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if isinstance(sys.exc_info()[1], RunError):
            return  # the search ends already, by an error that says more: a process was lost
        if not self._over:  # in a pause, of which Python hears next
            self._over = True
            signal.setitimer(signal.ITIMER_REAL, _MOMENT)
            return
        raise RunError(
            f"step: expected each to take at most {self.seconds:g} s, got one that does not end. The "
            "traceback says where it is; mend that, or give a longer limit, and go on by resume."
        )
