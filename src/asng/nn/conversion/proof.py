"""Prove that channels can be cut: the narrowed network equals the whole one with them silenced.

First, layers of the whole network that lose channels output NaN in their place. An operation on each channel
by itself keeps the NaN there. One that mixes a lost channel into others spreads the NaN, down to the output.
Layers that read all channels are given zeros for NaN. Norms over channels leave it out, and so do products of
two tensors that have lost the same channels, such as queries and keys. A channel may be lost in these places
only, and each records which ones are. Then the whole network runs again, with its numbers in the lost
channels, since a function may treat NaN like no number. Last, the narrowed network runs, with these channels
taken out of the weights. If all three give the same, only the weights of lost channels are missing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asng.nn.conversion.attention import given, without_heads
from asng.nn.conversion.passes import BARE, Refused, Whole, check_clean, outputs_of, run_call, whole_of
from asng.nn.conversion.products import Masks, Products
from asng.nn.conversion.reach import watched
from asng.nn.conversion.recurrent import (
    CELLS_AND_LAYERS,
    first_replaced,
    lost_units,
    without_states,
    without_units,
)
from asng.nn.conversion.roles import Role, narrowed
from asng.nn.extraction.recording import left_alone
from asng.nn.inputs import Inputs, tensors_of

__all__ = ["ChannelCut", "check_heard", "check_trains", "cut_of", "left_of", "narrow"]

_TOLERANCE = {torch.float64: 1e-9}
_COARSE = 2e-5
"""Largest difference of outputs, as a share of their largest number: narrowed layers sum in another order."""


class ChannelCut(NamedTuple):
    """The channels that layers keep in a narrowed network.

    Attributes:
        made: Path of each layer that loses channels, to the indices of those that it still makes.
        read: Path of each layer that is given fewer, to the indices of those that it reads or passes on.
    """

    made: dict[str, Tensor]
    read: dict[str, Tensor]


def cut_of(
    model: nn.Module,
    calls: Sequence[Inputs],
    roles: Mapping[str, Role],
    made: Mapping[str, Tensor],
    *,
    whole: Whole | None = None,
) -> ChannelCut:
    """Prove that layers can make fewer channels, and return which channels all layers then keep.

    Args:
        model: A plain model.
        calls: Inputs of calls of the model, which runs in evaluation mode.
        roles: Roles of all its layers.
        made: Path of each layer that loses channels, to the indices of those that it still makes.
        whole: The result of `whole_of`, if it is known.

    Raises:
        Refused: The narrowed network fails, computes something else, or runs other layers.
    """
    whole = whole_of(model, calls) if whole is None else whole
    products: list[Masks] = []
    cut = ChannelCut(dict(made), {})
    with left_alone(model), torch.no_grad(), watched(model) as reached:
        model.eval()
        with whole.known.during(keep=True):
            lost = _follow(model, calls, roles, cut, products)
        _check_reached(reached, whole)
        check_clean(lost, whole.outputs)
        numbers = _silenced(model, roles, cut, numbers=True)
        with numbers, whole.known.during(), Products(list(products), again=True):
            silenced = [run_call(model, call) for call in calls]
        _check_reached(reached, whole)
        with narrow(model, roles, cut), whole.known.during(rounded=True):
            got = [run_call(model, call) for call in calls]
        _check_reached(reached, whole)
    _check_same(got, lost)
    _check_same(got, silenced)
    return cut


def left_of(
    model: nn.Module, calls: Sequence[Inputs], roles: Mapping[str, Role], made: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the channels that layers still read or pass on if others lose some, without a proof.

    Args:
        model: As in `cut_of`.
        calls: As in `cut_of`.
        roles: As in `cut_of`.
        made: As in `cut_of`.

    Raises:
        Refused: A layer is given numbers that mix lost channels with others, or the network does not run.
    """
    cut = ChannelCut(dict(made), {})
    with left_alone(model), torch.no_grad():
        model.eval()
        _follow(model, calls, roles, cut, [])
    return cut.read


def check_heard(
    model: nn.Module,
    calls: Sequence[Inputs],
    roles: Mapping[str, Role],
    paths: Sequence[str],
    whole: Whole,
) -> None:
    """Check that some output changes if layers make NaN, since a proof compares outputs.

    Raises:
        Refused: None does. The outputs may be empty, or what the layers make is left in an attribute. Or no
            layer is called, since the model reads their weights.
    """
    tensors = [path for path in paths if roles[path].owner is not None and roles[path].tensors]
    if not tensors and whole.reached.isdisjoint(paths):
        raise Refused(BARE)
    with left_alone(model), torch.no_grad(), ExitStack() as stack:
        model.eval()
        for path in paths:
            if roles[path].owner is None:
                lose = partial(_lose, roles[path], torch.arange(0))
                model.get_submodule(path).register_forward_hook(lose)
        for path in tensors:
            owner = model.get_submodule(roles[path].owner or "")
            stack.enter_context(_lost_in(owner, roles[path], torch.arange(0)))
        try:
            with whole.known.during():
                _check_same([run_call(model, call) for call in calls], whole.outputs)
        except Refused:
            return
    raise Refused("no output of the example depends on it")


