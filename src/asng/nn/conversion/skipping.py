"""Proof that blocks can be left out: without their layers they would pass on what they are given.

This is told by numbers. In a copy of the network all norms are plain (scale one, shift zero). There a
block whose layers are set to zero has to do what no block does: the network without it gives the same. That
holds if the block is a residual one, with norms before or behind, or with an activation behind that its input
has passed before. It does not hold for a block in a row, or one that changes the shape. And what a block
gives besides, as a bias of positions for the others, must not be needed. So a block that still gives it, and
passes on its input (or zero, if the sum is outside of it), has to do what no block does.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn.conversion.blocks import Run, blocks_of, renumbered, shortened
from asng.nn.conversion.proof import Refused, outputs_of
from asng.nn.extraction.recording import tensors_of
from asng.nn.inputs import Inputs
from asng.nn.selection import following

__all__ = ["SkipTrial", "replaced", "without"]

_EMPTY, _EXACT = 1e-2, 1e-6
"""How much of what a block does may be left of an empty one (a norm of a normalised input is the same but for
its eps), and of one that passes on its input."""


class SkipTrial:
    """A copy of a network whose norms are plain, to leave blocks out of.

    Args:
        model: A copy for proofs, as of `shaken`.
        calls: Inputs of calls of it.

    Attributes:
        model: The copy.
        paths: Modules of it to their paths.
    """

    def __init__(self, model: nn.Module, calls: Sequence[Inputs]) -> None:
        self.model, self.calls = copy.deepcopy(model), calls
        for module in self.model.modules():
            _make_plain(module)
        self.paths = {module: path for path, module in self.model.named_modules()}
        self._known: dict[tuple[str, tuple[str, ...], bool], str] = {}
        self.whole = outputs_of(self.model, calls)

    def check(self, path: str, names: tuple[str, ...], *, in_place: bool) -> None:
        """Raise if blocks of a container cannot be left out.

        Raises:
            Refused: They cannot.
        """
        key = path, names, in_place
        if key not in self._known:
            try:
                self._check(path, names, in_place)
                self._known[key] = ""
            except Refused as reason:
                self._known[key] = str(reason)
        if self._known[key]:
            raise Refused(self._known[key])

    def _check(self, path: str, names: tuple[str, ...], in_place: bool) -> None:
        container: Any = self.model.get_submodule(path)
        blocks = [container._modules[name] for name in names]
        with without(container, names, in_place=in_place):
            out = outputs_of(self.model, self.calls)
        self._check_shapes(out)
        if not any(_apart(a, b) for a, b in _pairs(out, self.whole)):
            raise Refused("they change nothing on the example")
        with _emptied(blocks):
            got = outputs_of(self.model, self.calls)
        self._check_as(got, out, _EMPTY, "they do not add to what they are given")
        self._check_nothing_else(blocks, out)

    def _check_nothing_else(self, blocks: Sequence[nn.Module], out: list[list[Tensor]]) -> None:
        """Raise if blocks give something that is needed, but for what they are given or add to it."""
        for share in (1.0, 0.0):  # the sum with what is given may be outside of the block
            with _passing(blocks, share) as called:
                got = outputs_of(self.model, self.calls)
            if not called:  # a list of parts
                return
            try:
                self._check_as(got, out, _EXACT, "something that they give is needed by others")
            except Refused as reason:
                refused = reason
            else:
                return
        raise refused

    def check_supernet(self, path: str, run: Run, count: int) -> None:
        """Raise if a searchable container gives something else than a plain one without the blocks.

        Raises:
            Refused: It does, as one whose own code counts its blocks.
        """
        plain = self.model.get_submodule(path)
        with without(plain, run.names[count:], in_place=run.in_place):
            expected = outputs_of(self.model, self.calls)
        made = blocks_of(plain, [run])
        made.names = {"depths[0]": "depth"}
        model = replaced(self.model, plain, made)
        try:
            with following({"depth": count}):
                got = outputs_of(model, self.calls)
        finally:
            replaced(model, made, plain)
        if any(not torch.equal(a, b) for a, b in _pairs(got, expected)):
            raise Refused("the code of the container counts its blocks by itself")

    def _check_shapes(self, out: list[list[Tensor]]) -> None:
        if [t.shape for one in out for t in one] != [t.shape for one in self.whole for t in one]:
            raise Refused("without it the network gives an output of another shape")

    def _check_as(self, got: list[list[Tensor]], out: list[list[Tensor]], share: float, reason: str) -> None:
        self._check_shapes(got)
        for one, other, whole in zip(_flat(got), _flat(out), _flat(self.whole), strict=True):
            if not _apart(one, other) <= share * _apart(whole, other):
                raise Refused(reason)


def replaced(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put a module in the place of another, wherever that is, and return the model."""
    if model is old:
        return new
    for module in list(model.modules()):
        for name, part in module._modules.items():
            if part is old:
                module._modules[name] = new
    return model


def _make_plain(module: nn.Module) -> None:
    """Have a norm neither scale nor shift."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    if any(tensor.ndim > 1 for _, tensor in own):
        return
    with torch.no_grad():
        for name, tensor in own:
            if tensor.is_floating_point():
                tensor.fill_(0.0 if any(word in name for word in ("bias", "beta", "mean")) else 1.0)


@contextmanager
def without(container: nn.Module, names: Sequence[str], *, in_place: bool) -> Iterator[None]:
    """Leave blocks out of a container while the block of code runs."""
    before = container._modules
    container._modules = renumbered(shortened(before, names, in_place=in_place))
    try:
        yield
    finally:
        container._modules = before


@contextmanager
def _emptied(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Have the layers of blocks give zero."""
    tensors = []
    for block in blocks:
        for module in block.modules():
            own = list(module.parameters(recurse=False))
            tensors += own if any(p.ndim > 1 for p in own) else []
    kept = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for tensor in tensors:
            tensor.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)


@contextmanager
def _passing(blocks: Sequence[nn.Module], share: float) -> Iterator[set[nn.Module]]:
    """Have blocks give a share of what they are given, and what else they do; yield those that are called."""
    called: set[nn.Module] = set()
    pass_on = partial(_pass_on, called, share)
    handles = [block.register_forward_hook(pass_on, with_kwargs=True) for block in blocks]
    try:
        yield called
    finally:
        for handle in handles:
            handle.remove()


def _pass_on(
    called: set[nn.Module], share: float, block: nn.Module, args: Any, kwargs: Any, output: Any
) -> Any:
    called.add(block)
    x = next(tensors_of([args, kwargs]), None)
    if x is None:
        raise Refused("they are given no tensor")
    if isinstance(output, Tensor):
        return x * share
    if type(output) not in (list, tuple) or not output:
        raise Refused(f"they give a {type(output).__name__}")
    return type(output)((x * share, *output[1:]))


def _flat(outputs: list[list[Tensor]]) -> list[Tensor]:
    return [tensor for one in outputs for tensor in one]


def _pairs(one: list[list[Tensor]], other: list[list[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(_flat(one), _flat(other), strict=True)


def _apart(one: Tensor, other: Tensor) -> float:
    """Return how far two tensors are apart at most: infinity if other numbers are finite."""
    if not one.is_floating_point():
        return 0.0 if torch.equal(one, other) else float("inf")
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return float("inf")
    return float((one - other)[finite].abs().max()) if bool(finite.any()) else 0.0
