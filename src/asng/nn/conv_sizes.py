"""What convolutions of all kinds ask of their sizes: channels, kernels, groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from asng.errors import InputError, SpaceError
from asng.nn.kernels import channel_part, kernel_part
from asng.nn.sizes import Size, largest, variables_among
from asng.space import Categorical, Integer, Variable

__all__ = ["ConvPart", "ConvSizes", "Kernel"]

Kernel: TypeAlias = Size | Sequence[Size]
"""A side of the kernel, or one for each dimension; any may be a variable."""


@dataclass(frozen=True)
class ConvPart:
    """What the architecture and an input leave of a convolution.

    Attributes:
        weights: Its weight and bias.
        sizes: Attributes of the plain layer: in_channels, out_channels, kernel_size, groups.
    """

    weights: dict[str, Tensor | None]
    sizes: dict[str, Any]

    @property
    def kernel(self) -> tuple[int, ...]:
        """The sides of the kernel."""
        return self.sizes["kernel_size"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ConvSizes:
    """The sizes of a convolution at their largest, and the variables among them.

    Attributes:
        in_channels: The most channels of an input.
        out_channels: The most channels of the output.
        kernel: The largest sides of the kernel.
        groups: Groups at the largest width.
        depthwise: Whether every input channel is a group, so that the output follows the input.
        variables: Slot to variable.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    groups: int
    depthwise: bool
    variables: dict[str, Variable]

    @classmethod
    def of(
        cls, in_channels: Size, out_channels: Size, kernel: Kernel, groups: Size, *, dims: int
    ) -> "ConvSizes":
        """Read the arguments of a convolution over `dims` dimensions.

        Raises:
            InputError: A size is no integer >= 1, or groups do not divide the channels.
            SpaceError: A variable stands for something else, or for widths that groups do not divide.
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
        inner = variables_among(**_kernel_slots(kernel))
        return cls(
            in_channels=largest("in_channels", in_channels),
            out_channels=largest("out_channels", out_channels),
            kernel=tuple(largest("kernel_size", side) for side in sides),
            groups=most_groups,
            depthwise=depthwise,
            variables=outer | inner,
        )

    def part(self, layer: Any, x: Tensor | None, *, transposed: bool = False) -> ConvPart:
        """Return the part of a layer of these sizes that the architecture and the input leave.

        Args:
            layer: The twin.
            x: Its input, shape (channels, *sides) or (batch, channels, *sides), or None for the largest.
            transposed: Whether the weight has input channels first.

        Raises:
            InputError: The input is too wide, or its groups do not divide it.
        """
        width = layer.width(x, -1 - len(self.kernel), self.in_channels, "in_channels")
        kernel = self._kernel(layer)
        blocks = 1 if self.depthwise else self.groups
        if width % blocks:
            raise InputError(
                f"{layer.described()}: expected input channels in multiples of groups = {blocks}, got "
                f"{width}. Give the width a step of {blocks}."
            )
        factor = self.out_channels // self.in_channels
        out = factor * width if self.depthwise else layer.setting("out_channels")
        groups = width if self.depthwise else self.groups
        first, second = (width, out // groups) if transposed else (out, width // groups)
        weights = {
            "weight": kernel_part(layer.weight, kernel, blocks, first, second),
            "bias": None if layer.bias is None else channel_part(layer.bias, blocks, out),
        }
        names = ("in_channels", "out_channels", "kernel_size", "groups")
        return ConvPart(weights, dict(zip(names, (width, out, kernel, groups), strict=True)))

    def _kernel(self, layer: Any) -> tuple[int, ...]:
        if "kernel_size" in self.variables:
            return (layer.value("kernel_size"),) * len(self.kernel)
        slots = [f"kernel_size[{i}]" for i in range(len(self.kernel))]
        pairs = zip(slots, self.kernel, strict=True)
        return tuple(layer.value(slot) if slot in self.variables else side for slot, side in pairs)


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
    values: Sequence[Any] = [size]
    if isinstance(size, Integer):
        values = [size.low, size.low + size.step] if size.low < size.high else [size.low]
    elif isinstance(size, Categorical):
        values = size.choices
    for value in values:
        if value % groups:
            hint = f" Use an Integer with step={groups}." if isinstance(size, Integer) else ""
            raise SpaceError(f"{name}: expected multiples of groups = {groups}, got {value!r}.{hint}")
