"""Cut the connections of process groups if a process ends by an error.

When torch lets go of a group, it waits for what is being exchanged in it. With a process that is stopped,
that would never end. Once a connection is cut, both its ends see it as if the other process had ended.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Connections"]


class Connections:
    """The connections that a process has made in `noted`; on systems other than Linux, none are known."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Record the connections that are made while the block runs."""
        before = _sockets()
        yield
        self._known |= {number: name for number, name in _sockets().items() if before.get(number) != name}

    def cut(self) -> None:
        """Cut the recorded connections."""
        now = _sockets()
        for number, name in self._known.items():
            if now.get(number) != name:  # it is closed, and something else may have its number
                continue
            with suppress(OSError), socket.socket(fileno=os.dup(number)) as one:
                one.getpeername()  # raises for a listening socket, which gloo insists on
                one.shutdown(socket.SHUT_RDWR)
        self._known.clear()


def _sockets() -> dict[int, str]:
    """Return the sockets of this process: numbers, and names that no other socket has had."""
    found: dict[int, str] = {}
    with suppress(OSError):
        for path in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the one that listed them
                name = str(path.readlink())
                if name.startswith("socket:"):
                    found[int(path.name)] = name
    return found
