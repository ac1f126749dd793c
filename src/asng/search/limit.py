"""A time limit per step, for a search that hangs in a loss, a model, a loader or another process."""

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
"""Seconds in which Python gets to handle a pause signal."""


class StepLimit(Callback):
    """Ends a search if one of its steps takes too long, with an error whose traceback shows where it hangs.

    The limit bounds the time from one step of the weights to the next, in the search and in its final,
    starting with the first step. This includes the step in theta between them and all scoring. Python
    handles the timer's signal between its own instructions, so a call that hangs inside a library is not
    interrupted. After the process was paused (SIGSTOP, Ctrl-Z), the current step gets its full time again.

    Args:
        seconds: Time limit of a step, > 0. Choose many times the duration of a slow step.

    Raises:
        InputError: `seconds` is out of range. At the beginning of a search: it runs outside the main thread,
            or on a system without this timer (Windows), or something else uses the timer (SIGALRM).

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
        """Install the signal handlers; the first step starts the timer, since setup may take long."""
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
        """Restart the timer: a step of the weights begins."""
        self._wind()
        return True

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """Restart the timer."""
        self._wind()

    def final(self, finalists: Sequence[Any]) -> None:
        """Restart the timer."""
        self._wind()

    def end(self, result: Any) -> None:
        """Stop the timer: the steps are over."""
        self.close()

    def close(self) -> None:
        """Stop the timer, also after an error."""
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._before)
            signal.signal(signal.SIGCONT, self._continued or signal.SIG_DFL)  # None: installed from C
            self._before = None

    def _wind(self) -> None:
        if self._before is not None:
            self._over = False
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """Restart the timer after a pause, if it was running or has just fired."""
        if self._over or signal.getitimer(signal.ITIMER_REAL)[0]:
            self._wind()
        if callable(self._continued):
            self._continued(number, frame)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if isinstance(sys.exc_info()[1], RunError):
            return  # the search already ends with a more precise error: a process was lost
        if not self._over:  # perhaps in a pause, whose signal Python handles next
            self._over = True
            signal.setitimer(signal.ITIMER_REAL, _MOMENT)
            return
        raise RunError(
            f"step: expected each to take at most {self.seconds:g} s, got one that does not end. The "
            "traceback shows where it is. Fix that, or give a longer limit, and pass resume=True to "
            "continue."
        )
