"""A fixed or a searched activation."""

from collections.abc import Sequence
from typing import TypeAlias, cast

from torch import nn

from asng.errors import InputError
from asng.nn import Activation
from asng.space import Categorical

__all__ = ["ActivationName", "make_activation"]

ActivationName: TypeAlias = str | Categorical
"""Name of an activation of torch.nn, or a variable over such names."""


def make_activation(activation: ActivationName) -> nn.Module:
    """Return an activation by name, or a choice among several.

    Args:
        activation: "ReLU", "GELU", ..., or a `Categorical` of such names.

    Raises:
        InputError: It is neither, or torch.nn has no activation of that name.

    Example:
        >>> make_activation("GELU"), len(make_activation(Categorical(["ReLU", "Tanh"])).candidates)
        (GELU(approximate='none'), 2)
    """
    if isinstance(activation, Categorical):
        return Activation(cast(Sequence[str], activation.choices), label=activation.label)
    if not isinstance(activation, str):
        raise InputError(
            f"activation: expected a name such as 'ReLU', or a Categorical of names, got {activation!r}."
        )
    return Activation([activation]).candidates[activation]
