"""All that a checkpoint holds of a run, and the way back from it."""

import json
from typing import TYPE_CHECKING, Any

import torch

from asng.errors import AsngError, RunError, in_one_line
from asng.runs.checkpoint import PASSED_OVER
from asng.training.data.random_state import plain_states, restore_plain

if TYPE_CHECKING:
    from asng.search.loop import Loop
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from asng.runs.checkpoint import load_checkpoint
from asng.training.data.nested import tensors_in

if TYPE_CHECKING:
    from asng.search.loop import Loop

__all__ = ["restore", "state_names", "state_of", "become_alike", "check_alike", "digest", "restore_alike"]

_PLAIN: dict[str, tuple[type, ...]] = {
    "step": (int,),
    "seconds": (float,),
    "evaluated": (int,),
    "over_budget": (int,),
    "reason": (str, type(None)),
    "ended": (bool,),
}
"""Attributes of a run that are numbers, strings or None, and their types."""

_OTHERS = (
    *("steps", "log_bytes", "space", "model", "optimizer", "scheduler", "theta", "watch", "finite", "costs"),
    *("final", "train", "valid", "generator", "cuda", "plain_generators", "settings", "memory"),
)
"""What else a checkpoint must hold."""


def state_names() -> tuple[str, ...]:
    """Return the names of all that a checkpoint must hold."""
    return (*_PLAIN, *_OTHERS)


def state_of(loop: "Loop") -> dict[str, Any]:
    """Return all that a checkpoint must hold."""
    return {name: getattr(loop, name) for name in _PLAIN} | {
        "steps": loop.steps,
        "log_bytes": loop.log.sync(),
        "space": loop.supernet.space.to_json(),
        "model": loop.supernet.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "scheduler": None if loop.scheduler is None else loop.scheduler.state_dict(),
        "theta": json.dumps(loop.theta.state_dict()),
        "watch": loop.watch.state_dict(),
        "finite": loop.finite.state_dict(),
        "memory": loop.memory.state_dict(),
        "costs": loop.meter.state_dict(),
        "final": loop.final.state_dict(),
        "train": loop.train.state_dict(),
        "valid": loop.valid.state_dict(),
        "generator": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "plain_generators": plain_states(),
        "settings": _settings(loop),
    }


def _settings(loop: "Loop") -> dict[str, Any]:
    """Return the settings that a run is not resumed without, by the names of `OneShotSearch`."""
    names = ("seed", "lam_x", "lam_theta", "clip")
    return {name: getattr(loop.search, name) for name in names} | {"select": loop.search.selection()[0]}


def restore(loop: "Loop", state: dict[str, Any]) -> int:
    """Go to where the checkpoint was taken; return how many bytes of the log belong to it.

    Raises:
        RunError: It is of another search.
    """
    _check(loop, state)
    try:
        _take_over(loop, state)
    except AsngError as error:
        raise type(error)(f"{loop.folder}: {error}") from error
    # Of many kinds, from the `load_state_dict` methods of torch where a state is not theirs.
    except Exception as error:
        raise RunError(
            f"{loop.folder}: the checkpoint does not fit this search: {in_one_line(error)}. Resume with its "
            "own model, optimizer and scheduler."
        ) from error
    loop.passed_over = state.get(PASSED_OVER, "")
    return int(state["log_bytes"])


def _check(loop: "Loop", state: dict[str, Any]) -> None:
    """Raise where a checkpoint lacks something, is of another search, or has a number that is none."""
    lacking = [name for name in state_names() if name not in state]
    if lacking:
        raise RunError(f"{loop.folder}: expected a checkpoint with {lacking[0]!r}, got one without.")
    if state["space"] != loop.supernet.space.to_json():
        raise RunError(f"{loop.folder}: is of another search space. Resume with its own model.")
    _check_settings(loop, state["settings"])
    if type(state["steps"]) is not int or state["steps"] != loop.steps:
        got = in_one_line(repr(state["steps"]), 80)
        raise RunError(
            f"{loop.folder}: expected a run of {loop.steps} steps, got one of {got}. Resume it with its own "
            "data, batch size and epochs."
        )
    for name, types in (*_PLAIN.items(), ("log_bytes", (int,))):
        value = state[name]
        negative = type(value) in (int, float) and not value >= 0
        if type(value) not in types or negative or (name == "step" and value > loop.steps):
            raise RunError(
                f"{loop.folder}: expected a number as {name!r}, got {in_one_line(repr(value), 80)}."
            )


def _check_settings(loop: "Loop", begun: Any) -> None:
    if not isinstance(begun, dict):
        raise RunError(f"{loop.folder}: expected settings by name in the checkpoint, got {begun!r:.80}.")
    for name, value in _settings(loop).items():
        if name not in begun or type(begun[name]) is not type(value) or begun[name] != value:
            got = in_one_line(repr(begun.get(name)), 80)
            raise RunError(
                f"{loop.folder}: expected a run with {name}={value!r}, got one with {name}={got}. Resume it "
                "with its own, or search anew in another run_dir."
            )


def _take_over(loop: "Loop", state: dict[str, Any]) -> None:
    """Set everything that changes to what the checkpoint holds."""
    if (state["scheduler"] is None) != (loop.scheduler is None):
        raise ValueError("one of them has a scheduler and the other has none")
    for name in _PLAIN:  # first, since the length of a final follows from the step
        setattr(loop, name, state[name])
    loop.supernet.load_state_dict(state["model"])
    loop.final.load_state_dict(state["final"])  # before the optimiser, which may be that of a finalist
    loop.optimizer.load_state_dict(state["optimizer"])
    if loop.scheduler is not None:
        loop.scheduler.load_state_dict(state["scheduler"])
    loop.theta.load_state_dict(json.loads(state["theta"]))
    loop.watch.load_state_dict(state["watch"])
    loop.finite.load_state_dict(state["finite"])
    loop.memory.load_state_dict(state["memory"])
    loop.meter.load_state_dict(state["costs"])
    loop.train.load_state_dict(state["train"])
    loop.valid.load_state_dict(state["valid"])
    torch.set_rng_state(state["generator"])
    restore_plain(state["plain_generators"])
    if len(state["cuda"]) == torch.cuda.device_count():  # else the run moved to another machine
        torch.cuda.set_rng_state_all(state["cuda"])


# What makes several processes of a search alike, and how that is checked.


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
