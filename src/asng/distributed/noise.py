"""Let processes draw their own random numbers without drifting apart.

The generators that shuffle data must be in the same state everywhere. A training pass may draw from them too,
for dropout, say, and how much it draws depends on the architecture. So each process draws for its passes from
a generator of its own. Afterwards, all go on from the common state, one number further if any process drew.
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
    """Keeps the global generators of torch, Python and NumPy in the same state in all processes.

    Args:
        rank: Rank of this process. The first one draws as a single process would.

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
        """Draw from this process's own generators while the block runs."""
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
        """Continue with other numbers if any process drew."""
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
