"""Handle what goes wrong in training: losses that are not finite, lack of memory, killed workers."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from asng.errors import RunError, in_one_line
from asng.training.data.nested import tensors_in
from asng.training.modes import cuda_devices

__all__ = [
    "MOST_SKIPPED_STEPS",
    "FiniteWatch",
    "origin",
    "refuse_other_weights",
    "OutOfMemory",
    "is_out_of_memory",
    "is_undefined",
    "lonely",
    "WorkersGone",
    "dead_workers_told",
    "timeouts_told",
]

MOST_SKIPPED_STEPS = 100
"""After so many consecutive steps without a finite value, the weights are taken to be lost."""

_T = TypeVar("_T")

_SAID = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch says if the CPU, or a GPU library, is out of memory; such errors have no class of their own."""

_TIMED_OUT = "DataLoader timed out after"
_KILLED = "DataLoader worker (pid"
"""How torch's messages begin. Errors that a data set raises in a worker begin otherwise."""

_SECONDS = 1.0
"""How long the signal that a worker has ended may take; its handler ends the sleep with an error."""


class FiniteWatch:
    """Counts steps without a finite value, and ends the search if there are too many.

    Attributes:
        skipped: Number of latest consecutive weight steps without a finite loss.
        blind: Number of latest consecutive theta steps without a finite objective.
        seen: Whether any objective was ever finite.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.blind = 0
        self.seen = False

    def trained(self, loss: float, step: int, origin: Callable[[], str]) -> None:
        """Count the loss of a weight step; `origin` says where a NaN comes from, if needed.

        Raises:
            RunError: Too many consecutive losses were not finite.
        """
        self.skipped = 0 if math.isfinite(loss) else self.skipped + 1
        if self.skipped >= MOST_SKIPPED_STEPS:
            raise RunError(
                f"loss: expected a finite training loss, got none in {self.skipped} steps in a row (step "
                f"{step}). {origin()} Lower the learning rate, or look for a NaN in the data."
            )

    def scored(self, values: Sequence[float], step: int, expected: str, origin: Callable[[], str]) -> None:
        """Count the objectives of a theta step; `expected` says what was expected of which function.

        An objective that is not finite ranks worst. If none is finite, there is nothing to rank.

        Raises:
            RunError: None was finite, and none ever was, or none in too many consecutive steps.
        """
        if not values:  # all candidates were over a budget
            return
        if any(math.isfinite(value) for value in values):
            self.seen, self.blind = True, 0
            return
        self.blind += 1
        if not self.seen or self.blind >= MOST_SKIPPED_STEPS:
            got = ", ".join(str(value) for value in values)
            often = (
                f"{self.blind} theta steps in a row, the last" if self.blind > 1 else "the first theta step,"
            )
            raise RunError(f"{expected}, got {got} in {often} at step {step}. {origin()}")

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, for a checkpoint."""
        return {"skipped": self.skipped, "blind": self.blind, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue counting from a checkpoint."""
        self.skipped, self.blind, self.seen = state["skipped"], state["blind"], state["seen"]


def refuse_other_weights(before: Mapping[str, nn.Parameter], model: nn.Module) -> None:
    """Raise unless a model still has the same weights as before, whatever their values.

    Weights that a forward pass makes or replaces would stay untrained, and checkpoints could not be read.

    Args:
        before: Name to weight, from `named_parameters()` of the model.
        model: The model.

    Raises:
        RunError: A weight is new, gone or another object; the message names it.
    """
    now = dict(model.named_parameters())
    for name in (*before, *now):
        if before.get(name) is not now.get(name):
            words = "a new one" if name not in before else "none" if name not in now else "another one"
            raise RunError(
                f"weights: expected {name!r} to be as it was when the training began, got {words}: a forward "
                "pass made or removed it. Make all weights in __init__, or by a lazy layer of torch, and put "
                "numbers into them in place."
            )


def origin(network: nn.Module, run: Callable[[], float], function: str) -> str:
    """Run a function of a network once more, and say where the first number that is not finite comes from.

    Args:
        network: The network whose modules are watched.
        run: Runs the function, and returns its value.
        function: Name of the function.

    Returns:
        A sentence that blames the inputs, the module with the first such output, or neither.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> with torch.no_grad():
        ...     _ = net[0].bias.fill_(float("nan"))
        >>> origin(net, lambda: net(torch.ones(2)).sum().item(), "mine")
        "The first output that is not finite is that of the module '0' (Linear)."
    """
    found: list[str] = []

    def look(value: Any, sentence: str) -> None:
        if not found and not _finite(value):
            found.append(sentence)

    hooks = [
        network.register_forward_pre_hook(
            lambda _, args, kwargs: look((args, kwargs), "The inputs of the network are already not finite."),
            with_kwargs=True,
        )
    ]
    for path, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):  # it takes no hooks
            continue
        where = f"the module {path!r}" if path else "the model itself"
        sentence = f"The first output that is not finite is that of {where} ({type(module).__name__})."
        hooks.append(module.register_forward_hook(lambda *call, sentence=sentence: look(call[-1], sentence)))
    try:
        with torch.random.fork_rng(devices=cuda_devices()), torch.no_grad():
            value = run()
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        return found[0]
    if math.isfinite(value):
        return (
            "In a second pass everything was finite: the cause is the gradient, or something drawn at random."
        )
    return f"The outputs of all modules are finite: {function} itself causes it."


def is_undefined(value: float, network: nn.Module, run: Callable[[], Any]) -> bool:
    """Whether a function gave NaN because of the batch, and not because of the network's outputs.

    An area under a curve is undefined on labels of one class, and so is a mean over no items. If an output of
    the network has a NaN or plus infinity, the network is at fault. The function is run again to see them.

    Args:
        value: What the function returned.
        network: The network whose outputs are watched.
        run: Runs the function.

    Example:
        >>> x, net = torch.ones(3), nn.Identity()
        >>> def correlation(x):
        ...     return torch.corrcoef(torch.stack([net(x), x]))[0, 1].item()
        >>> [is_undefined(correlation(x), net, lambda: correlation(x)) for x in (x, x / 0)]
        [True, False]
    """
    if not math.isnan(value):
        return False
    broken: list[bool] = []

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        broken.extend(_broken(tensor) for tensor in tensors_in(output))

    hook = network.register_forward_hook(look)
    try:
        with torch.random.fork_rng(devices=cuda_devices()), torch.no_grad():
            run()
    finally:
        hook.remove()
    return not any(broken)


def _broken(output: torch.Tensor) -> bool:
    # A loss that the network itself returns may be undefined as well, and scores of masked items are -inf.
    if output.ndim == 0 or not output.is_floating_point():
        return False
    return bool((output.isnan() | (output == math.inf)).any())


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors_in(value))


class OutOfMemory:
    """Counts passes that ran out of memory.

    Attributes:
        count: How many passes have run out of memory so far.
        first: The first architecture that did; None if none did, or if it is not known.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: dict[str, Any] | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """End the block early if it runs out of memory, and count that."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        """Count an error if it says that memory ran out; raise any other."""
        if not is_out_of_memory(error):
            raise error
        self.count += 1

    def of(self, architecture: Mapping[str, Any]) -> None:
        """Note an architecture that did not fit, if it is the first."""
        self.first = dict(architecture) if self.first is None else self.first

    def state_dict(self) -> dict[str, Any]:
        """Return the count and the first architecture, for a checkpoint."""
        return {"count": self.count, "first": self.first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue counting from a checkpoint.

        Raises:
            ValueError: The count or the first architecture is malformed.
        """
        if type(state["count"]) is not int or state["count"] < 0:
            raise ValueError(f"{state['count']!r:.80} passes without memory")
        first = state.get("first")  # which older checkpoints do not have
        if not isinstance(first, dict | None):
            raise ValueError(f"{first!r:.80} as what did not fit into memory")
        self.count, self.first = state["count"], first

    def value(self, score: Callable[[], _T]) -> _T | float:
        """Return what `score` returns, or NaN if it runs out of memory.

        Example:
            >>> memory = OutOfMemory()
            >>> memory.value(lambda: torch.empty(2**60).sum().item()), memory.count
            (nan, 1)
        """
        try:
            return score()
        except (MemoryError, RuntimeError) as error:
            self._note(error)
            return math.nan


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, be it Python's, torch's on the CPU, or a GPU's."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


@contextmanager
def timeouts_told(name: str) -> Iterator[None]:
    """Raise RunError, with the name of the loader, if a loader times out while the block runs.

    Example:
        >>> with timeouts_told("valid_loader"):
        ...     raise RuntimeError("DataLoader timed out after 3 seconds")
        Traceback (most recent call last):
        asng.errors.RunError: valid_loader: expected a batch within its timeout, but DataLoader timed out ...
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_TIMED_OUT):
            raise
        raise RunError(
            f"{name}: expected a batch within its timeout, but {in_one_line(error)}: a worker hangs. Check "
            "which item it reads, or give the loader a longer timeout, and pass resume=True (--resume) to "
            "continue."
        ) from error


class WorkersGone(RunError):
    """A worker of a data loader was killed."""


def lonely(batch: Any) -> str:
    """Return advice on a batch of a single item, which may be why a pass failed; else an empty string."""
    if {tensor.shape[0] for tensor in tensors_in(batch) if tensor.ndim} != {1}:
        return ""
    return " The batch has one item, which batch norms cannot take: give its loader drop_last=True."


@contextmanager
def dead_workers_told() -> Iterator[None]:
    """Raise RunError if a worker of a data loader is killed, or hangs, while the block runs.

    torch raises wherever the main process is at that moment, even in the middle of a step, so a search can
    only continue from a checkpoint.

    Example:
        >>> with dead_workers_told():
        ...     raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        Traceback (most recent call last):
        asng.training.faults.WorkersGone: loader: expected its worker processes to keep running, but ...
    """
    try:
        try:
            with timeouts_told("loader"):
                yield
        except (ConnectionError, EOFError):  # the pipe to a worker broke; a signal tells of its end next
            time.sleep(_SECONDS)
            raise
    except RuntimeError as error:
        if not str(error).startswith(_KILLED):
            raise
        time.sleep(_SECONDS)  # for a signal that was sent to all processes: then it ends the run
        raise WorkersGone(
            f"loader: expected its worker processes to keep running, but {in_one_line(error)}. Did they run "
            "out of memory? Pass resume=True (--resume) to continue, with fewer num_workers."
        ) from error
