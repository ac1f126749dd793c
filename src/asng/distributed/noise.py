"""Random numbers that processes draw apart, without drifting apart.

What shuffles data must be in the same state everywhere. A training pass may draw too, as dropout does, and
draws more or fewer numbers than that of another architecture in another process. So each process draws them
from a generator of its own, and afterwards all go on from where they were; one number further if any drew.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

__all__ = ["Noise"]


class Noise:
    """Keeps the global generators of torch, Python and NumPy alike in all processes.

    Args:
        rank: Number of this process. The first one draws as a single process would.

    Attributes:
        drew: Whether this process has drawn anything since the last `settle`.

    Example:
        >>> noise = Noise(1)
        >>> before = torch.get_rng_state()
        >>> with noise.apart():
        ...     _ = torch.rand(3)
        >>> noise.drew, bool((torch.get_rng_state() == before).all())
        (True, True)
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.drew = False

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Draw from a generator of this process while the block runs."""
        before = _states()
        if self.rank > 0:
            seed = _seed(before[0], self.rank)
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one, which losses of users draw from
        own = _states()
        try:
            yield
        finally:
            self.drew |= not all(_same(a, b) for a, b in zip(own, _states(), strict=True))
            _restore(before)

    def settle(self, drew: bool) -> None:
        """Continue with other numbers, if any process drew."""
        if drew:
            seed = int(torch.randint(2**63 - 1, ()))
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            if _on_cuda():
                torch.cuda.manual_seed(seed)
        self.drew = False


def _states() -> list[Any]:
    cuda = [torch.cuda.get_rng_state()] if _on_cuda() else []
    return [torch.get_rng_state(), random.getstate(), np.random.get_state(), *cuda]  # noqa: NPY002


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _on_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _restore(states: list[Any]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])  # noqa: NPY002
    for state in states[3:]:
        torch.cuda.set_rng_state(state)


def _seed(state: torch.Tensor, rank: int) -> int:
    digest = blake2b(state.numpy().tobytes(), digest_size=7, salt=rank.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")
