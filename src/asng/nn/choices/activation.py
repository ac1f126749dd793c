"""A choice among activation functions."""

import inspect
from collections.abc import Sequence

from torch import nn
from torch.nn.modules import activation as torchs

from asng.checks import one_of
from asng.nn.choices.choice import Choice

__all__ = ["ACTIVATIONS", "Activation"]

ACTIVATIONS = sorted(
    name
    for name in torchs.__all__
    if all(
        p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(getattr(nn, name)).parameters.values()
    )
)
"""The activations of torch that need no arguments."""


class Activation(Choice):
    """A choice among activations of torch.nn, by name.

    For an activation with arguments, or one of your own, use `Choice`.

    Args:
        names: Names of classes of torch.nn: "ReLU", "GELU", "SiLU", ...
        label: Name of the variable. Default: the path of this module in the model.

    Raises:
        SpaceError: There is no name.
        InputError: A name is not one of torch's activations that need no arguments.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> activation = Activation(["ReLU", "Tanh"], label="activation")
        >>> Supernet(activation)(torch.tensor([-1.0]), architecture={"activation": "ReLU"})
        tensor([0.])
    """

    def __init__(self, names: Sequence[str], label: str | None = None) -> None:
        kinds = {name: getattr(nn, one_of("names", name, ACTIVATIONS)) for name in names}
        Choice.__init__(self, {name: kind() for name, kind in kinds.items()}, label)
