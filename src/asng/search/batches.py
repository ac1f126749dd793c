"""An endless stream of batches that can be put down and taken up again at the same batch."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import DataLoader

from asng.errors import InputError

__all__ = ["BatchStream", "batch_size_of", "to_device"]


class BatchStream:
    """Goes round and round a loader, one pass after the other.

    Where a pass stands is its number of batches so far and the state that torch's generators had when it
    began. Taking it up again begins the same pass, with the same shuffling, and skips that many batches.

    Args:
        loader: What yields the batches; with a length.
        name: For messages.

    Raises:
        InputError: The loader has no length or no batch.
    """

    def __init__(self, loader: DataLoader[Any], name: str) -> None:
        if not isinstance(loader, Sized):
            raise InputError(f"{name}: expected a loader with a length, got {type(loader).__name__}.")
        if len(loader) == 0:
            raise InputError(
                f"{name}: expected at least one batch, got none. Give more data or a smaller batch."
            )
        self.loader = loader
        self._taken = 0
        self._iterator: Iterator[Any] | None = None
        self._start = _generator_states(loader)

    def __len__(self) -> int:
        return len(self.loader)

    def next(self) -> Any:
        """Return the next batch, of a new pass where the last one is over."""
        if self._iterator is None or self._taken == len(self.loader):
            self._start, self._taken = _generator_states(self.loader), 0
            self._iterator = iter(self.loader)
        self._taken += 1
        return next(self._iterator)

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream stands."""
        return {"taken": self._taken, "start": self._start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was taken. Leaves the state of torch's default generator as it was."""
        now = torch.get_rng_state()
        self._start, self._taken = state["start"], state["taken"]
        _restore(self.loader, self._start)
        self._iterator = iter(self.loader)
        for _ in range(self._taken):
            next(self._iterator)
        torch.set_rng_state(now)


def _generators(loader: DataLoader[Any]) -> dict[str, torch.Generator]:
    """The generators that a pass draws from: torch's own, and those that the loader was given."""
    found = {"default": torch.default_generator}
    for name, owner in (("loader", loader), ("sampler", getattr(loader, "sampler", None))):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator):
            found[name] = generator
    return found


def _generator_states(loader: DataLoader[Any]) -> dict[str, torch.Tensor]:
    return {name: generator.get_state() for name, generator in _generators(loader).items()}


def _restore(loader: DataLoader[Any], states: dict[str, torch.Tensor]) -> None:
    for name, generator in _generators(loader).items():
        generator.set_state(states[name])


def to_device(batch: Any, device: torch.device) -> Any:
    """Return `batch` with every tensor in its tuples, lists and dictionaries on `device`."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def batch_size_of(batch: Any) -> int:
    """Return the length of the first tensor found in `batch`, or 1 where there is none."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 1
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else ()
    return next((batch_size_of(part) for part in parts), 1)