def check_trains(
    model: nn.Module, calls: Sequence[Inputs], roles: Mapping[str, Role], cut: ChannelCut
) -> None:
    """Check that the narrowed network runs if its own code is in training mode.

    Raises:
        Refused: It does not, as if each weight of one part is averaged into one of another part.
    """
    with narrow(model, roles, cut):
        try:
            outputs_of(model, calls)
        except Refused as error:
            raise Refused(f"in training, {error}") from error.__cause__


def _follow(
    model: nn.Module,
    calls: Sequence[Inputs],
    roles: Mapping[str, Role],
    cut: ChannelCut,
    products: list[Masks],
) -> list[list[Tensor]]:
    """Return outputs with NaN in lost channels; record in `cut` and `products` what is still read where."""
    with _silenced(model, roles, cut, numbers=False), Products(products):
        return [run_call(model, call) for call in calls]


def _check_same(got: list[list[Tensor]], expected: list[list[Tensor]]) -> None:
    for one, other in zip(got, expected, strict=True):
        if [t.shape for t in one] != [t.shape for t in other]:
            raise Refused("the narrowed network gives an output of another shape")
        if any(not _alike(a, b) for a, b in zip(one, other, strict=True)):
            raise Refused("the narrowed network computes something else")


def _check_reached(reached: set[str], whole: Whole) -> None:
    """Raise if a pass has run other layers than the whole network; forget what it has run."""
    if reached != whole.reached:
        path = min(reached ^ whole.reached)
        raise Refused(f"without these channels other layers run, such as {path}: the data decide which")
    reached.clear()


def _alike(got: Tensor, expected: Tensor) -> bool:
    if not got.is_floating_point():
        return bool(torch.equal(got, expected))
    finite = expected[expected.isfinite()]
    most = float(finite.abs().max()) if finite.numel() else 0.0
    apart = _TOLERANCE.get(got.dtype, _COARSE) * most + 1e-12
    return bool(torch.allclose(got, expected, rtol=0.0, atol=apart, equal_nan=True))


@contextmanager
def _silenced(
    model: nn.Module, roles: Mapping[str, Role], cut: ChannelCut, *, numbers: bool
) -> Iterator[None]:
    """Make no layer read the channels that other layers lose.

    Args:
        model: The whole network.
        roles: Roles of its layers.
        cut: The channels that layers still make. Those still read are added to it, unless `numbers` is set.
        numbers: Whether lost channels keep their numbers, and `cut` says what is still read; else they are
            NaN.
    """
    with ExitStack() as stack:
        for path, role in roles.items():
            layer = model.get_submodule(path if role.owner is None else role.owner)
            if role.owner is not None:
                if path in cut.made and role.tensors and not numbers:
                    stack.enter_context(_lost_in(layer, role, cut.made[path]))
                continue
            embeds = isinstance(layer, nn.Embedding)
            if embeds and path in cut.made and role.tensors and not numbers:
                stack.enter_context(_lost_in(layer, role, cut.made[path]))  # it is read without a call too
            if role.norms:
                vars(layer)["forward"] = partial(_normed, path, layer, role, cut.read, numbers)
                stack.callback(vars(layer).pop, "forward", None)
            elif role.heads:
                vars(layer)["forward"] = partial(_attended, path, layer, role, cut, numbers)
                stack.callback(vars(layer).pop, "forward", None)
            elif not embeds:
                look = partial(_looked, path, role, cut.read, numbers)
                stack.callback(layer.register_forward_pre_hook(look, with_kwargs=True).remove)
            if path in cut.made and isinstance(layer, CELLS_AND_LAYERS):
                without = without_units if isinstance(layer, nn.RNNBase) else without_states
                vars(layer)["forward"] = partial(without, layer, cut.made[path])
                stack.callback(vars(layer).pop, "forward", None)
            if path in cut.made and not numbers:
                stack.callback(layer.register_forward_hook(partial(_lose, role, cut.made[path])).remove)
        yield


@contextmanager
def _lost_in(module: nn.Module, role: Role, kept: Tensor) -> Iterator[None]:
    """Put NaN into the lost channels of a tensor that belongs to no layer."""
    ((name, dims),) = role.tensors.items()
    table: Any = module._parameters if name in module._parameters else module._buffers
    whole, (dim,) = table[name], dims
    lost = torch.ones(whole.shape[dim], dtype=torch.bool)
    lost[kept] = False
    lost = lost.reshape(-1, *[1] * (whole.ndim - 1 - dim)).to(whole.device)
    part = whole.detach().masked_fill(lost, math.nan)
    table[name] = nn.Parameter(part, requires_grad=False) if table is module._parameters else part
    try:
        yield
    finally:
        table[name] = whole


