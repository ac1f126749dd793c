"""How a process finds the others of its run: by torch's default group, or by what torchrun tells it."""

import atexit
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from asng.distributed.comm import Comm, LocalComm
from asng.distributed.connections import Connections
from asng.distributed.failing import Failures
from asng.distributed.torch_comm import TorchComm, gather_json
from asng.distributed.watching import place, read, write_once
from asng.errors import RunError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store  # a build without processes lacks it

__all__ = ["joined", "leads", "own_device"]

_PATIENCE = timedelta(days=365)
"""How long to wait for the work of another process, which may be a whole training. A process that has ended
is noticed at once, by its connection."""
_LAST_WORD = timedelta(seconds=3)
"""How long the process that holds a store of ours stays, for the others to read why it ends; also how long
a process may take to find the store."""
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_comm: TorchComm | None = None
_connections = Connections()
_made = False
"""Whether asng has made the group of `_comm`."""
_parted = False


@contextmanager
def joined() -> Iterator[Comm]:
    """Find the other processes of the run, and work with them while the block runs.

    There are others if torchrun has started several processes, or if the default process group of
    torch.distributed exists and has several. An error that leaves the block ends the others too. Processes
    started by torchrun stay together until they end, so that they can search again.

    Yields:
        The processes; `LocalComm` if this is the only one.

    Raises:
        RunError: An earlier error has parted the processes.

    Example:
        >>> with joined() as comm:
        ...     comm.size, comm.leads
        (1, True)
    """
    comm = _find()
    try:
        yield comm
    except BaseException as error:
        if isinstance(comm, TorchComm):
            _part(comm, error)
        raise


def leads() -> bool:
    """Whether this process does what only one of them should do; this asks no other process."""
    return int(os.environ.get("RANK", "0")) == 0 if _started_beside_others() else True


def own_device() -> torch.device:
    """Return the accelerator of this process, else the CPU; of several on a machine, each takes its own.

    Example:
        >>> own_device().type in ("cuda", "mps", "cpu")
        True
    """
    if not torch.cuda.is_available():
        # A Mac has one accelerator, and several processes cannot exchange what lies on it.
        alone = torch.backends.mps.is_available() and not _started_beside_others()
        return torch.device("mps" if alone else "cpu")
    if not _started_beside_others():
        return torch.device("cuda")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _started_beside_others() -> bool:
    return all(name in os.environ for name in _ENVIRONMENT) and int(os.environ["WORLD_SIZE"]) > 1


def _find() -> Comm:
    global _comm, _made
    if _parted:
        raise RunError(
            "processes: expected all that torchrun started, but an earlier error has disconnected them. "
            "Start them again with torchrun."
        )
    if _comm is not None and not _made and _comm.world is not dist.group.WORLD:
        _let_go()  # of a group that no longer exists; its maker may have made another
    if _comm is None:
        if dist.is_available() and dist.is_initialized():
            _made, _comm = False, _of_group(None) if dist.get_world_size() > 1 else None
        elif dist.is_available() and _started_beside_others():
            _made, _comm = True, _of_group(_make_group())
    return LocalComm() if _comm is None else _comm


def _make_group() -> "Store":
    """Make torch.distributed's default group, over NCCL if every process has its own GPU."""
    device = own_device()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        if torch.cuda.device_count() >= here and dist.is_nccl_available():
            backend = "cpu:gloo,cuda:nccl"
    store, rank, size = next(rendezvous("env://"))
    with _connections.noted():
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    return store  # type: ignore[no-any-return]


def _of_group(store: "Store | None") -> TorchComm:
    with _connections.noted():
        control = dist.new_group(backend="gloo", timeout=_PATIENCE)
    if not isinstance(control, dist.ProcessGroup):
        raise RunError("processes: expected a group of all processes, got none. Let every process take part.")
    atexit.register(_let_go if store is None else _leave)
    failures = Failures(_store_beside(control) if store is None else store, dist.get_rank(), control.size())
    comm = TorchComm(control, failures)
    if failures.watch is not None:
        failures.watch.meet(comm.exchange(place()))
    return comm


def _store_beside(control: "dist.ProcessGroup") -> "Store | None":
    """Open a store in the first process, since the store of a user's group is not accessible.

    Returns:
        The store; None in all processes if one of them cannot reach it.
    """
    wait = Failures(None, control.rank(), control.size()).wait
    held: Store | None = None
    if control.rank() == 0:
        held = _reached("127.0.0.1", 0, holds=True)
    said = gather_json([socket.gethostname(), 0 if held is None else held.port], control, wait)  # type: ignore[attr-defined]
    host, port = said[0]
    near = all(other == host for other, _ in said)
    address = "127.0.0.1" if near else os.environ.get("MASTER_ADDR", host)
    store = held if control.rank() == 0 or not port else _reached(address, port)
    return store if all(gather_json(store is not None, control, wait)) else None


def _reached(host: str, port: int, *, holds: bool = False) -> "Store | None":
    try:
        return dist.TCPStore(  # type: ignore[attr-defined]
            host, port, is_master=holds, timeout=_LAST_WORD, wait_for_workers=False
        )
    except RuntimeError:  # from the network
        return None


def _part(comm: TorchComm, error: BaseException) -> None:
    """Leave word of the error, and cut the connections that the others wait on."""
    global _parted
    comm.failures.tell(error)
    if not _made and comm.failures.store is not None:
        _let_read(comm)
    _connections.cut()
    if _made:
        _parted = True
        _leave()
    else:  # the group is not ours to close: all may go on, if the script lets them
        _let_go()


def _let_read(comm: TorchComm) -> None:
    """Say that this process ends; the one that holds the store waits for the others to say so too."""
    store = comm.failures.store
    assert store is not None
    write_once(store, f"asng/over/{comm.rank}", "1")
    over = time.monotonic() + _LAST_WORD.total_seconds()
    others = {f"asng/over/{rank}" for rank in range(1, comm.size)} if comm.leads else set()
    while others and time.monotonic() < over:
        others -= {key for key in others if read(store, key)}
        time.sleep(0.02)


def _leave() -> None:
    """Let go of the processes, and destroy the process group."""
    _let_go()
    if dist.is_initialized():
        dist.destroy_process_group()


def _let_go() -> None:
    global _comm
    if _comm is not None:
        _comm.close()
        _comm = None
