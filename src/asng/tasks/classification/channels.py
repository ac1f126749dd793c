"""Choose the width of the retrained network: as many channels as a bound on its weights allows."""

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
    """Return the largest number of channels for which a network has at most `max_parameters` weights.

    The number of weights of each layer in a cell network is linear or quadratic in the channels, so three
    counts determine the total. Building a network of 20 cells takes a second or two, and bisection would
    build a dozen. Networks are built on the meta device: no weights are drawn, and they take no memory.

    Args:
        architecture: The architecture to extract.
        max_parameters: Bound on the number of weights of the plain network.
        build: Makes the model to extract from, given the number of channels.

    Raises:
        InputError: One channel already gives more weights.

    References:
        Akimoto et al. (2019), section 5.2: the number of channels is adjusted to 4.0 million parameters.
    """
    first, second, third = (_parameters(build, channels, architecture) for channels in (1, 2, 3))
    bend = third - 2 * second + first  # Newton's form of the parabola through the three counts

    def parameters(channels: int) -> int:
        return first + (channels - 1) * (second - first) + (channels - 1) * (channels - 2) // 2 * bend

    return greatest_within(parameters, max_parameters)


def greatest_within(parameters: Callable[[int], int], max_parameters: int) -> int:
    """Return the largest number of channels, at least 1, that `parameters` maps to at most the bound.

    Args:
        parameters: Maps channels to the number of weights; increasing.
        max_parameters: The bound.

    Raises:
        InputError: One channel already exceeds the bound.

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
    """Return the architecture of a cell network with the most weights: if it fits, all others do.

    Every node has two separable 5 x 5 convolutions on different inputs, and none reads another node, so that
    all are joined at the end of the cell.
    """
    values = {"input1": "cell-2", "input2": "cell-1", "op1": "sep_conv_5x5", "op2": "sep_conv_5x5"}
    return Architecture({name: values[name.rpartition(".")[2]] for name in space})


def _parameters(build: Callable[[int], nn.Module], channels: int, architecture: Architecture) -> int:
    with torch.device("meta"):
        supernet = Supernet(build(channels))
    return count_parameters(supernet.extract(architecture))
