"""Prove that blocks can be left out: without their layers, they would pass on their input.

The proof is numerical. In a copy of the network, all norms are plain (scale one, shift zero). There the
network with the layers of a block set to zero must give the same as the network without the block. That holds
for a residual block, with norms before or after, or with an activation after it that its input has already
passed. It does not hold for a block without a residual connection, or one that changes the shape. Other
outputs of a block, such as a position bias for later blocks, must not be needed either. So the network must
also give the same if the block keeps these outputs and returns its input (or zero, if the sum is outside of
the block).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn.conversion.blocks import Run, blocks_of, renumbered, shortened
from asng.nn.conversion.known import Known
from asng.nn.conversion.passes import Refused, outputs_of
from asng.nn.extraction.copying import deep_copy
from asng.nn.inputs import Inputs, tensors_of
from asng.nn.selection import following

__all__ = ["SkipTrial", "replaced", "without"]

_EMPTY, _EXACT = 1e-2, 1e-6
"""Largest share of a block's effect that may remain if it is empty, and if it passes on its input.

The first is larger because a norm of a normalised input differs from that input by its eps."""


class SkipTrial:
    """A copy of a network with plain norms, for trials of leaving blocks out.

    Args:
        model: A copy for proofs, from `shaken`.
        calls: Inputs of calls of the model.

    Attributes:
        model: The copy.
        paths: Modules of the copy to their paths.
    """

    def __init__(self, model: nn.Module, calls: Sequence[Inputs]) -> None:
        self.model, self.calls = deep_copy(model), calls
        for module in self.model.modules():
            _make_plain(module)
        self.paths = {module: path for path, module in self.model.named_modules()}
        self._known: dict[tuple[str, tuple[str, ...], bool], str] = {}
        self._left_out: dict[tuple[str, tuple[str, ...], bool], list[list[Tensor]]] = {}
        self._passes = Known(self.model)
        self.whole = self._outputs(self.model)

    def _outputs(self, model: nn.Module) -> list[list[Tensor]]:
        with self._passes.during(keep=True):
            return outputs_of(model, self.calls)

    def _without(self, path: str, names: tuple[str, ...], in_place: bool) -> list[list[Tensor]]:
        key = path, names, in_place
        if key not in self._left_out:
            with without(self.model.get_submodule(path), names, in_place=in_place):
                self._left_out[key] = self._outputs(self.model)
        return self._left_out[key]

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
        out = self._without(path, names, in_place)
        self._check_shapes(out)
        if not any(_apart(a, b) for a, b in _pairs(out, self.whole)):
            raise Refused("they change nothing on the example")
        with _emptied(blocks):
            got = self._outputs(self.model)
        self._check_as(got, out, _EMPTY, "they do not add to their input")
        self._check_nothing_else(blocks, out)

    def _check_nothing_else(self, blocks: Sequence[nn.Module], out: list[list[Tensor]]) -> None:
        """Raise if blocks give something that others need, besides their input and what they add to it."""
        for share in (1.0, 0.0):  # the sum with the input may be outside of the block
            with _passing(blocks, share) as called:
                got = self._outputs(self.model)
            if not called:  # a list of parts, which is not called
                return
            try:
                self._check_as(got, out, _EXACT, "something that they return is needed by others")
            except Refused as reason:
                refused = reason
            else:
                return
        raise refused

    def check_supernet(self, path: str, run: Run, count: int) -> None:
        """Raise if a searchable container gives something other than a plain one without the blocks.

        Raises:
            Refused: It does, for example because its own code counts its blocks.
        """
        plain = self.model.get_submodule(path)
        expected = self._without(path, run.names[count:], run.in_place)
        made = blocks_of(plain, [run])
        made.names = {"depths[0]": "depth"}
        model = replaced(self.model, plain, made)
        try:
            with following({"depth": count}):
                got = self._outputs(model)
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
    """Replace a module by another in every place, and return the model."""
    if model is old:
        return new
    for module in list(model.modules()):
        for name, part in module._modules.items():
            if part is old:
                module._modules[name] = new
    return model


def _make_plain(module: nn.Module) -> None:
    """Make a norm neither scale nor shift."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    if any(tensor.ndim > 1 for _, tensor in own):
        return
    with torch.no_grad():
        for name, tensor in own:
            if tensor.is_floating_point():
                tensor.fill_(0.0 if any(word in name for word in ("bias", "beta", "mean")) else 1.0)


@contextmanager
def without(container: nn.Module, names: Sequence[str], *, in_place: bool) -> Iterator[None]:
    """Leave blocks out of a container while the `with` block runs."""
    before = container._modules
    container._modules = renumbered(shortened(before, names, in_place=in_place))
    try:
        yield
    finally:
        container._modules = before


@contextmanager
def _emptied(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Make the layers of blocks give zero while the `with` block runs."""
    tensors = []
    for block in blocks:
        for module in block.modules():
            own = list(module.parameters(recurse=False))
            tensors += own if any(p.ndim > 1 for p in own) else []
    tensors = list(dict.fromkeys(tensors))
    kept = [tensor.data for tensor in tensors]
    for tensor in tensors:
        tensor.data = torch.zeros_like(tensor)
    try:
        yield
    finally:
        for tensor, value in zip(tensors, kept, strict=True):
            tensor.data = value


@contextmanager
def _passing(blocks: Sequence[nn.Module], share: float) -> Iterator[set[nn.Module]]:
    """Make blocks return `share` times their input, and their other outputs; yield the blocks called."""
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
        raise Refused(f"they return a {type(output).__name__}")
    return type(output)((x * share, *output[1:]))


def _flat(outputs: list[list[Tensor]]) -> list[Tensor]:
    return [tensor for one in outputs for tensor in one]


def _pairs(one: list[list[Tensor]], other: list[list[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(_flat(one), _flat(other), strict=True)


def _apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors; infinity if they are not finite in the same places."""
    if not one.is_floating_point():
        return 0.0 if torch.equal(one, other) else float("inf")
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return float("inf")
    return float((one - other)[finite].abs().max()) if bool(finite.any()) else 0.0
