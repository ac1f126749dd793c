"""Short messages from every process to every other, as JSON over a tensor of bytes."""

import json
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["gather_bytes", "gather_json", "send_bytes"]

_SLOT = 2048
"""Bytes that the first round has room for: most messages need no second one."""
_HEAD = 8


def gather_json(value: Any, group: dist.ProcessGroup) -> list[Any]:
    """Return the values of all processes, by rank.

    Not by `torch.distributed.all_gather_object`, which would load pickles.
    """
    return [json.loads(message) for message in gather_bytes(json.dumps(value).encode(), group)]


def gather_bytes(message: bytes, group: dist.ProcessGroup) -> list[bytes]:
    """Return the messages of all processes, by rank, of whatever lengths."""
    head = len(message).to_bytes(_HEAD, "big")
    slots = _gather((head + message)[:_SLOT].ljust(_SLOT, b"\0"), group)
    lengths = [int.from_bytes(slot[:_HEAD], "big") for slot in slots]
    most = max(lengths)
    if most + _HEAD > _SLOT:
        return [m[:n] for m, n in zip(_gather(message.ljust(most, b"\0"), group), lengths, strict=True)]
    return [slot[_HEAD : _HEAD + n] for slot, n in zip(slots, lengths, strict=True)]


def send_bytes(message: bytes | None, group: dist.ProcessGroup) -> bytes:
    """Return in all processes what the first one gives; the others give None."""
    length = torch.tensor([0 if message is None else len(message)])
    dist.broadcast(length, 0, group=group)
    content = torch.empty(int(length), dtype=torch.uint8) if message is None else _tensor(message)
    dist.broadcast(content, 0, group=group)
    return content.numpy().tobytes()


def _gather(message: bytes, group: dist.ProcessGroup) -> list[bytes]:
    mine = _tensor(message)
    slots = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(slots, mine, group=group)
    return [slot.numpy().tobytes() for slot in slots]


def _tensor(message: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(message), dtype=torch.uint8)
