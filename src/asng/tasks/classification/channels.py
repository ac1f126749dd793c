"""How wide the chosen network may be: as many channels as a bound on its weights allows."""

from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Architecture, Space
from asng.training import count_parameters

__all__ = ["channels_within", "greatest_within", "largest_architecture"]


def channels_within(
    architecture: Architecture, max_parameters: int, *, build: Callable[[int], nn.Module]
) -> int:
    """Return the greatest number of channels with which a network has at most so many weights.

    A layer of a cell network has a number of weights that is linear or quadratic in the channels, so three
    counts say it for all. To build a network of 20 cells takes a second or two, and bisection would ask for a
    dozen. Nothing is drawn and no weight takes memory.

    Args:
        architecture: What to extract.
        max_parameters: Bound on the weights of the plain network.
        build: Makes the model to extract from, of so many channels.

    Raises:
        InputError: With one channel there are more.

    References:
        Akimoto et al. (2019), section 5.2: the number of channels is adjusted to 4.0 million parameters.
    """
    first, second, third = (_parameters(build, channels, architecture) for channels in (1, 2, 3))
    bend = third - 2 * second + first  # Newton's form of the parabola through the three counts

    def parameters(channels: int) -> int:
        return first + (channels - 1) * (second - first) + (channels - 1) * (channels - 2) // 2 * bend

    return greatest_within(parameters, max_parameters)


def greatest_within(parameters: Callable[[int], int], max_parameters: int) -> int:
    """Return the greatest number of channels, from 1 on, that `parameters` maps to at most the bound.

    Args:
        parameters: Weights by channels, increasing.
        max_parameters: The bound.

    Raises:
        InputError: One channel is too many.

    Example:
        >>> greatest_within(lambda channels: 3 * channels**2, 300)
        10
    """
    if parameters(1) > max_parameters:
        raise InputError(
            f"max_parameters: expected room for a network of one channel, {parameters(1):,} weights, got "
            f"{max_parameters:,}. Raise it, or lower retrain_cells."
        )
    high = 2
    while parameters(high) <= max_parameters:
        high *= 2
    return bisect_right(range(high), max_parameters, lo=1, key=parameters) - 1


def largest_architecture(space: Space) -> Architecture:
    """Return an architecture of a cell network with the most weights, to see beforehand that all will fit.

    Every node has two 5 x 5 convolutions of its own, and none reads another: all are joined at the end.
    """
    values = {"input1": "cell-2", "input2": "cell-1", "op1": "sep_conv_5x5", "op2": "sep_conv_5x5"}
    return Architecture({name: values[name.rpartition(".")[2]] for name in space})


def _parameters(build: Callable[[int], nn.Module], channels: int, architecture: Architecture) -> int:
    with torch.device("meta"):
        supernet = Supernet(build(channels))
    return count_parameters(supernet.extract(architecture))
