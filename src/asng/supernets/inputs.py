"""What comes into a ready space: checks, and optional inputs of its children.

The layers take any input up to their width, as searchable layers do; so an input that lacks columns would
pass unnoticed.
"""

from typing import cast

from torch import Tensor, fx, nn

from asng.errors import InputError

__all__ = ["check_shape", "settle_input"]


def check_shape(name: str, x: object, *sides: str | int) -> None:
    """Raise unless a tensor has the shape that is expected.

    Nothing is looked at where torch.fx follows the pass: a child does not check, so that it can be exported.

    Args:
        name: Name of the argument.
        x: What was given.
        sides: A word for a side of any length, or the length.

    Raises:
        InputError: It is no tensor, or has another shape.

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
    """Make an optional input of a traced network a required one, or take it out.

    A trace sees neither None nor defaults, so a child either uses the input or does not. Called in the other
    way it then fails, rather than compute something else.

    Args:
        child: As `Extraction.trace` returns it. It is edited.
        name: Name of the input.
        given: Whether the child uses it.

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
