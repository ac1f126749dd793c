"""What makes several processes of a search alike, and how that is checked."""

import json
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from asng.search.batches import tensors_in
from asng.search.checkpoint import load_checkpoint
from asng.search.generators import plain_states, restore_plain
from asng.search.loop_state import restore

if TYPE_CHECKING:
    from asng.search.loop import Loop

__all__ = ["become_alike", "check_alike", "digest", "restore_alike"]


def become_alike(loop: "Loop") -> None:
    """Give all processes the weights, theta and generators of the first, and see that their data are alike.

    Raises:
        RunError: They yield other batches.
    """

    def put(state: dict[str, Any]) -> None:
        loop.supernet.load_state_dict(state["model"])
        loop.theta.load_state_dict(json.loads(state["theta"]))
        loop.train.load_state_dict(state["train"])
        loop.valid.load_state_dict(state["valid"])
        torch.set_rng_state(state["generator"])
        restore_plain(state["plain_generators"])

    loop.comm.spread(
        lambda: {
            "model": loop.supernet.state_dict(),
            "theta": json.dumps(loop.theta.state_dict()),
            "train": loop.train.state_dict(),
            "valid": loop.valid.state_dict(),
            "generator": torch.get_rng_state(),
            "plain_generators": plain_states(),
        },
        put,
    )
    for stream in (loop.train, loop.valid):
        loop.comm.check(stream.fingerprint, f"the first batch of {stream.name}")


def restore_alike(loop: "Loop", path: Path) -> int:
    """Go to where the newest checkpoint was taken, in all processes; return how long its log is.

    It is read by one process only, so that all go on from the same one.

    Raises:
        RunError: There is none, or it is of another search.
    """
    state: dict[str, Any] = {}
    if loop.comm.leads:
        state |= load_checkpoint(path)
    loop.comm.spread(lambda: state, state.update)
    return restore(loop, state)


def check_alike(loop: "Loop") -> None:
    """Raise where the weights are not the same in all processes.

    Raises:
        RunError: They are not.
    """
    loop.comm.check(lambda: _sum_of(loop.supernet.state_dict()), f"step {loop.step}: the weights")


def digest(loop: "Loop") -> str:
    """Sum up what must be the same in all processes, but for the weights."""
    total = blake2b(json.dumps([loop.step, loop.theta.state_dict()]).encode(), digest_size=16)
    for stream in (loop.train, loop.valid):
        for state in stream.state_dict()["now"].values():
            total.update(state.numpy().tobytes())
    return total.hexdigest()


def _sum_of(state: Any) -> str:
    total = 0
    for tensor in tensors_in(state):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        total = zlib.crc32(flat.view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
