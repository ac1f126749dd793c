"""Find out which process of a run has ended, was stopped, or does not come, while others wait for it.

A connection tells that a process has ended, but not which one, and nothing tells that one is stopped. So each
process tells the others where it runs, and writes a sign of life with its count of exchanges to the store of
the process group every second. About processes on the same machine, the operating system tells the rest.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from asng.checks import real_between
from asng.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store  # a build without processes lacks it

__all__ = ["Watch", "place", "read", "silence", "write_once"]

_BEGUN = 19
"""Index of the start time in what Linux tells of a process, counted after its name."""
_BEAT = 1.0
"""Seconds between two signs of life."""
_ANSWER = 3.0
"""Seconds that a store may take to answer."""
_SILENCE = "ASNG_SILENCE_SECONDS"
_DEFAULT = 20.0


def silence() -> float:
    """Return how many seconds a process may be stopped before the others end: 20, or what the user says.

    Raises:
        InputError: The environment variable ASNG_SILENCE_SECONDS is not a number > 0; it may be infinite.
    """
    said = os.environ.get(_SILENCE, str(_DEFAULT))
    try:
        seconds = float(said)
    except ValueError:
        raise InputError(f"{_SILENCE}: expected seconds, a number > 0, got {said!r:.80}.") from None
    return seconds if seconds == float("inf") else real_between(_SILENCE, seconds, 0.0, 1e9, open_low=True)


def place(pid: int | None = None) -> list[Any]:
    """Return host, process ID and start time of a process on this machine, of this one by default."""
    pid = os.getpid() if pid is None else pid
    parts = _stat(pid)
    return [socket.gethostname(), pid, parts[_BEGUN] if parts else ""]


class _Place(NamedTuple):
    """Where a process runs: its host, its process ID there, and its start time in ticks of the system."""

    host: str
    pid: int
    begun: str


class Watch:
    """Gives signs of life of this process, and looks at those of the others.

    Args:
        store: Store of the process group; a clone of it is used, if there can be one.
        rank: Rank of this process.
        size: Number of processes.

    Attributes:
        exchanges: How many times this process has begun to exchange something with the others.
    """

    def __init__(self, store: "Store", rank: int, size: int) -> None:
        clone = getattr(store, "clone", None)  # since torch 2.6: else two threads take turns
        self.store: Store = store if clone is None else clone()
        self.rank, self.size, self.silence, self.exchanges = rank, size, silence(), 0
        self._others = [number for number in range(size) if number != rank]
        self._places: dict[int, _Place | None] = {}  # None: elsewhere
        self._seen: dict[int, tuple[bytes, float]] = {}
        self._looked = 0.0
        self._gone: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="asng beat")
        self._thread.start()

    def meet(self, places: Sequence[Sequence[Any]]) -> None:
        """Take in where each process runs, by rank, as `place` returns it there. All are running now."""
        for number in self._others:
            place = _Place(*places[number])
            # Another container with the same host name has other process IDs.
            seen = place.host == socket.gethostname() and _state(place) not in (None, "gone")
            self._places[number] = place if seen else None

    def close(self) -> None:
        """Give no more signs of life."""
        self._over.set()
        self._thread.join(2 * _BEAT)

    def begin(self) -> None:
        """Begin to wait for the others, and forget what was seen before."""
        self._seen.clear()
        self._gone.clear()
        self._looked = time.monotonic()

    def look(self) -> tuple[int, str] | None:
        """Return the rank of a process that is not worth waiting for, and why; None if there is none."""
        now = time.monotonic()
        if now - self._looked > 5 * _BEAT:  # this process was stopped itself
            self._seen.clear()
        self._looked = now
        for number in self._others:
            place = self._places.get(number)
            state = None if place is None else _state(place)
            if state == "gone":
                if number in self._gone:  # the first time, what it sent may still arrive
                    return number, "has ended without a word: it was killed, or its script has left"
                self._gone.add(number)
            elif state is not None and state != "T":
                self._seen.pop(number, None)  # it works, however long
            else:
                sign = b"T" if state == "T" else self._sign(number)
                if sign is None or self._seen.get(number, (None,))[0] != sign:
                    self._seen[number] = sign or b"", now
                elif now - self._seen[number][1] > self.silence:
                    how = "is stopped (SIGSTOP, ctrl-Z)" if state else "hangs, is stopped, or is disconnected"
                    return number, f"{how}, for more than {self.silence:g} s ({_SILENCE})"
        return None

    def dead(self) -> tuple[int, str] | None:
        """Return which process has ended, and why, after one has; None if it cannot be found out."""
        self.begin()
        near = all(self._places.get(number) for number in self._others)
        end = time.monotonic() + (3 * _BEAT if near else min(self.silence, _DEFAULT) + 3 * _BEAT)
        while time.monotonic() < end:
            found = self.look()
            if found is not None:
                return found
            time.sleep(_BEAT / 4)
        return None

    def behind(self) -> list[int]:
        """Return the ranks of processes that have begun fewer exchanges than this one, as far as is known."""
        signs = {number: self._sign(number) for number in self._others}
        counts = {number: int(sign.split(b":")[1]) for number, sign in signs.items() if sign is not None}
        return sorted(number for number, count in counts.items() if count < self.exchanges)

    def _beat(self) -> None:
        number = 0
        while not self._over.wait(_BEAT if number else 0.0):
            number += 1
            with suppress(RuntimeError):  # the store has gone with the process that held it
                self.store.set(f"asng/beat/{self.rank}", f"{number}:{self.exchanges}")

    def _sign(self, number: int) -> bytes | None:
        return self._read(f"asng/beat/{number}")

    def _read(self, key: str) -> bytes | None:
        return read(self.store, key)


def read(store: "Store", key: str) -> bytes | None:
    """Return the value of a key; None if it has none, or the store does not answer."""
    return _soon(lambda: bytes(store.get(key)) if store.check([key]) else None)


def write_once(store: "Store", key: str, content: str) -> None:
    """Set the value of a key, unless it has one or the store does not answer."""
    _soon(lambda: bytes(store.compare_set(key, "", content)))


def _soon(ask: Callable[[], bytes | None]) -> bytes | None:
    """Ask a store for a limited time: its process may have ended, or be stopped and never answer."""
    answers: list[bytes | None] = []

    def asking() -> None:
        with suppress(RuntimeError):
            answers.append(ask())

    thread = threading.Thread(target=asking, daemon=True, name="asng store")
    thread.start()
    thread.join(_ANSWER)
    return answers[0] if answers else None


def _state(place: _Place) -> str | None:
    """Return the letter of a process's state, "gone" if it has ended; None if the system does not tell."""
    if not place.begun:
        return None
    parts = _stat(place.pid)
    if not parts or parts[_BEGUN] != place.begun or parts[0] in "ZX":
        return "gone"
    return "T" if parts[0] in "Tt" else parts[0]


def _stat(pid: int) -> list[str]:
    """Return what Linux tells of a process, from the field after its name on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
