"""Scoring architectures on the shared weights, and what each of them read."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch

from asng.distributed import Comm
from asng.nn import Supernet
from asng.space import Architecture
from asng.training.faults import OutOfMemory
from asng.training.objective import Objective, checked_value, to_float

__all__ = ["ReadingForward", "Score", "score_pairs"]

_Settled: TypeAlias = tuple[float, list[str] | None, int]


class Score(NamedTuple):
    """What an objective gave for an architecture.

    Attributes:
        value: The number; NaN where the architecture does not fit into memory.
        read: The variables that its passes read; None where it was not run.
    """

    value: float
    read: frozenset[str] | None


def score_pairs(
    supernet: Supernet,
    pairs: Sequence[tuple[Architecture, Any]],
    *,
    objective: Objective,
    name: str,
    memory: OutOfMemory,
    comm: Comm,
) -> list[Score]:
    """Score architectures, each on a batch, and each in one of the processes; return all scores everywhere.

    Args:
        supernet: Holds the weights x.
        pairs: Of an architecture and a batch on the supernet's device.
        objective: What to score by.
        name: What the objective is called in messages.
        memory: Counts what does not fit, in whichever process.
        comm: The processes.
    """

    def work(number: int) -> tuple[float | torch.Tensor, list[str] | None, int]:
        architecture, batch = pairs[number]
        forward, missed = ReadingForward(supernet, architecture), OutOfMemory()
        value = missed.value(
            lambda: checked_value(objective(forward, batch), name, objective, may_require_grad=name == "loss")
        )
        return value, None if forward.read is None else sorted(forward.read), missed.count

    def settle(result: tuple[float | torch.Tensor, list[str] | None, int]) -> _Settled:
        value, read, missed = result
        return to_float(value), read, missed

    results = comm.deal(len(pairs), work, settle)
    memory.count += sum(missed for _, _, missed in results)
    return [Score(value, None if read is None else frozenset(read)) for value, read, _ in results]


class ReadingForward:
    """Runs one architecture, and collects what all its passes read.

    Attributes:
        read: Names of variables; None before the first pass.
    """

    def __init__(self, supernet: Supernet, architecture: Architecture) -> None:
        self.supernet, self.architecture = supernet, architecture
        self.read: frozenset[str] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the supernet as the architecture."""
        output = self.supernet(*args, architecture=self.architecture, **kwargs)
        self.read = self.supernet.active | (self.read or frozenset())
        return output
