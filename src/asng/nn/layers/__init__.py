"""Searchable twins of torch's layers, and what one needs to write a twin of one's own."""

from asng.nn.layers.plain import leading, shell
from asng.nn.layers.sizes import largest, variables_among

__all__ = ["largest", "leading", "shell", "variables_among"]
