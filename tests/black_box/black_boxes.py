"""Functions to minimise, at the top of a module so that other processes can import them."""

import math
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

from asng.space import Categorical, Integer, Real, Space

SMALL = Space({"op": Categorical(["a", "b", "c"]), "k": Integer(1, 5), "flag": Categorical([False, True])})
MIXED = Space(
    {
        "op": Categorical(["a", "b", "c"]),
        "width": Integer(1, 64, log=True),
        "rate": Real(1e-4, 1.0, log=True),
        "one": Integer(7, 7),
    }
)
GATED = Space(
    {f"gate{i}": Categorical([False, True]) for i in range(4)} | {f"in{i}": Integer(0, 9) for i in range(4)}
)


def small(a):
    return abs(a["k"] - 4) + 2.0 * (a["op"] != "b") + 0.5 * (not a["flag"])


def mixed(a):
    return (math.log10(a["rate"]) + 2) ** 2 + abs(a["width"] - 20) / 8 + (a["op"] != "c")


def gated(a):
    """Reads what is inside a gate only where it is open."""
    return float(sum(abs(a[f"in{i}"] - 3) if a[f"gate{i}"] else 4 for i in range(4)))


def slow_where_early(a):
    """Takes longer for what is submitted first, so that later calls end before."""
    time.sleep(0.02 if a["op"] == "a" else 0.0)
    return small(a)


def deadly(a):
    """Kill the process that computes it, where a file is there that the environment names."""
    if Path(os.environ["DEADLY_WHERE"]).exists() and a["op"] == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return small(a)


def lasting(a):
    """Never comes back for some."""
    while a["op"] == "b":
        time.sleep(1)
    return small(a)


def pausing(a):
    """Has its process and the first one be stopped for a second, once; takes half of one besides."""
    armed = Path(os.environ["PAUSING_WHERE"])
    if armed.exists():
        armed.unlink()
        both = f"{os.getpid()} {os.getppid()}"
        subprocess.Popen(["sh", "-c", f"kill -STOP {both}; sleep 1; kill -CONT {both}"])
        time.sleep(0.2)  # the pause is in it
        time.sleep(0.3)
    return small(a)


def forking(a):
    """Has a process that it forks be ended by SIGTERM; returns how that failed."""
    process = get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    code = process.exitcode
    process.kill()
    return abs((code or 0) + signal.SIGTERM)


def spawning(a):
    """Has a program that it runs be ended by SIGINT, SIGTERM and SIGHUP; returns how many failed."""
    numbers, failed = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 0
    for number in numbers:
        with subprocess.Popen(["sleep", "60"]) as process:
            time.sleep(0.1)
            process.send_signal(number)
            try:
                failed += process.wait(10) != -number
            finally:
                process.kill()
    return failed


def exiting(a):
    """Ends by `sys.exit` for some, as argparse does."""
    if a["op"] == "b":
        sys.exit(2)
    return small(a)


class Counted:
    """A function, and the architectures that it was called with."""

    def __init__(self, f, dies_at=None, error=None):
        self.f, self.dies_at, self.error, self.calls = f, dies_at, error, []

    def __call__(self, a):
        if len(self.calls) == self.dies_at:
            raise self.error or KeyboardInterrupt
        self.calls.append(dict(a._values))  # unwatched: what f reads is f's own matter
        return self.f(a)
