"""Arguments of the ready spaces: sizes that have a label, one for all stages or one for each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, cast

from torch import nn

from asng.errors import InputError
from asng.nn import Activation
from asng.nn.layers.sizes import Size, largest
from asng.space import Categorical, Integer, Real

__all__ = ["labelled", "one_a_stage", "values_of", "ActivationName", "make_activation"]

_T = TypeVar("_T")


def labelled(argument: _T, label: str) -> _T:
    """Return a variable that has a label: its own, or this one where it has none.

    Modules that are to be equally wide share their variable by its label.

    Args:
        argument: A variable; anything else is returned as it is.
        label: For a variable without one.

    Example:
        >>> labelled(Integer(8, 32), "width").label, labelled(Integer(8, 32, label="w"), "width").label
        ('width', 'w')
        >>> labelled(16, "width")
        16
    """
    if isinstance(argument, (Categorical, Integer, Real)) and argument.label is None:
        return replace(argument, label=label)
    return argument


def one_a_stage(name: str, given: Any, stages: int) -> list[Any]:
    """Return an argument for each of several stages.

    Args:
        name: Name of the argument; a variable without a label is called "stage<i>.<name>", i from 1.
        given: One for all stages, or a sequence of one a stage.
        stages: How many there are.

    Raises:
        InputError: The sequence is of another length.

    Example:
        >>> [size.label for size in one_a_stage("depth", Integer(1, 3), 2)]
        ['stage1.depth', 'stage2.depth']
    """
    several = isinstance(given, Sequence) and not isinstance(given, str)
    each = given if several else [given] * stages
    if len(each) != stages:
        raise InputError(
            f"{name}: expected one for all, or one for each of {stages} stages, got {len(each)}."
        )
    return [labelled(one, f"stage{index}.{name}") for index, one in enumerate(each, start=1)]


def values_of(name: str, size: Size, *, least: int = 1) -> Sequence[int]:
    """Return all the numbers that a size may stand for.

    Raises:
        InputError: It is no integer of at least `least`.
        SpaceError: It is a variable that stands for something else too.

    Example:
        >>> list(values_of("kernel", Integer(1, 7, step=2))), list(values_of("kernel", 3))
        ([1, 3, 5, 7], [3])
    """
    most = largest(name, size, least=least)
    if isinstance(size, Integer):
        return range(size.low, size.high + 1, size.step)
    return cast(Sequence[int], size.choices) if isinstance(size, Categorical) else [most]


# A fixed or a searched activation.


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
