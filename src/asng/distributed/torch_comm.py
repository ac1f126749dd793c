"""The `Comm` of several processes, by torch.distributed."""

import io
import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from asng.distributed.comm import Comm
from asng.distributed.failing import Failures
from asng.distributed.gradients import mask_of, reduce_gradients, union_of
from asng.distributed.noise import Noise
from asng.errors import RunError, in_one_line

__all__ = ["TorchComm", "gather_bytes", "gather_json", "send_bytes"]

_T = TypeVar("_T")
_S = TypeVar("_S")
Wait: TypeAlias = "Callable[[dist.Work | None], None]"
"""Waits for an exchange, and explains it if that fails."""
_HEAD = struct.Struct(">d?")
"""What precedes the mask of weights: the loss, and whether the pass drew random numbers."""


class TorchComm(Comm):
    """The processes of torch.distributed's default group.

    Args:
        control: A gloo group of the same processes, for short messages. Waiting for one may take as long as
            the longest piece of work.
        failures: Tells why a process ended.
    """

    def __init__(self, control: "dist.ProcessGroup", failures: Failures) -> None:
        self.size, self.rank = dist.get_world_size(), dist.get_rank()
        self.leads = self.rank == 0
        self.world, self.control, self.failures = dist.group.WORLD, control, failures
        self.noise = Noise(self.rank)

    def close(self) -> None:
        """Let go of the groups; the processes cannot work together afterwards.

        The threads of a group run for as long as anything refers to it, even when torch.distributed has
        destroyed it. A thread that frees a tensor while Python exits aborts the process.
        """
        self.failures.close()
        del self.world, self.control

    def own(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return every `size`-th piece, from this rank on."""
        return pieces[self.rank :: self.size]

    def deal(self, pieces: int, work: Callable[[int], _S], settle: Callable[[_S], _T]) -> list[_T]:
        """Do every `size`-th piece, and gather the results."""
        with self.noise.apart():
            mine = [work(number) for number in range(self.rank, pieces, self.size)]
            settled = [settle(result) for result in mine]
        dealt = self._gather(settled)
        return [dealt[number % self.size][number // self.size] for number in range(pieces)]

    def once(self, work: Callable[[], _T]) -> _T:
        """Do the work in the first process."""
        result = None
        if self.leads:
            with self.noise.apart():
                result = work()
        return self._gather(result)[0]  # type: ignore[no-any-return]

    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Take the maximum over all processes of each flag, and of the digest and its negative."""
        number = 0 if digest is None else int(digest()[:15], 16)
        table = torch.tensor([number, -number, *flags])
        self.failures.wait(dist.all_reduce(table, dist.ReduceOp.MAX, group=self.control, async_op=True))
        most, least, *set_somewhere = table.tolist()
        if most != -least:
            numbers = self.exchange(f"{number:x}")
            raise _unlike("theta, its generator and the batches", numbers)
        return tuple(bool(flag) for flag in set_somewhere)

    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """Send the state of one process as torch.save writes it."""
        if self.rank == source:
            buffer = io.BytesIO()
            torch.save(get(), buffer)
            send_bytes(buffer.getvalue(), self.control, source, self.failures.wait)
        else:
            content = send_bytes(None, self.control, source, self.failures.wait)
            put(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))

    def check(self, digest: Callable[[], str], what: str) -> None:
        """Compare the digests of all processes."""
        digests = self._gather(digest())
        if len(set(digests)) > 1:
            raise _unlike(what, digests)

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Compare the facts of all processes."""
        said = self._gather(dict(facts))
        for name in facts:
            values = [one.get(name) for one in said]
            if any(value != values[0] for value in values):
                raise _unlike(name, [in_one_line(repr(value), 80) for value in values])

    def apart(self) -> AbstractContextManager[object]:
        """Return a context in which this process draws its own random numbers."""
        return self.noise.apart()

    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Agree on the union of the weights that were used, and sum their gradients."""
        message = _HEAD.pack(loss, self.noise.drew) + mask_of(parameters)
        messages = gather_bytes(message, self.control, self.failures.wait)
        used = union_of([message[_HEAD.size :] for message in messages], len(parameters))
        # Not by the default group, if that can be avoided: its destruction would wait for what is being
        # exchanged in it when an error parts the processes.
        group = None if _over_nccl() else self.control
        reduce_gradients([parameters[index] for index in used], self._wait_for_sums, group)
        heads = [_HEAD.unpack_from(message) for message in messages]
        self.noise.settle(any(drew for _, drew in heads))
        return float(sum(loss for loss, _ in heads))

    def _gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, and bring their generators into the same state."""
        gathered = self.exchange([self.noise.drew, value])
        self.noise.settle(any(drew for drew, _ in gathered))
        return [value for _, value in gathered]

    def exchange(self, value: Any) -> list[Any]:
        """Return the value of each process, plain JSON, by rank."""
        return gather_json(value, self.control, self.failures.wait)

    def _wait_for_sums(self, work: "dist.Work | None") -> None:
        if _over_nccl():  # only the GPU waits; this call returns at once
            with self.failures.explained():
                if work is not None:
                    work.wait()
        else:
            self.failures.wait(work)


def _over_nccl() -> bool:
    return "nccl" in dist.get_backend()


def _unlike(what: str, values: Sequence[str]) -> RunError:
    """Return an error that names the processes that differ from most, or, of two, the second."""
    usual = Counter(values).most_common(1)[0][0]  # on a tie, the first
    others = [rank for rank, value in enumerate(values) if value != usual]
    names = ("process " if len(others) == 1 else "processes ") + ", ".join(map(str, others))
    told = ", ".join(f"{value} in process {rank}" for rank, value in enumerate(values))
    return RunError(
        f"{what}: expected the same in all {len(values)} processes, got another in {names}: {told}. "
        "Let every process make the same model, data and seeds, and draw no random numbers in one of them "
        "only."
    )


# --- short messages from every process to every other, as JSON over a tensor of bytes -------------------


_SLOT = 2048
"""Bytes that the first round has room for: most messages need no second one."""
_LENGTH = 8


def gather_json(value: Any, group: "dist.ProcessGroup", wait: Wait) -> list[Any]:
    """Return the values of all processes, by rank.

    This avoids `torch.distributed.all_gather_object`, which would load pickles.
    """
    return [json.loads(message) for message in gather_bytes(json.dumps(value).encode(), group, wait)]


def gather_bytes(message: bytes, group: "dist.ProcessGroup", wait: Wait) -> list[bytes]:
    """Return the messages of all processes, by rank; they may have any lengths."""
    head = len(message).to_bytes(_LENGTH, "big")
    slots = _gather((head + message)[:_SLOT].ljust(_SLOT, b"\0"), group, wait)
    lengths = [int.from_bytes(slot[:_LENGTH], "big") for slot in slots]
    most = max(lengths)
    if most + _LENGTH > _SLOT:
        return [m[:n] for m, n in zip(_gather(message.ljust(most, b"\0"), group, wait), lengths, strict=True)]
    return [slot[_LENGTH : _LENGTH + n] for slot, n in zip(slots, lengths, strict=True)]


def send_bytes(message: bytes | None, group: "dist.ProcessGroup", source: int, wait: Wait) -> bytes:
    """Send the message of the process `source` to all, and return it; the others pass None."""
    length = torch.tensor([0 if message is None else len(message)])
    wait(dist.broadcast(length, source, group=group, async_op=True))
    content = torch.empty(int(length), dtype=torch.uint8) if message is None else _tensor(message)
    wait(dist.broadcast(content, source, group=group, async_op=True))
    return content.numpy().tobytes()


def _gather(message: bytes, group: "dist.ProcessGroup", wait: Wait) -> list[bytes]:
    mine = _tensor(message)
    slots = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    wait(dist.all_gather(slots, mine, group=group, async_op=True))
    return [slot.numpy().tobytes() for slot in slots]


def _tensor(message: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(message), dtype=torch.uint8)
