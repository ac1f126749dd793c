"""Option values that subpackages accept and that the command line must list before it loads torch."""

from typing import Literal, TypeAlias

__all__ = ["Encoding", "Mask", "MOST_FINAL", "PRECISIONS", "Precision"]

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""Precision of forward passes: "float32" as they are, "bfloat16" under torch's autocast."""

PRECISIONS = ("float32", "bfloat16")

MOST_FINAL = 0.9
"""Largest share of a search's cost for its final: the search must leave finalists to choose from."""

Encoding: TypeAlias = Literal["categorical", "mixed"]
"""How an autoencoder encodes channels and kernel sizes: all as choices, or as integers ("mixed")."""

Mask: TypeAlias = Literal["center", "pixel", "half"]
"""What a mask hides: the central square of half the side length; 80 % of the pixels, drawn at random; or the
left, right, upper or lower half.
"""
