"""What losses and objectives get as `forward`: one architecture of a supernet, or a plain network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from asng.errors import InputError
from asng.nn import Supernet, following
from asng.space import Value

__all__ = ["ArchitectureForward", "PlainForward", "running"]


class _Called:
    """Something that a loss may call as the network, and whose methods it reaches by `running`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"forward: expected a call, got a look-up of {name!r}. Reach the model itself by "
            "asng.training.running(forward).",
            name=name,
            obj=self,
        )


class PlainForward(_Called):
    """Runs a plain network, and has no more attributes than the `forward` of a search.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network."""
        return self._network(*args, **kwargs)

    @contextmanager
    def following(self) -> Iterator[nn.Module]:
        """Give the network itself."""
        yield self._network


class ArchitectureForward(_Called):
    """Runs one architecture of a supernet, and collects the variables that its passes read.

    Args:
        supernet: The supernet.
        architecture: The architecture to run.

    Attributes:
        read: Names of the variables that were read; None before the first pass.
    """

    def __init__(self, supernet: Supernet, architecture: Mapping[str, Value]) -> None:
        self.supernet, self.architecture = supernet, architecture
        self.read: frozenset[str] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model."""
        output = self.supernet(*args, architecture=self.architecture, **kwargs)
        active = self.supernet.active
        self.read = active if self.read is None else self.read | active
        return output

    @contextmanager
    def following(self) -> Iterator[nn.Module]:
        """Let every method of the model follow the architecture while the block runs."""
        with following(self.architecture) as selection:
            yield self.supernet.model
        self.read = frozenset(selection.read) | (self.read or frozenset())


@contextmanager
def running(forward: Any) -> Iterator[Any]:
    """Give a loss or an objective the model itself, to call methods other than its forward pass.

    For instance, to generate text. In a search, the methods of the model follow the current architecture
    while the block runs; those of a child are called as they are.

    Args:
        forward: What the loss or the objective was given.

    Yields:
        The model.

    Raises:
        InputError: `forward` is not what losses and objectives are given.

    Example:
        >>> import torch
        >>> class Coder(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = nn.Linear(3, 2)
        ...     def encode(self, x):
        ...         return self.layer(x).tanh()
        >>> def objective(forward, batch):
        ...     with running(forward) as model:
        ...         return model.encode(batch).abs().mean()
        >>> 0.0 < objective(Coder(), torch.ones(4, 3)).item() < 1.0
        True
    """
    if isinstance(forward, nn.Module):
        yield forward
    elif callable(enter := getattr(forward, "following", None)):
        with enter() as model:
            yield model
    else:
        raise InputError(
            "forward: expected the forward that a loss or an objective is given, got "
            f"{type(forward).__name__}. Pass it on unchanged."
        )
