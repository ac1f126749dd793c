"""Sizes of convolutions of all kinds: channels, kernels, groups, and the padding that goes with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from asng.errors import InputError, SpaceError
from asng.nn.layers.plain import Cut, cut_of
from asng.nn.layers.sizes import Size, largest, values_of, variables_among
from asng.space import Integer, SizeExpression, Variable

__all__ = [
    "ConvPart",
    "ConvSizes",
    "Kernel",
    "Many",
    "as_many",
    "both_sides",
    "conv_cuts",
    "half_kernel",
    "transposed_padding",
]

Kernel: TypeAlias = Size | Sequence[Size]
"""A side of the kernel, or one for each dimension; any may be a variable."""

Many: TypeAlias = int | Sequence[int]
"""One number, or one for each dimension."""


class ConvPart(NamedTuple):
    """Sizes of a plain convolution, a part or all of a larger one; the names are torch's."""

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class ConvSizes:
    """The sizes of a convolution at their largest, and the variables among them.

    Attributes:
        largest: The largest numbers of input and output channels, the largest sides of the kernel, and the
            groups at the largest width.
        depthwise: Whether every input channel is a group, so that the input decides the output channels.
        variables: Slot to variable.
        sides: Slots of the kernel, one for all dimensions or one for each; empty if no side is a variable.
    """

    largest: ConvPart
    depthwise: bool
    variables: dict[str, Variable | SizeExpression]
    sides: tuple[str, ...]

    @classmethod
    def of(
        cls, in_channels: Size, out_channels: Size, kernel: Kernel, groups: Size, *, dims: int
    ) -> "ConvSizes":
        """Read the arguments of a convolution over `dims` dimensions.

        Raises:
            InputError: A size is not an integer >= 1, the kernel has the wrong number of sides, or `groups`
                is a variable other than that of the input channels.
            SpaceError: A variable may take an invalid value, or `groups` does not divide the channels.
        """
        sides: Sequence[Size] = kernel if isinstance(kernel, Sequence) else [kernel] * dims
        if len(sides) != dims:
            raise InputError(f"kernel_size: expected one side, or {dims} of them, got {len(sides)}.")
        depthwise = _is_depthwise(in_channels, out_channels, groups)
        most_groups = largest("groups", groups)
        if not depthwise:
            _check_divided("in_channels", in_channels, most_groups)
            _check_divided("out_channels", out_channels, most_groups)
        outer = {} if depthwise else variables_among(out_channels=out_channels)
        slots = _kernel_slots(kernel)
        inner = variables_among(**slots)
        most = ConvPart(
            in_channels=largest("in_channels", in_channels),
            out_channels=largest("out_channels", out_channels),
            kernel_size=tuple(largest("kernel_size", side) for side in sides),
            groups=most_groups,
        )
        return cls(most, depthwise, outer | inner, tuple(slots) if inner else ())

    def part(self, layer: Any, x: Tensor | None) -> ConvPart:
        """Return the sizes at which a layer runs, given the architecture and the input.

        Args:
            layer: The twin.
            x: Its input, shape (channels, *sides) or (batch, channels, *sides), or None for the largest.

        Raises:
            InputError: The input has too many channels, or `groups` does not divide them.
        """
        most, most_out, kernel, groups = self.largest
        width = layer.width(x, -1 - len(kernel), most, "in_channels")
        if self.sides:
            kernel = self._kernel(layer)
        if self.depthwise:
            return ConvPart(width, most_out // most * width, kernel, width)
        if width % groups:
            raise InputError(
                f"{layer.described()}: expected input channels in multiples of groups = {groups}, got "
                f"{width}. Give the width a step of {groups}."
            )
        return ConvPart(width, layer.setting("out_channels"), kernel, groups)

    def _kernel(self, layer: Any) -> tuple[int, ...]:
        most = self.largest.kernel_size
        if self.sides == ("kernel_size",):
            return (layer.value("kernel_size"),) * len(most)
        pairs = zip(self.sides, most, strict=True)
        return tuple(layer.value(slot) if slot in self.variables else side for slot, side in pairs)


def conv_cuts(
    most: ConvPart, part: ConvPart, *, depthwise: bool, transposed: bool = False
) -> dict[str, Cut | None]:
    """Return the functions that cut the weight and the bias of a convolution; None for what is used whole.

    The part has the middle of the kernel, so that kernels of all sizes share one. If two sizes differ by an
    odd number, there is no exact middle, and the part lies half a pixel towards the start. It has the first
    channels; along the first dimension, the first channels of each group.

    Args:
        most: The largest sizes.
        part: The sizes wanted.
        depthwise: As in `ConvSizes`.
        transposed: Whether the weight has input channels first.

    Example:
        >>> import torch
        >>> most, part = ConvPart(2, 4, (5,), 2), ConvPart(2, 2, (3,), 2)
        >>> conv_cuts(most, part, depthwise=False)["weight"](torch.arange(20).reshape(4, 1, 5))
        tensor([[[ 1,  2,  3]],
        <BLANKLINE>
                [[11, 12, 13]]])
    """
    shape, sizes = _shape_of(most, transposed), _shape_of(part, transposed)
    middle = ((m - side) // 2 for m, side in zip(most.kernel_size, part.kernel_size, strict=True))
    blocks = 1 if depthwise else part.groups
    return {
        "weight": cut_of(shape, sizes, (0, 0, *middle), blocks),
        "bias": cut_of((most.out_channels,), (part.out_channels,), (), blocks),
    }


def _shape_of(part: ConvPart, transposed: bool) -> tuple[int, ...]:
    width, out, kernel, groups = part
    return (width, out // groups, *kernel) if transposed else (out, width // groups, *kernel)


def _kernel_slots(kernel: Kernel) -> dict[str, Size]:
    if isinstance(kernel, Sequence):
        return {f"kernel_size[{i}]": side for i, side in enumerate(kernel)}
    return {"kernel_size": kernel}


def _is_depthwise(in_channels: Size, out_channels: Size, groups: Size) -> bool:
    if isinstance(groups, int):
        if groups == 1 or groups != in_channels:
            return False
    elif groups != in_channels:
        raise InputError(
            "groups: expected an integer, or the variable of in_channels for a depthwise convolution, got "
            f"{groups}."
        )
    most = largest("in_channels", in_channels)
    if out_channels != in_channels and not (isinstance(out_channels, int) and out_channels % most == 0):
        raise SpaceError(
            "out_channels: expected in_channels or a multiple of it in a depthwise convolution (groups = "
            f"in_channels = {most}), whose output follows its input, got {out_channels}."
        )
    return True


def _check_divided(name: str, size: Size, groups: int) -> None:
    for value in values_of(size):
        if value % groups:
            hint = f" Use an Integer with step={groups}." if isinstance(size, Integer) else ""
            raise SpaceError(f"{name}: expected multiples of groups = {groups}, got {value!r}.{hint}")


def as_many(value: Many, dims: int) -> tuple[int, ...]:
    """Return one number for each dimension."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims


def both_sides(padding: Sequence[int]) -> list[int]:
    """Return padding in the form of torch.nn.functional.pad: last dimension first, each number twice."""
    return [side for side in reversed(padding) for _ in range(2)]


def half_kernel(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Return the padding with which an odd kernel of stride s maps a side n to ceil(n / s).

    Raises:
        InputError: A side of the kernel is even.

    Example:
        >>> half_kernel((3, 5), (1, 2))
        (1, 4)
    """
    for side in kernel:
        if side % 2 == 0:
            raise InputError(
                f"padding: expected odd kernels with 'same' and a stride, got a side of {side}. "
                "Choose odd ones, or give a number."
            )
    return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))


def transposed_padding(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the padding and output padding with which a transposed convolution maps a side n to n * stride.

    Example:
        >>> transposed_padding((3, 4), (2, 2), (1, 1))
        ((1, 1), (1, 0))
    """
    excess = [d * (k - 1) + 1 - s for k, s, d in zip(kernel, stride, dilation, strict=True)]
    padding = tuple(max(0, -(-e // 2)) for e in excess)
    return padding, tuple(2 * p - e for p, e in zip(padding, excess, strict=True))
