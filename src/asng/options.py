"""Options that a room takes and the command line must name before torch is loaded."""

from typing import Literal, TypeAlias

__all__ = ["Encoding", "Mask", "MOST_FINAL", "PRECISIONS", "Precision"]

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""Of passes: as they are, or by torch's autocast."""

PRECISIONS = ("float32", "bfloat16")

MOST_FINAL = 0.9
"""Greatest share of a search's cost for its final: a search must leave finalists to choose."""

Encoding: TypeAlias = Literal["categorical", "mixed"]
"""Of an autoencoder's channels and kernels: choices, or integers."""

Mask: TypeAlias = Literal["center", "pixel", "half"]
"""The middle square of half the sides; 80 % of the pixels at random; the left, right, upper or lower half."""
