"""Searchable twins of torch's layers, and the functions to write your own twin with."""

from asng.nn.layers.plain import leading, shell
from asng.nn.layers.sizes import largest, variables_among

__all__ = ["largest", "leading", "shell", "variables_among"]
