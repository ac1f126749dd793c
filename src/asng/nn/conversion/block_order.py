"""Rank the blocks of a trained network by importance, so that a shallow child keeps the best."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from asng.nn.conversion.depth import DepthGroup
from asng.nn.conversion.importance import Importance, run_on, set_modes
from asng.nn.conversion.passes import Refused
from asng.nn.conversion.skipping import without
from asng.nn.extraction.recording import left_alone
from asng.nn.inputs import Inputs

__all__ = ["with_order"]

BATCHES = 2
"""Number of batches used: for b blocks, up to b (b + 1) / 2 networks run on each."""


def with_order(group: DepthGroup, order: Importance, model: nn.Module, calls: Sequence[Inputs]) -> DepthGroup:
    """Return a group whose blocks are ordered by importance, so that the most important one stays longest.

    Blocks are removed one by one: each time the one without which the outputs change least, relative to their
    size, given those already removed. With kind "taylor", it is the one without which the loss is lowest.

    Args:
        group: A group in which each block can be left out by itself.
        order: The kind of importance, and the batches to run the network on.
        model: The network.
        calls: Calls of the example.

    Raises:
        Refused: Without some blocks the outputs have other shapes on the batches.
        InputError: The network does not run on a batch without them.
    """
    batches = list(islice(calls if order.batches is None else order.batches, BATCHES))
    left, gone = list(group.blocks), list[str]()
    with left_alone(model), torch.no_grad():
        set_modes(model, training=order.loss is not None)

        def passes(names: Sequence[str]) -> list[tuple[list[Tensor], float]]:
            with without(model.get_submodule(group.container), names, in_place=group.in_place):
                torch.manual_seed(0)
                ran = [run_on(order, model, batch) for batch in batches]
            return [(outputs, float(value) if order.kind == "taylor" else 0.0) for outputs, value in ran]

        whole = passes(())

        def harm(name: str) -> float:
            found = passes([*gone, name])
            if order.kind == "taylor":
                return sum(loss for _, loss in found)
            return sum(_change(one, other) for (one, _), (other, _) in zip(found, whole, strict=True))

        while len(left) > max(group.least, 1):
            gone.append(min(left, key=harm))
            left.remove(gone[-1])
    return replace(group, order=(*left, *reversed(gone)))


def _change(outputs: Sequence[Tensor], whole: Sequence[Tensor]) -> float:
    """Return the sum over outputs of the squared change, divided by the squared norm."""
    if [output.shape for output in outputs] != [output.shape for output in whole]:
        raise Refused("without some blocks the network gives an output of another shape")
    total = 0.0
    for output, before in zip(outputs, whole, strict=True):
        if before.is_floating_point():
            before = before.double()
            size = before.square().sum().clamp(min=torch.finfo(before.dtype).tiny)
            total += float((output.double() - before).square().sum() / size)
    return total
