"""A searched width: layers that make the same channels, divided into parts of which a child keeps some."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asng.nn.conversion.gathered import Threshold
from asng.nn.layers.sizes import Size
from asng.space import Integer

__all__ = ["WidthGroup"]


@dataclass(frozen=True)
class WidthGroup:
    """Layers whose channels are coupled, and that are searched together.

    Attributes:
        name: Name of the variable, which is the path of the first layer.
        widths: Path of each layer or tensor to the largest number of channels that it makes.
        units: Number of equal parts into which the channels are divided; a child has some of the parts.
        least: Smallest number of parts that a child has.
        blocks: Number of blocks of channels; a child has the first parts of each. It is three if one layer
            makes queries, keys and values.
        repeated: If not 0, layers that make more channels than this repeat runs of so many, such as scales
            and then shifts. If 0, several channels for one of another layer are neighbours.
        ranks: Rank by importance of each grain of a block; the most important has rank 0. Grains are equal
            runs of neighbouring channels, of which a part has some. None if parts lie one after the other.
        numbers: Path of each number that a module stores, of channels or of heads, to the number. It has no
            places, so that blocks and ranks do not matter to it.
        heads: Those of the numbers that count heads. A layer that makes as many channels has one block, since
            it makes one for each head, such as a bias.
    """

    name: str
    widths: Mapping[str, int]
    units: int
    least: int
    blocks: int = 1
    repeated: int = 0
    ranks: tuple[int, ...] | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    heads: frozenset[int] = frozenset()

    @property
    def step(self) -> int:
        """Number of channels per part, in the first layer."""
        return self.widths[self.name] // self.units

    def made(self, units: int) -> dict[str, Tensor]:
        """Return the indices of the channels that each layer makes if it has `units` parts."""
        paths = (*self.widths, *self.numbers)
        return {path: (self.parts(path) <= units).nonzero().flatten() for path in paths}

    def parts(self, path: str) -> Tensor:
        """Return the part of each channel that a layer makes or a number counts, from 1 on, (channels,)."""
        if path in self.numbers:
            return torch.arange(self.numbers[path]) // (self.numbers[path] // self.units) + 1
        block, ranks = self.block(path), torch.tensor(self.ranks or range(self.units))
        grain = torch.arange(self.widths[path]) % block // (block // len(ranks))
        return ranks[grain] // (len(ranks) // self.units) + 1

    def block(self, path: str) -> int:
        """Return the number of channels in a block of a layer."""
        width = self.widths[path]
        if self.repeated:
            return min(width, self.repeated) // self.blocks
        return width // (1 if width in self.heads else self.blocks)

    @property
    def is_counted_in_channels(self) -> bool:
        """Whether the variable counts channels, not parts: it does if all layers make equally many."""
        return len(set(self.widths.values())) == 1

    @property
    def variable(self) -> Integer:
        """The variable that decides the width."""
        if not self.is_counted_in_channels:
            return Integer(self.least, self.units, label=self.name)
        step = self.step
        return Integer(self.least * step, self.units * step, step=step, label=self.name)

    def size(self, path: str) -> Size:
        """Return the size of a layer's output: the variable, or a multiple of it."""
        return (
            self.variable if self.is_counted_in_channels else self.widths[path] // self.units * self.variable
        )

    def threshold(self, parts: Tensor) -> Threshold:
        """Return the smallest value of the variable at which each channel is present, given its part."""
        return Threshold(self.variable, parts * (self.step if self.is_counted_in_channels else 1))
