"""The random generators that a pass over a loader draws from."""

from typing import Any

import torch

__all__ = ["generator_states", "restore_generators"]


def generator_states(loader: Any) -> dict[str, torch.Tensor]:
    """Return the states of torch's own generator and of those of the loader, its samplers and its dataset.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> list(generator_states(DataLoader(torch.arange(4), generator=torch.Generator())))
        ['default', 'loader', 'loader.sampler']
    """
    return {name: generator.get_state() for name, generator in _generators(loader).items()}


def restore_generators(loader: Any, states: dict[str, torch.Tensor]) -> None:
    """Put them back into those states."""
    for name, generator in _generators(loader).items():
        generator.set_state(states[name])


def _generators(owner: Any, path: str = "loader") -> dict[str, torch.Generator]:
    found = {"default": torch.default_generator}
    generator = getattr(owner, "generator", None)
    if isinstance(generator, torch.Generator):
        found[path] = generator
    for name in ("sampler", "batch_sampler", "dataset"):
        part = getattr(owner, name, None)
        if part is not None:
            found |= _generators(part, f"{path}.{name}")
    return found
