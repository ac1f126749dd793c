"""Copies of a supernet's weights, and having them in its place for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from asng.nn import Supernet

__all__ = ["copy_of", "weights_of"]


def copy_of(supernet: Supernet) -> dict[str, Any]:
    """Return a copy of weights and buffers, in main memory, where there is more room than on a GPU."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
        for name, value in supernet.state_dict().items()
    }


@contextmanager
def weights_of(supernet: Supernet, weights: Mapping[str, Any] | None) -> Iterator[None]:
    """Have a supernet with other weights while the block runs; None leaves its own."""
    if weights is None:
        yield
        return
    own = copy_of(supernet)
    supernet.load_state_dict(weights)
    try:
        yield
    finally:
        supernet.load_state_dict(own)