def _looked(
    path: str, role: Role, read: dict[str, Tensor], numbers: bool, _: nn.Module, args: Any, kwargs: Any
) -> tuple[Any, Any] | None:
    x = next(tensors_of([args, kwargs]))
    dim = role.dim(x)
    kept = read.get(path) if numbers else _kept(path, x, dim, read)
    if kept is None or not role.reads:
        return None
    kept = kept.to(x.device)
    clean = torch.zeros_like(x).index_copy(dim, kept, x.index_select(dim, kept))
    if args:
        return tuple(first_replaced(args, clean)), kwargs
    names, values = kwargs, first_replaced(list(kwargs.values()), clean)
    return args, dict(zip(names, values, strict=True))


def _kept(path: str, x: Tensor, dim: int, read: dict[str, Tensor]) -> Tensor | None:
    """Record and return the channels left in an input, or return None if none is lost.

    Each channel must be lost as a whole, except where it is zero, as behind the end of a padded sequence, or
    at a node of a graph that gets no message. A row without any number is a lost channel of another
    dimension, as for a layer over tokens. It stays NaN, which spreads if the layer mixes rows.

    Raises:
        Refused: A channel is lost in part, all are lost, or another call has lost other channels.
    """
    nan = x.isnan()
    if not bool(nan.any()):
        if path in read:
            raise Refused(f"{path} is called several times, with and without these channels")
        return None
    flat, nan = (tensor.movedim(dim, 0).flatten(1) for tensor in (x, nan))
    rows = nan.all(dim=0)
    lost = nan.any(dim=1) if bool(rows.all()) else nan[:, ~rows].any(dim=1)
    if not bool((nan | (flat == 0.0))[lost].all()):
        raise Refused(f"{path} is given numbers in which its channels are mixed")
    kept = (~lost).nonzero().flatten().cpu()
    if len(kept) == len(lost):
        if path in read:
            raise Refused(f"{path} is called several times, with and without these channels")
        return None
    if not len(kept):
        raise Refused(f"nothing is left for {path} to read, or something before it mixes the channels")
    if not torch.equal(read.setdefault(path, kept), kept):
        raise Refused(f"{path} is called several times, with different channels left")
    return kept


def _attended(
    path: str, layer: Any, role: Role, cut: ChannelCut, numbers: bool, *args: Any, **kwargs: Any
) -> Any:
    """Run attention without the lost channels, of its inputs and of its heads."""
    for x in () if numbers else given(args, kwargs):
        _kept(path, x, role.dim(x), cut.read)
    kept, made = cut.read.get(path), cut.made.get(path)
    if kept is None and made is None:
        return type(layer).forward(layer, *args, **kwargs)
    if kept is None or made is None or len(kept) != len(made) or len(kept) % role.heads:
        raise Refused(f"{path} makes as many channels as it is given, in heads of {role.heads}")
    return without_heads(layer, kept, args, kwargs)


def _normed(
    path: str, layer: Any, role: Role, read: dict[str, Tensor], numbers: bool, *args: Any, **kwargs: Any
) -> Tensor:
    """Normalise the channels that are left, and pass on the lost ones."""
    x = next(tensors_of([args, kwargs]))
    dim = role.dim(x)
    kept = read.get(path) if numbers else _kept(path, x, dim, read)
    if kept is None:
        return type(layer).forward(layer, x)  # type: ignore[no-any-return]
    with narrowed(layer, None, kept, role):
        kept = kept.to(x.device)
        return x.index_copy(dim, kept, type(layer).forward(layer, x.index_select(dim, kept)))


def _lose(role: Role, kept: Tensor, layer: nn.Module, _: Any, output: Any) -> Any:
    if isinstance(layer, CELLS_AND_LAYERS):
        return lost_units(layer, kept, output, math.nan)
    x, others = (output[0], output[1:]) if role.heads else (output, ())
    dim = role.dim(x)
    lost = torch.ones(x.shape[dim], dtype=torch.bool)
    lost[kept] = False
    x = x.masked_fill(lost.reshape(-1, *[1] * (x.ndim - 1 - dim)).to(x.device), math.nan)
    return (x, *others) if role.heads else x


@contextmanager
def narrow(model: nn.Module, roles: Mapping[str, Role], cut: ChannelCut) -> Iterator[None]:
    """Narrow a model to the channels that are left while the block runs."""
    with ExitStack() as stack:
        for path in {**cut.made, **cut.read}:
            role = roles[path]
            layer = model.get_submodule(path if role.owner is None else role.owner)
            try:
                stack.enter_context(narrowed(layer, cut.made.get(path), cut.read.get(path), role))
            except ValueError as error:  # about groups of channels
                raise Refused(f"{path}: {error}") from error
        yield
