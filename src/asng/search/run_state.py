"""The state of a run: everything that a checkpoint saves and restores."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import torch

from asng.distributed import Comm
from asng.distributed.sharding import gathered, is_sharded, parted, parted_optimizer
from asng.errors import AsngError, RunError, in_one_line
from asng.optim import Optimizer
from asng.runs.checkpoint import PASSED_OVER, load_checkpoint
from asng.runs.folder import CHECKPOINT, LOG, PREVIOUS
from asng.search.callbacks import Callbacks
from asng.search.final import Final
from asng.search.scorer import Scorer
from asng.search.settling import Settling
from asng.search.stopping import Watch
from asng.search.trainer import Trainer
from asng.training.data.nested import checksum
from asng.training.data.random_state import plain_states, restore_plain
from asng.training.faults import FiniteWatch, OutOfMemory

__all__ = ["RunState", "lam_x_of", "load_shared", "synchronise"]


class Part(Protocol):
    """A part of a run that a checkpoint saves and restores."""

    def state_dict(self) -> Any:
        """Return tensors, numbers, strings, and lists and dictionaries of them."""

    def load_state_dict(self, state: Any) -> Any:
        """Restore the state that `state_dict` returned."""


class RunState:
    """The progress of a run, with all its parts that have state.

    Args:
        theta: The optimiser of theta.
        trainer: Holds the weights, their optimiser and the training data.
        scorer: Holds costs and the validation data.
        final: The final of the search.
        watch: Applies the stop rule.
        memory: Counts passes that did not fit into memory.
        callbacks: The user's callbacks.
        settings: Settings that a resumed run must share, by the names of `OneShotSearch`.
        lam_x: Architectures trained per step.

    Attributes:
        steps: Planned steps of the search.
        step: Steps taken.
        seconds: Duration of the run so far, its final included.
        evaluated: Number of candidates compared by steps in theta.
        over_budget: Number of these that were over a budget.
        reason: Why the search ended, or None.
        ended: Whether the end of the run has been logged.
        finite: Counts steps without a finite loss or objective.
        passed_over: Why the newest checkpoint was not the one that was loaded; empty if it was.
    """

    def __init__(
        self,
        *,
        theta: Optimizer,
        trainer: Trainer,
        scorer: Scorer,
        final: Final,
        settling: Settling,
        watch: Watch,
        memory: OutOfMemory,
        callbacks: Callbacks,
        settings: Mapping[str, Any],
        lam_x: int,
    ) -> None:
        self.steps, self.lam_x, self.settings = final.plan.steps, lam_x, dict(settings)
        self.step = self.evaluated = self.over_budget = 0
        self.seconds = 0.0
        self.reason: str | None = None
        self.ended = False
        self.passed_over = ""
        self.watch, self.memory, self.finite = watch, memory, FiniteWatch()
        self.sharded = is_sharded(trainer.supernet)
        self._supernet, self._theta, self._streams = trainer.supernet, theta, (trainer.stream, scorer.stream)
        self._parts: dict[str, Part] = {  # restored in this order:
            "model": trainer.supernet,
            "final": final,  # which makes the optimiser of a finalist, whose state comes next
            "trainer": trainer,
            "theta": _AsJson(theta),
            "settling": settling,
            "watch": watch,
            "finite": self.finite,
            "memory": memory,
            "costs": scorer.meter,
            "scorer": scorer,
            "callbacks": callbacks,
            "train": trainer.stream,  # which draws from the generators to begin a pass
            "valid": scorer.stream,
            "generators": _Generators(),
        }

    def state_dict(self, log_bytes: int) -> dict[str, Any]:
        """Return all that a checkpoint must hold; it belongs to the first `log_bytes` bytes of the log.

        If weights are sharded over processes, all processes must call it.
        """
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        if self.sharded:
            parts = gathered(parts)
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "log_bytes": log_bytes,
            "space": self._supernet.space.to_json(),
            "settings": self.settings,
            **parts,
        }

    def load_state_dict(self, state: dict[str, Any], folder: Path) -> int:
        """Restore the state of a checkpoint; return how many bytes of the log belong to it.

        Raises:
            RunError: The checkpoint is of another search.
        """
        try:
            self._check(state)
            for name in _PLAIN:
                setattr(self, name, state[name])
            for name, part in self._parts.items():
                part.load_state_dict(self._own(name, state[name]))
        except AsngError as error:
            raise type(error)(f"{folder}: {error}") from error
        # The `load_state_dict` methods of torch raise errors of many types if a state does not fit.
        except Exception as error:
            raise RunError(
                f"{folder}: the checkpoint does not fit this search: {in_one_line(error)}. Resume with its "
                "own model, optimizer and scheduler."
            ) from error
        self.passed_over = state.get(PASSED_OVER, "")
        return int(state["log_bytes"])

    def _own(self, name: str, state: Any) -> Any:
        """Return this process's shard of the state of a part."""
        if not self.sharded:
            return state
        own = self._supernet.state_dict()
        if name == "model":
            return {key: parted(value, own.get(key)) for key, value in state.items()}
        if name == "final":  # which keeps weights in main memory
            return {**state, **{key: _parts_of(state[key], own) for key in ("first", "shared", "winner")}}
        if name == "trainer":
            weights = self._parts["trainer"].parameters  # type: ignore[attr-defined]
            gradients = [parted(g, w) for g, w in zip(state["gradients"], weights, strict=False)]
            optimizer = parted_optimizer(state["optimizer"], weights)
            return {**state, "optimizer": optimizer, "gradients": gradients}
        return state

    def names(self) -> tuple[str, ...]:
        """Return the names of all entries that a checkpoint must hold."""
        return (*_PLAIN, "log_bytes", "space", "settings", *self._parts)

    def digest(self) -> str:
        """Return a digest of everything but the weights that must be the same in all processes."""
        total = blake2b(json.dumps([self.step, self._theta.state_dict()]).encode(), digest_size=16)
        for stream in self._streams:
            for state in stream.state_dict()["now"].values():
                total.update(state.numpy().tobytes())
            total.update((stream.summed or 0).to_bytes(4, "big"))
        return total.hexdigest()

    def weights_digest(self) -> str:
        """Return a checksum of the weights."""
        state = self._supernet.state_dict()
        return checksum(gathered(state) if self.sharded else state)

    def _check(self, state: dict[str, Any]) -> None:
        """Raise if a checkpoint lacks an entry, is of another search, or has an invalid number."""
        lacking = [name for name in self.names() if name not in state]
        if lacking:
            raise RunError(f"expected a checkpoint with {lacking[0]!r}, got one without.")
        if state["space"] != self._supernet.space.to_json():
            raise RunError(
                "expected a checkpoint of this search space, got one of another. Resume with its own model."
            )
        for name, stream in zip(("train", "valid"), self._streams, strict=True):
            stream.refuse_other(state[name])
        self._check_settings(state["settings"])
        if type(state["steps"]) is not int or state["steps"] != self.steps:
            got = in_one_line(repr(state["steps"]), 80)
            raise RunError(
                f"expected a run of {self.steps} steps, got one of {got}. Resume it with its own "
                "data, batch size and epochs."
            )
        for name, types in (*_PLAIN.items(), ("log_bytes", (int,))):
            value = state[name]
            negative = type(value) in (int, float) and not value >= 0
            if type(value) not in types or negative or (name == "step" and value > self.steps):
                raise RunError(f"expected a number as {name!r}, got {in_one_line(repr(value), 80)}.")

    def _check_settings(self, begun: Any) -> None:
        if not isinstance(begun, dict):
            raise RunError(f"expected settings by name in the checkpoint, got {begun!r:.80}.")
        for name, value in self.settings.items():
            if name in _IF_TOLD and name not in begun:
                continue
            if name not in begun or type(begun[name]) is not type(value) or begun[name] != value:
                got = in_one_line(repr(begun.get(name)), 80)
                raise RunError(
                    f"expected a run with {name}={value!r}, got one with {name}={got}. Resume it "
                    "with its own value, or start again in another run_dir."
                )


