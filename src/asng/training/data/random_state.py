"""The random generators that a run draws from: torch's, Python's, NumPy's, and those of a loader."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from asng.nn.extraction.recording import seed_torch
from asng.training.modes import cuda_devices

__all__ = [
    "GLOBAL",
    "generator_states",
    "plain_states",
    "restore_generators",
    "restore_plain",
    "seeded",
    "staged",
    "undisturbed",
]

GLOBAL = ("default", "python", "numpy")
"""Names of the global generators. In many data sets, augmentation draws from the last two."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all global generators while the block runs, and restore them after it.

    Args:
        seed: >= 0.

    Example:
        >>> with seeded(3):
        ...     first = random.random(), np.random.rand(), torch.rand(()).item()
        >>> with seeded(3):
        ...     first == (random.random(), np.random.rand(), torch.rand(()).item())
        True
    """
    before = plain_states()
    with torch.random.fork_rng(devices=cuda_devices()):
        seed_torch(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one, which datasets of users draw from
        try:
            yield
        finally:
            restore_plain(before)


@contextmanager
def staged(seed: int, stage: str, *loaders: Any) -> Iterator[None]:
    """Make all random draws of a stage depend on the run's seed alone, and restore the generators after it.

    Whatever was drawn before, a stage draws the same if it is repeated, or done by a resumed run. So do
    loaders that shuffle, and data sets that change their items at random.

    Args:
        seed: Seed of the run, >= 0.
        stage: Name of the stage; each stage draws other numbers.
        loaders: Loaders that the stage reads; their own generators are seeded too, and restored after it.

    Example:
        >>> def drawn(stage):
        ...     with staged(3, stage):
        ...         return random.random(), np.random.rand(), torch.rand(()).item()
        >>> drawn("scores") == drawn("scores"), drawn("scores") == drawn("pictures")
        (True, False)
    """
    own = {id(g): g for loader in loaders for name, g in _generators(loader).items() if name != "default"}
    before = [(generator, generator.get_state()) for generator in own.values()]
    number = int.from_bytes(blake2b(f"{seed} {stage}".encode(), digest_size=7).digest(), "big")
    for generator in own.values():
        generator.manual_seed(number)
    try:
        with seeded(number):
            yield
    finally:
        for generator, state in before:
            generator.set_state(state)


@contextmanager
def undisturbed(device: torch.device | None = None) -> Iterator[None]:
    """Restore the global generators after the block, whatever it draws.

    Args:
        device: Where the block computes; of several CUDA devices, only that one is restored. Default: all.

    Example:
        >>> with undisturbed():
        ...     drawn = torch.rand(3)
        >>> torch.equal(torch.rand(3), drawn)
        True
    """
    before = plain_states()
    devices = cuda_devices() if device is None else [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            restore_plain(before)


def generator_states(loader: Any) -> dict[str, torch.Tensor]:
    """Return the states of the global generators and of those of the loader, its samplers and its dataset.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> list(generator_states(DataLoader(torch.arange(4), generator=torch.Generator())))
        ['default', 'loader', 'python', 'numpy']
    """
    return {name: generator.get_state() for name, generator in _generators(loader).items()} | plain_states()


def restore_generators(loader: Any, states: dict[str, torch.Tensor]) -> None:
    """Put the generators back into states from `generator_states`."""
    for name, generator in _generators(loader).items():
        generator.set_state(states[name])
    restore_plain(states)


def plain_states() -> dict[str, torch.Tensor]:
    """Return the states of Python's and NumPy's global generators as integers, which checkpoints can hold."""
    version, numbers, normal = random.getstate()
    python = np.array([version, int(normal is not None), _bits(normal or 0.0), *numbers], np.int64)
    # The global generator is always a Mersenne twister.
    twister: Any = np.random.get_state()  # noqa: NPY002
    _, key, position, has_normal, normal = twister
    numpy = np.concatenate(([position, has_normal, _bits(normal)], key), dtype=np.int64)
    return {"python": torch.from_numpy(python), "numpy": torch.from_numpy(numpy)}


def restore_plain(states: dict[str, torch.Tensor]) -> None:
    """Put Python's and NumPy's global generators back into states from `plain_states`.

    Raises:
        ValueError: A state is malformed; this may also raise TypeError, KeyError or AttributeError.
    """
    version, has_normal, normal, *numbers = states["python"].tolist()
    random.setstate((version, tuple(numbers), _number(normal) if has_normal else None))
    position, has_normal, normal, *key = states["numpy"].tolist()
    twister = ("MT19937", np.array(key, np.uint32), position, has_normal, _number(normal))
    np.random.set_state(twister)  # noqa: NPY002


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _number(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


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
