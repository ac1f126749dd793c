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
"""Names of the global generators. Augmentation draws from the last two in many a dataset."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Have all global generators begin at a seed while the block runs, and put them back after it.

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
    """Have all that a stage of a run draws follow from the seed of the run alone, and leave no trace of it.

    Whatever was drawn before, a stage that is repeated, or done by a resumed run, draws the same: so do
    loaders that shuffle, and datasets that change their items at random.

    Args:
        seed: Of the run, >= 0.
        stage: Its name; each stage draws other numbers.
        loaders: What it reads, whose own generators begin anew too, and are put back after it.

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
    """Put the global generators back to where they are now, whatever the block draws.

    Args:
        device: Where the block computes: of several CUDA devices only that one is asked. Default: any.

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
    """Put them back into those states."""
    for name, generator in _generators(loader).items():
        generator.set_state(states[name])
    restore_plain(states)


def plain_states() -> dict[str, torch.Tensor]:
    """Return the states of Python's and NumPy's global generators as integers, which any checkpoint holds."""
    version, numbers, normal = random.getstate()
    python = np.array([version, int(normal is not None), _bits(normal or 0.0), *numbers], np.int64)
    # Of the only kind that the global generator has, the Mersenne twister.
    twister: Any = np.random.get_state()  # noqa: NPY002
    _, key, position, has_normal, normal = twister
    numpy = np.concatenate(([position, has_normal, _bits(normal)], key), dtype=np.int64)
    return {"python": torch.from_numpy(python), "numpy": torch.from_numpy(numpy)}


def restore_plain(states: dict[str, torch.Tensor]) -> None:
    """Put Python's and NumPy's global generators where `plain_states` was taken.

    Raises:
        ValueError: A state is none; also TypeError, KeyError or AttributeError.
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
