"""Compress a trained model to a budget in one call, or by the parts of that call."""

from asng.compression.compress import compress
from asng.compression.frontier import (
    Frontier,
    Meter,
    Scored,
    even,
    evenly_within,
    neighbour,
    refined,
    searched,
)
from asng.compression.goals import Goal, goals_of
from asng.compression.result import Compressed, CompressedChild, Network

__all__ = [
    "Compressed",
    "CompressedChild",
    "Frontier",
    "Goal",
    "Meter",
    "Network",
    "Scored",
    "compress",
    "even",
    "evenly_within",
    "goals_of",
    "neighbour",
    "refined",
    "searched",
]
