"""One malformed file: made, read within a time, and judged."""

import random
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from malformed.readers import Reader

from asng.errors import AsngError

__all__ = ["LIMIT", "Verdict", "is_clear", "judge", "within"]

LIMIT = 2.0
"""Seconds of this process that a file may take, so that a busy machine makes no difference."""
WAITING = 15
"""So many times that by the clock on the wall, for a reader that waits instead of computing."""

_LONGEST = 2_000
"""Of an error, in characters: more is nothing to read."""


class Verdict(NamedTuple):
    """How a file ended.

    Attributes:
        kind: "error", a clear one of ours; "accepted"; "unclear", one of ours that does not name the file or
            takes several lines; "crash", any other exception; "hang".
        seconds: Of this process that it took to read.
        said: The error, if any.
    """

    kind: str
    seconds: float
    said: str = ""


class _TooLongError(BaseException):
    """Not an Exception: readers turn those into errors of theirs."""


def judge(reader: Reader, folder: Path, rng: random.Random) -> Verdict:
    """Write whole files into an empty folder, spoil one of them, and let them be read."""
    reader.write(folder)
    spoiled = reader.spoil(folder, rng)
    clock = time.process_time()
    try:
        with within(LIMIT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch and Pillow about what they read
            reader.read(folder)
        kind, said = "accepted", ""
    except AsngError as error:
        said = str(error)
        kind = "error" if is_clear(said, folder, spoiled) else "unclear"
    except _TooLongError:
        kind, said = "hang", traceback.format_exc(limit=-3)
    except BaseException:
        kind, said = "crash", traceback.format_exc(limit=-6)
    seconds = time.process_time() - clock
    return Verdict("hang" if seconds > LIMIT else kind, seconds, said)


def is_clear(said: str, folder: Path, spoiled: Path) -> bool:
    """Return whether an error is one line, not too long, that names the file or its folder."""
    named = str(folder) in said or spoiled.name in said
    return named and "\n" not in said and len(said) < _LONGEST


@contextmanager
def within(seconds: float) -> Iterator[None]:
    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise _TooLongError

    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, WAITING * seconds),
    )
    before = {number: signal.signal(number, stop) for number, _, _ in timers}
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for number, timer, _ in timers:
            signal.setitimer(timer, 0.0)
            signal.signal(number, before[number])
