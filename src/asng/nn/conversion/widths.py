"""A width of a model: layers that make channels together, in parts that a child has some of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import gcd

import torch
from torch import Tensor

from asng.nn.conversion.gathered import Threshold
from asng.nn.layers.sizes import Size
from asng.space import Integer

__all__ = ["WidthGroup"]


@dataclass(frozen=True)
class WidthGroup:
    """Layers that make channels together, and are searched together.

    Attributes:
        name: That of the variable, the path of the first layer.
        widths: Path of each layer to how many channels it makes at most.
        units: Into how many equal parts these are divided; a child has some of the parts.
        least: How many parts it has at least.
        blocks: Into how many blocks the channels fall, of each of which a child has the first parts: three if
            one layer makes queries, keys and values.
        repeated: Whether a layer of more channels than others makes one for each of theirs, then another for
            each, as one that makes scales and shifts; else several neighbours for each.
        ranks: Of each grain of a block its rank by importance, the most important has 0. Grains are equal
            runs of neighbouring channels, of which a part has some. None: parts lie one after the other.
    """

    name: str
    widths: Mapping[str, int]
    units: int
    least: int
    blocks: int = 1
    repeated: bool = False
    ranks: tuple[int, ...] | None = None

    @property
    def step(self) -> int:
        """How many channels a part has, in the first layer."""
        return self.widths[self.name] // self.units

    def made(self, units: int) -> dict[str, Tensor]:
        """Return the indices of the channels that each layer makes, of so many parts."""
        return {path: (self.parts(path) <= units).nonzero().flatten() for path in self.widths}

    def parts(self, path: str) -> Tensor:
        """Return of each channel that a layer makes which part it is in, from 1 on, shape (channels,)."""
        width, ranks = self.widths[path], torch.tensor(self.ranks or range(self.units))
        block = (reduce(gcd, self.widths.values()) if self.repeated else width) // self.blocks
        grain = torch.arange(width) % block // (block // len(ranks))
        return ranks[grain] // (len(ranks) // self.units) + 1

    @property
    def is_counted_in_channels(self) -> bool:
        """Whether the values of the variable are channels: all layers make as many."""
        return len(set(self.widths.values())) == 1

    @property
    def variable(self) -> Integer:
        """The variable."""
        if not self.is_counted_in_channels:
            return Integer(self.least, self.units, label=self.name)
        step = self.step
        return Integer(self.least * step, self.units * step, step=step, label=self.name)

    def size(self, path: str) -> Size:
        """Return what stands for the number of channels of a layer: the variable, or a multiple of it."""
        return (
            self.variable if self.is_counted_in_channels else self.widths[path] // self.units * self.variable
        )

    def threshold(self, parts: Tensor) -> Threshold:
        """Return from which value of the variable on channels are there, for parts that they are in."""
        return Threshold(self.variable, parts * (self.step if self.is_counted_in_channels else 1))
