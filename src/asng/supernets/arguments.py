"""Helpers shared by the ready spaces: labels of arguments, activations by name, checks of inputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, cast

from torch import Tensor, fx, nn

from asng.checks import one_of
from asng.errors import InputError
from asng.nn import Activation
from asng.nn.choices.activation import ACTIVATIONS
from asng.nn.layers.sizes import Size, largest
from asng.space import Categorical, Integer, Real, SizeExpression

__all__ = [
    "labelled",
    "one_a_stage",
    "values_of",
    "ActivationName",
    "make_activation",
    "check_shape",
    "settle_input",
]

_T = TypeVar("_T")

ActivationName: TypeAlias = str | Categorical
"""Name of an activation of torch.nn, or a variable over such names."""


def labelled(argument: _T, label: str) -> _T:
    """Return a variable with a label: its own, or `label` if it has none.

    Modules that must have the same width share one variable by its label.

    Args:
        argument: A variable; anything else is returned as it is.
        label: The label for a variable without one.

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
    """Return one argument per stage, from a common one or a sequence.

    Args:
        name: Name of the argument; a variable without a label gets "stage<i>.<name>", i from 1.
        given: One argument for all stages, or a sequence with one per stage.
        stages: Number of stages.

    Raises:
        InputError: The sequence has another length.

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
    """Return all integers that a size can take.

    Raises:
        InputError: It is not an integer of at least `least`.
        SpaceError: It is a variable that can also take other values.

    Example:
        >>> list(values_of("kernel", Integer(1, 7, step=2))), list(values_of("kernel", 3))
        ([1, 3, 5, 7], [3])
    """
    most = largest(name, size, least=least)
    if isinstance(size, Integer):
        return range(size.low, size.high + 1, size.step)
    if isinstance(size, SizeExpression):
        return sorted(set(size.values()))
    return cast(Sequence[int], size.choices) if isinstance(size, Categorical) else [most]


def make_activation(activation: ActivationName) -> nn.Module:
    """Make an activation by name, or a searchable choice among several.

    Args:
        activation: "ReLU", "GELU", ..., or a `Categorical` of such names.

    Raises:
        InputError: It is neither, or torch.nn has no activation of that name.

    Example:
        >>> make_activation("GELU"), len(make_activation(Categorical(["ReLU", "Tanh"])).candidates)
        (GELU(approximate='none'), 2)
    """
    if isinstance(activation, Categorical):
        names = [one_of("activation", name, ACTIVATIONS) for name in activation.choices]
        return Activation(names, label=activation.label)
    if not isinstance(activation, str):
        raise InputError(
            f"activation: expected a name such as 'ReLU', or a Categorical of names, got {activation!r}."
        )
    return Activation([one_of("activation", activation, ACTIVATIONS)]).candidates[activation]


def check_shape(name: str, x: object, *sides: str | int) -> None:
    """Raise unless a tensor has the expected shape.

    The check is skipped while torch.fx traces the pass: a child contains no checks, so that it can be
    exported.

    Args:
        name: Name of the argument, for messages.
        x: The argument.
        sides: For each dimension its length, or a word if it may have any length.

    Raises:
        InputError: It is not a tensor, or has another shape.

    Example:
        >>> import torch
        >>> check_shape("x", torch.zeros(8, 10), "batch", 10)
        >>> check_shape("x", torch.zeros(8, 9), "batch", 10)
        Traceback (most recent call last):
        asng.errors.InputError: x: expected a tensor (batch, 10), got shape (8, 9).
    """
    if isinstance(x, fx.Proxy):
        return
    expected = f"expected a tensor ({', '.join(map(str, sides))})"
    if not isinstance(x, Tensor):
        raise InputError(f"{name}: {expected}, got {'none' if x is None else type(x).__name__}.")
    pairs = zip(x.shape, sides, strict=False)
    if x.ndim != len(sides) or any(isinstance(side, int) and side != length for length, side in pairs):
        raise InputError(f"{name}: {expected}, got shape {tuple(x.shape)}.")


def settle_input(child: nn.Module, name: str, *, given: bool) -> nn.Module:
    """Make an optional input of a traced network required, or remove it.

    A trace handles neither None nor defaults, so a child either uses the input or does not. If it is called
    the other way it then fails, instead of computing something else.

    Args:
        child: The network as returned by `Extraction.trace`. It is edited in place.
        name: Name of the input.
        given: Whether the child uses the input.

    Returns:
        The child.

    Example:
        >>> from torch import nn
        >>> class Net(nn.Module):
        ...     def forward(self, x, y=None):
        ...         return -x
        >>> child = settle_input(fx.symbolic_trace(Net()), "y", given=False)
        >>> child(1, 2)
        Traceback (most recent call last):
        TypeError: ...takes 2 positional arguments but 3 were given
    """
    traced = cast(fx.GraphModule, child)
    (node,) = (n for n in traced.graph.nodes if n.op == "placeholder" and n.target == name)
    node.args = ()  # the default
    if not given:
        for user in list(node.users):
            user.args = tuple(argument for argument in user.args if argument is not node)
        traced.graph.erase_node(node)
    traced.recompile()
    return traced