def _parts_of(weights: Any, own: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return this process's part of whole weights, in main memory."""
    if weights is None:
        return None
    parts = {name: parted(value, own.get(name)) for name, value in weights.items()}
    return {name: part.cpu() if isinstance(part, torch.Tensor) else part for name, part in parts.items()}


_PLAIN: dict[str, tuple[type, ...]] = {
    "steps": (int,),
    "lam_x": (int,),
    "step": (int,),
    "seconds": (float,),
    "evaluated": (int,),
    "over_budget": (int,),
    "reason": (str, type(None)),
    "ended": (bool,),
}
"""The attributes of a run that are numbers, strings or None, with their types."""


_IF_TOLD = ("epochs", "loss", "minimize", "maximize", "optimizer", "scheduler")
"""Settings that are compared if the checkpoint has them: older ones do not, and a lambda has no name."""


class _AsJson:
    """Saves the state of theta, which has dictionaries of many kinds, as JSON text."""

    def __init__(self, theta: Optimizer) -> None:
        self.theta = theta

    def state_dict(self) -> str:
        return json.dumps(self.theta.state_dict())

    def load_state_dict(self, state: str) -> None:
        self.theta.load_state_dict(json.loads(state))


class _Generators:
    """The global generators of torch, Python and NumPy."""

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all()
        return {"torch": torch.get_rng_state(), "cuda": cuda, "plain": plain_states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"])
        restore_plain(state["plain"])
        if len(state["cuda"]) == torch.cuda.device_count():  # else the run has moved to another machine
            torch.cuda.set_rng_state_all(state["cuda"])


def synchronise(
    comm: Comm, theta: Optimizer, trainer: Trainer, scorer: Scorer, settings: Mapping[str, Any]
) -> None:
    """Give all processes the weights, theta and generators of the first, and check that all else is the same.

    Args:
        comm: The processes.
        theta: The optimiser of theta.
        trainer: Has the training data.
        scorer: Has the validation data.
        settings: Plain values by name, which must also be the same everywhere.

    Raises:
        RunError: A process has other settings, another space, or other data.
    """
    parts: dict[str, Part] = {
        "model": trainer.supernet,
        "theta": _AsJson(theta),
        "train": trainer.stream,
        "valid": scorer.stream,
        "generators": _Generators(),
    }
    if comm.in_step:  # each already has its shard of the same weights
        del parts["model"]

    def put(state: dict[str, Any]) -> None:
        for name, part in parts.items():
            part.load_state_dict(state[name])

    comm.compare({**settings, **_facts(trainer, scorer)})
    comm.spread(lambda: {name: part.state_dict() for name, part in parts.items()}, put)
    for stream in (trainer.stream, scorer.stream):
        comm.check(stream.fingerprint, f"the first batch of {stream.name}")
        stream.summed = 0 if comm.size > 1 or comm.in_step else None  # later ones are compared as they come


def _facts(trainer: Trainer, scorer: Scorer) -> dict[str, Any]:
    """Return facts to compare between processes now: later, a difference would show in mid-exchange."""
    facts: dict[str, Any] = {"search space": json.loads(trainer.supernet.space.to_json())}
    weights = trainer.supernet.state_dict().items()  # the extra state of a module may be anything
    shapes = {name: list(value.shape) for name, value in weights if isinstance(value, torch.Tensor)}
    facts["names and shapes of weights"] = blake2b(json.dumps(shapes).encode(), digest_size=8).hexdigest()
    for stream in (trainer.stream, scorer.stream):
        facts[f"batches of {stream.name}"] = len(stream)
        with suppress(TypeError, AttributeError):  # iterable data sets have no length
            facts[f"items of {stream.name}"] = len(stream.loader.dataset)  # type: ignore[arg-type]
    return facts


def load_shared(comm: Comm, folder: Path) -> dict[str, Any] | None:
    """Return the newest usable checkpoint, which one process reads for all.

    Return None if the run was killed before its first one: starting anew then loses nothing.

    Raises:
        RunError: There is no checkpoint, and no log of a started run either.
    """
    path = folder / CHECKPOINT
    state: dict[str, Any] = {}
    if comm.leads and (path.exists() or (folder / PREVIOUS).exists() or not (folder / LOG).exists()):
        state |= load_checkpoint(path)
    comm.spread(partial(dict, state), state.update)
    return state or None


def lam_x_of(checkpoint: Mapping[str, Any], default: int) -> int:
    """Return how many architectures a checkpoint's run trains per step, or the default if it is invalid."""
    found = checkpoint.get("lam_x")
    return found if type(found) is int and found >= 1 else default
