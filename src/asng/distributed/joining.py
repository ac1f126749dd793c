"""How a process finds the others of its run: by what torchrun tells it, and nothing else."""

import atexit
import os
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
from asng.distributed.torch_comm import TorchComm
from asng.distributed.watching import place
from asng.errors import RunError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store  # a build without processes lacks it

__all__ = ["joined", "leads", "own_device"]

_PATIENCE = timedelta(days=365)
"""How long to wait for the work of another process, which may be a whole training; one that has ended is
noticed at once, by its connection."""
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_comm: TorchComm | None = None
_connections = Connections()
_parted = False


@contextmanager
def joined() -> Iterator[Comm]:
    """Find the other processes of the run, and work with them while the block runs.

    There are others where torchrun has started this process beside them, or where the default process group
    of torch.distributed is there and has several. An error that leaves the outermost block ends the others
    too. What torchrun started stays together until the process ends, so that it can search again.

    Yields:
        The processes; `LocalComm` where this is the only one.

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
    """Whether this process is the one that does what is to be done once; asks no other process."""
    return int(os.environ.get("RANK", "0")) == 0 if _started_beside_others() else True


def own_device() -> torch.device:
    """Return the accelerator of this process: of several on a machine each takes its own.

    Example:
        >>> own_device().type in ("cuda", "mps", "cpu")
        True
    """
    if not torch.cuda.is_available():
        # Of Apple's there is one, and several processes cannot exchange what lies on it.
        alone = torch.backends.mps.is_available() and not _started_beside_others()
        return torch.device("mps" if alone else "cpu")
    if not _started_beside_others():
        return torch.device("cuda")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _started_beside_others() -> bool:
    return all(name in os.environ for name in _ENVIRONMENT) and int(os.environ["WORLD_SIZE"]) > 1


def _find() -> Comm:
    global _comm
    if _parted:
        raise RunError(
            "processes: expected all that torchrun has started, got those that an earlier error has parted. "
            "Start anew by torchrun."
        )
    if _comm is not None and _comm.failures.store is None and _comm.world is not dist.group.WORLD:
        _let_go()  # of a group that is no longer there; who made it may have made another
    if _comm is None:
        if dist.is_available() and dist.is_initialized():
            _comm = _of_group(None) if dist.get_world_size() > 1 else None
        elif dist.is_available() and _started_beside_others():
            _comm = _of_group(_make_group())
    return LocalComm() if _comm is None else _comm


def _make_group() -> "Store":
    """Make torch.distributed's default group, over NCCL where every process has a GPU of its own."""
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
        raise RunError("processes: expected a group of all of them, got none. Let every process take part.")
    atexit.register(_let_go if store is None else _leave)
    failures = Failures(store, dist.get_rank(), dist.get_world_size())
    comm = TorchComm(control, failures)
    if failures.watch is not None:
        failures.watch.meet(comm.exchange(place()))
    return comm


def _part(comm: TorchComm, error: BaseException) -> None:
    """Leave word of the error, and close the connections, on which the others wait."""
    global _parted
    comm.failures.tell(error)
    if comm.failures.store is not None:  # else the group is not ours to close
        _parted = True
        _connections.cut()
        _leave()


def _leave() -> None:
    """Close the connections."""
    _let_go()
    if dist.is_initialized():
        dist.destroy_process_group()


def _let_go() -> None:
    global _comm
    if _comm is not None:
        _comm.close()
        _comm = None
