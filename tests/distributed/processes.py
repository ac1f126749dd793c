"""Runs a function in several processes that find each other as those of torchrun do, in a second each.

They are forked from a server that has imported torch once. As under torchrun, the store by which they find
each other outlives them. What a function returns goes through JSON.
"""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch.distributed as dist

SECONDS = 120
"""No test takes as long: what does hangs, and is killed."""

_FORKS = multiprocessing.get_context("forkserver")
# torch imports the second with the first step of an optimiser.
_FORKS.set_forkserver_preload(["torch", "torch._dynamo", "asng.cli.main", "asng.tasks", "small_search"])


@dataclass(frozen=True)
class Ended:
    """How one process ended: its exit code, and what it returned or raised."""

    code: int
    value: Any = None
    error: str = ""


def together(work, *arguments, size=2) -> list[Ended]:
    """Run `work(*arguments)` in so many processes at once, and say how each ended."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with TemporaryDirectory() as folder:
        processes = [
            _FORKS.Process(target=_child, args=(work, arguments, rank, size, store.port, folder))
            for rank in range(size)
        ]
        for process in processes:
            process.start()
        over = time.monotonic() + SECONDS
        while running := [process for process in processes if process.is_alive()]:
            wait([process.sentinel for process in running], 0.2)
            if all(_state(process.pid) == "T" for process in running):
                for process in running:  # the others have ended: how does it?
                    os.kill(process.pid, signal.SIGCONT)
            if time.monotonic() > over:
                for process in running:
                    process.kill()
        return [_ended(process, Path(folder) / str(rank)) for rank, process in enumerate(processes)]


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def values(work, *arguments, size=2) -> list[Any]:
    """Return what all of them return; none may fail."""
    ended = together(work, *arguments, size=size)
    assert [one.code for one in ended] == [0] * size, "\n".join(one.error for one in ended)
    return [one.value for one in ended]


def _child(work, arguments, rank, size, port, folder):
    if size > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }
    path = Path(folder) / str(rank)
    try:
        path.write_text(json.dumps({"value": work(*arguments)}))
    except BaseException as error:
        path.write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        raise SystemExit(1) from None


def _ended(process, path):
    told = json.loads(path.read_text()) if path.exists() else {}
    code = process.exitcode
    process.close()
    return Ended(code, **told)
