"""Supernets too large for one device: each process holds a part of every weight, by torch's FSDP.

All processes run the same architectures on the same batches, since FSDP gathers a layer's weights from all of
them when the layer runs. So memory is divided and time is not, and a search runs as in one process.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from asng.distributed.comm import Comm, LocalComm
from asng.distributed.joining import joined
from asng.errors import InputError
from asng.nn import Searchable, Supernet

__all__ = [
    "InStep",
    "gathered",
    "is_sharded",
    "parted",
    "parted_optimizer",
    "shard",
    "without_numbers",
    "whole",
]

_T = TypeVar("_T")

_PLAIN: "WeakKeyDictionary[nn.Module, Supernet]" = WeakKeyDictionary()
"""Sharded supernets to copies from before they were sharded, with weights on the meta device."""


def shard(supernet: Supernet) -> Supernet:
    """Divide the weights of a supernet over the processes, and so its gradients and its optimiser's state.

    The weights are those of the first process. A unit is gathered when it runs, and freed afterwards. Units
    are the largest modules in which nothing is searchable, and searchable layers; what is left is one more.
    Buffers stay whole. Then search with `OneShotSearch(supernet, ...)` in all processes.

    Args:
        supernet: Changed in place, by `torch.distributed.fsdp.fully_shard`.

    Returns:
        The same supernet.

    Raises:
        InputError: This is the only process, or the supernet is sharded already.

    Example:
        Started by `torchrun --nproc-per-node 2`:

        supernet = shard(Supernet(model))
        result = OneShotSearch(supernet, loss).fit(train_loader, run_dir="runs/large")
        child = result.child  # in all processes
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if is_sharded(supernet):
        raise InputError("shard: expected a supernet with whole weights, got one that is sharded already.")
    with joined() as comm:
        if comm.size == 1:
            raise InputError(
                "shard: expected several processes to divide the weights over, got one. Start them with "
                "torchrun."
            )
        if is_sharded(supernet):
            raise InputError(
                "shard: expected a supernet with whole weights, got one that is sharded already."
            )
        comm.spread(supernet.state_dict, supernet.load_state_dict)
        weights = {id(p): nn.Parameter(_meta(p), p.requires_grad) for p in supernet.parameters()}
        plain = copy.deepcopy(supernet, weights)
        device = next(supernet.parameters()).device.type
        mesh = init_device_mesh(device, (comm.size,))
        for unit in _units(supernet.model):
            fully_shard(unit, mesh=mesh)
        fully_shard(supernet.model, mesh=mesh)
        _PLAIN[supernet] = plain
    return supernet


def _meta(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta")


def _units(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        plain = not any(isinstance(part, Searchable) for part in child.modules())
        container = isinstance(child, (nn.ModuleDict, nn.ModuleList))
        has_own = next(child.parameters(recurse=False), None) is not None
        if plain and not container:
            if next(child.parameters(), None) is not None:
                yield child
        else:
            yield from _units(child)
            if has_own and isinstance(child, Searchable):
                yield child


def is_sharded(model: nn.Module) -> bool:
    """Whether weights of a model are divided over processes."""
    return any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def whole(supernet: Supernet) -> Supernet:
    """Return a supernet with whole weights, in main memory, from which children can be extracted.

    Args:
        supernet: If it is sharded, all processes must call this. If not, it is returned as it is.

    Raises:
        InputError: It was sharded by other means than `shard`.
    """
    if not is_sharded(supernet):
        return supernet
    plain = without_numbers(supernet)
    plain.load_state_dict(gathered(supernet.state_dict()), assign=True)
    return plain


def without_numbers(supernet: Supernet) -> Supernet:
    """Return a copy of a sharded supernet as it was before, with weights on the meta device.

    Raises:
        InputError: It was sharded by other means than `shard`.
    """
    if supernet not in _PLAIN:
        raise InputError(
            "supernet: expected one that asng.distributed.shard has divided, got one sharded by other means. "
            "Load its full state into a new supernet."
        )
    return copy.deepcopy(_PLAIN[supernet])


def gathered(state: Any) -> Any:
    """Return a state with divided tensors made whole, in main memory; all processes must call this."""
    if isinstance(state, Mapping):
        return {name: gathered(value) for name, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(gathered(value) for value in state)
    if not hasattr(state, "full_tensor"):
        return state
    # A part that is kept in main memory goes by the device on which its group exchanges.
    return state.to(state.device_mesh.device_type).full_tensor().detach().cpu()


def parted(whole: Any, like: Any) -> Any:
    """Return this process's part of a whole tensor, divided like another one, if that is divided."""
    if not hasattr(like, "full_tensor") or not isinstance(whole, Tensor) or whole.shape != like.shape:
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def parted_optimizer(state: dict[str, Any], weights: Sequence[Tensor]) -> dict[str, Any]:
    """Return the whole state of an optimiser, divided like its weights."""
    each = {
        number: {name: parted(value, weights[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": each}


class InStep(LocalComm):
    """Processes that hold parts of the same weights: they do all work together, as if they were one.

    Args:
        comm: The processes.
    """

    in_step = True

    def __init__(self, comm: Comm) -> None:
        self.comm, self.leads = comm, comm.leads

    def once(self, work: Callable[[], _T]) -> _T:
        """Do the work in the first process."""
        return self.comm.once(work)

    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Combine the flags of all processes."""
        return self.comm.either(*flags, digest=digest)

    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """Copy the state of the first process, whatever the source."""
        self.comm.spread(get, put)

    def check(self, digest: Callable[[], str], what: str) -> None:
        """Compare the digests."""
        self.comm.check(digest, what)

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Compare the facts of all processes."""
        self.comm.compare(facts)
