"""Rank the channels of a trained network by importance, so that a narrow child keeps the best.

A narrowed network is the whole one in which no layer reads the lost channels. So a channel matters as much as
its readers use it. Put a gate of one in front of each reader. To first order, its derivative is the change of
the output if the channel is lost there. Channels that only products read, such as those of queries and keys,
have their gates behind the layers that make them. The scale of weights in front of a norm, which the norm
cancels, does not count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice
from math import gcd
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from asng.checks import keep_integer
from asng.errors import InputError, in_one_line
from asng.nn.conversion.attention import along_width
from asng.nn.conversion.passes import Refused
from asng.nn.conversion.recurrent import along_units
from asng.nn.conversion.roles import Role, parts_of
from asng.nn.conversion.seeing import Place, seen
from asng.nn.extraction.recording import left_alone, seed_torch, tensors_within
from asng.nn.inputs import Inputs, calls_of, moved

__all__ = ["Importance", "Order", "ordered", "run_on", "set_modes", "settled"]

KINDS = ("outputs", "taylor", "activation", "magnitude")


@dataclass(frozen=True)
class Importance:
    """How `searchable` measures the importance of channels and blocks, and on which data.

    Importance is measured for channels that are kept or lost together: one channel of all layers of a group,
    or one head. The contributions at all its readers are summed, with their signs if they have any. That of
    blocks is measured by leaving them out: by the loss with kind "taylor", else by the change of the outputs.

    Args:
        kind: "outputs" is the change of the outputs, to first order, if the channel is lost: squared
            derivatives of a random sum of the outputs of each item (Hutchinson, 1989). It needs no targets.
            Kind "taylor" is the squared change of the loss, as in Molchanov et al. (2019). Kind "activation"
            is the energy that readers get from the channel: squares of their inputs, times those of their
            weights. Kind "magnitude" is the squares of the weights of makers and readers, as a share of the
            layer's; it needs no data.
        batches: The batches to run the network on, such as a loader. Default: the example of `searchable`.
        loss: A function of (forward, batch), as everywhere in this library, which passes a batch through the
            model; only "taylor" uses its value. Default: each batch is an example, as in `searchable`.
        at_most: Largest number of batches used, >= 1.

    Raises:
        InputError: The kind is unknown or lacks an argument that it needs, or another argument is out of its
            range.

    Example:
        >>> from asng.nn import searchable
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> with torch.no_grad():
        ...     model[2].weight[:, :4] = 0.0  # nobody needs the first half
        >>> order = Importance(batches=[torch.randn(16, 4) for _ in range(3)])
        >>> x = torch.randn(2, 4)
        >>> child = searchable(model, x, order=order).extract({"0": 4}, example=x)
        >>> torch.equal(child[0].weight, model[0].weight[4:])
        True

    References:
        M. F. Hutchinson (1989), "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian
        Smoothing Splines", Communications in Statistics 18.
        P. Molchanov, A. Mallya, S. Tyree, I. Frosio, J. Kautz (2019), "Importance Estimation for Neural
        Network Pruning", CVPR, section 3.1.
    """

    kind: str = "outputs"
    batches: Iterable[Any] | None = None
    loss: Callable[[Any, Any], Any] | None = None
    at_most: int = 8

    def __post_init__(self) -> None:
        """Check the options."""
        if self.kind not in KINDS:
            raise InputError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}.")
        keep_integer(self, "at_most", 1)
        if self.loss is not None and not callable(self.loss):
            raise InputError(f"loss: expected a function of (forward, batch), got {self.loss!r:.80}.")
        if self.kind == "taylor" and self.loss is None:
            raise InputError("loss: expected a function of (forward, batch) for kind='taylor', got None.")
        if self.loss is not None and self.batches is None:
            raise InputError("batches: expected the batches to call the loss with, got None.")


Order: TypeAlias = str | Importance | Callable[[str, nn.Module], Tensor]
"""A kind of importance; an `Importance`; or a function of (path, layer) that returns the importance of each
channel that the layer makes."""


class _Proofs(Protocol):
    """The part of a `Prover` that `ordered` uses."""

    model: nn.Module
    roles: Mapping[str, Role]

    def thresholds(self, group: Any) -> Any:
        """Prove a group in its present order, or raise `Refused`."""

    def sources(self, group: Any) -> dict[str, Tensor]:
        """Return, for each layer that is given channels, the part that each comes from, 0 if none."""


def settled(order: Order) -> Importance | Callable[[str, nn.Module], Tensor]:
    """Return an order as an `Importance` or a function, with its batches in a list.

    Raises:
        InputError: It is not an order.
    """
    order = Importance(order) if isinstance(order, str) else order
    if not isinstance(order, Importance) and not callable(order):
        raise InputError(
            f"order: expected one of {', '.join(KINDS)}, asng.nn.Importance(...), a function of (path, "
            f"layer) or None, got {order!r:.80}."
        )
    if isinstance(order, Importance) and order.batches is not None:
        return replace(order, batches=list(islice(order.batches, order.at_most)))
    return order


def ordered(
    groups: Sequence[Any],
    order: Importance | Callable[[str, nn.Module], Tensor],
    prover: _Proofs,
    calls: Sequence[Inputs],
) -> list[Any]:
    """Return groups with their most important channels first, or unchanged if that cannot be proved.

    Args:
        groups: Each a `WidthGroup`, with channels ordered by position.
        order: The measure of importance, from `settled`.
        prover: Proves the groups.
        calls: Calls of the example.

    Raises:
        InputError: The order gives a wrong shape or a number that is not finite, the model does not run on
            the batches, or there are none.
    """
    found = list(groups)
    tries = {number: _tries(group, prover) for number, group in enumerate(groups)}
    while grains := {number: one for number, pieces in tries.items() if (one := next(pieces, None))}:
        for number, ranks in zip(grains, _ranks(order, prover, list(grains.values()), calls), strict=True):
            first = replace(groups[number], ranks=ranks)
            if _holds(first, prover):
                found[number] = first
        tries = {number: tries[number] for number in grains if found[number].ranks is None}
    return found


def _holds(group: Any, prover: _Proofs) -> bool:
    try:
        prover.thresholds(group)
    except Refused:
        return False
    return True


class _Grains(NamedTuple):
    """The pieces of a group that may change places: single channels, heads, or parts.

    Attributes:
        number: Number of grains.
        made: Path of each layer that makes channels, to the grain of each channel, from 1 on.
        read: Path of each layer that is given channels, to the grain of each channel; 0 if it is of another
            group.
    """

    number: int
    made: Mapping[str, Tensor]
    read: Mapping[str, Tensor]


def _tries(group: Any, prover: _Proofs) -> Iterator[_Grains]:
    """Yield the pieces that may change places, the smallest first.

    It is proved for one order, in which neighbours are in different parts.
    """
    block = reduce(gcd, map(group.block, group.widths))
    for number in (n for n in range(block, group.units - 1, -1) if block % n == n % group.units == 0):
        spread = torch.arange(number).reshape(group.units, -1).T.flatten()
        if _holds(replace(group, ranks=tuple(spread.tolist())), prover):
            pieces = replace(group, units=number)
            made = {path: pieces.parts(path) for path in group.widths}
            yield _Grains(number, made, prover.sources(pieces))


def _ranks(
    order: Importance | Callable[[str, nn.Module], Tensor],
    prover: _Proofs,
    groups: Sequence[_Grains],
    calls: Sequence[Inputs],
) -> list[tuple[int, ...]]:
    """Return, for each group, the rank of each grain by importance; the most important has rank 0."""
    model, roles = prover.model, prover.roles
    if isinstance(order, Importance):
        places = [_places(order.kind, roles, group) for group in groups]
        tables = _tables(order, model, roles, {place for own in places for place in own}, calls)
    else:
        places = [_makers(roles, group) for group in groups]
        tables = iter([[(place, _asked(order, model, roles, place)) for own in places for place in own]])
    signed = isinstance(order, Importance) and order.kind in ("outputs", "taylor")
    sums = [torch.zeros(group.number, dtype=torch.float64) for group in groups]
    for table in tables:
        for total, group, own in zip(sums, groups, places, strict=True):
            added = _added(group, [entry for entry in table if entry[0] in own])
            total += (added.square() if signed else added).sum(dim=0)
    for total, group in zip(sums, groups, strict=True):
        if not bool(total.isfinite().all()):
            raise InputError(f"order: expected finite numbers for {next(iter(group.made))}, got {total}.")
    return [tuple(total.argsort(descending=True, stable=True).argsort().tolist()) for total in sums]


_Table: TypeAlias = list[tuple[Place, Tensor]]
"""Contributions of each channel at places, of shape (samples, channels)."""


def _places(kind: str, roles: Mapping[str, Role], group: _Grains) -> list[Place]:
    """Return where to measure the importance of a group: at its readers, or else its makers, or tensors."""
    made = [("made", path) for path in group.made if roles[path].owner is None or roles[path].tensors]
    read = [("read", path) for path in group.read if roles[path].reads]
    return made + read if kind == "magnitude" else read or _makers(roles, group) or made


def _makers(roles: Mapping[str, Role], group: _Grains) -> list[Place]:
    """Return the places of the layers that make the channels of a group, without tensors of other modules."""
    return [("made", path) for path in group.made if roles[path].owner is None]


def _added(group: _Grains, table: _Table) -> Tensor:
    """Return the contributions of grains, summed over all places, of shape (samples, grains)."""
    counts = [len(values) for _, values in table]
    # Windows of images come image by image. Samples that cannot be told apart are summed.
    samples = min(counts, default=1)
    samples = 1 if any(count % samples for count in counts) else samples
    total = torch.zeros(samples, group.number + 1, dtype=torch.float64)
    for (side, path), values in table:
        values = values.reshape(samples, -1, values.shape[1]).sum(dim=1).double().cpu()
        total.index_add_(1, (group.made if side == "made" else group.read)[path], values)
    return total[:, 1:]


def _asked(order: Any, model: nn.Module, roles: Mapping[str, Role], place: Place) -> Tensor:
    path = place[1]
    values = order(path, model.get_submodule(path))
    wanted = _along_channels(model, roles, place).shape[:1]
    if not isinstance(values, Tensor) or values.shape != wanted:
        got = tuple(values.shape) if isinstance(values, Tensor) else values
        raise InputError(
            f"order: expected a tensor of shape {tuple(wanted)} for {path}, one number per channel, got "
            f"{got!r:.80}."
        )
    return values.detach().unsqueeze(0)


def _along_channels(model: nn.Module, roles: Mapping[str, Role], place: Place) -> Tensor:
    """Return the weights at a place as a matrix whose first dimension is its channels."""
    side, path = place
    role = roles[path]
    layer: Any = model.get_submodule(path if role.owner is None else role.owner)
    if not role.is_of_torch:
        tables = [(getattr(layer, n), d) for n, dims in role.tensors.items() for d in dims if dims[d] == side]
        matrices = [(tensor, dim) for tensor, dim in tables if tensor.ndim > 1] or tables  # no biases
        return torch.cat([t.detach().movedim(dim, 0).reshape(t.shape[dim], -1) for t, dim in matrices], dim=1)
    if isinstance(layer, nn.RNNBase):
        return along_units(layer, side)
    if isinstance(layer, nn.MultiheadAttention):
        return along_width(layer, side)
    none = torch.arange(0)
    tensors, _ = parts_of(layer, *((none, None) if side == "made" else (None, none)))
    weight: Tensor = layer.weight.detach()
    return weight.movedim(tensors["weight"].shape.index(0), 0).flatten(1)


def _tables(
    order: Importance,
    model: nn.Module,
    roles: Mapping[str, Role],
    places: set[Place],
    calls: Sequence[Inputs],
) -> Iterator[_Table]:
    """Yield the contributions of channels in each batch."""
    if order.kind == "magnitude":
        squares = {place: _along_channels(model, roles, place).double().square().sum(1) for place in places}
        yield [(place, (value / value.sum()).nan_to_num().unsqueeze(0)) for place, value in squares.items()]
        return
    batches = list(calls if order.batches is None else order.batches)
    if not batches:
        raise InputError("batches: expected at least one, got none.")
    look = _energies if order.kind == "activation" else _derivatives
    with left_alone(model), torch.enable_grad():
        set_modes(model, training=order.loss is not None)
        seed_torch(0)
        for batch in batches:
            yield look(order, model, roles, places, batch)


def _energies(
    order: Importance, model: nn.Module, roles: Mapping[str, Role], places: set[Place], batch: Any
) -> _Table:
    """Return the energy that readers get from each channel, as a share of that from all channels."""
    sums: dict[Place, Tensor] = {}

    def see(place: Place, dim: int, x: Tensor) -> Tensor:
        energy = x.detach().movedim(dim, 0).flatten(1).double().square().sum(dim=1)
        sums[place] = sums[place] + energy if place in sums else energy
        return x

    with seen(model, roles, places, see):
        run_on(order, model, batch)
    for place, energy in sums.items():
        if place[0] == "read":
            energy *= _along_channels(model, roles, place).double().square().sum(dim=1)
    return [(place, (energy / energy.sum()).nan_to_num().unsqueeze(0)) for place, energy in sums.items()]


def _derivatives(
    order: Importance, model: nn.Module, roles: Mapping[str, Role], places: set[Place], batch: Any
) -> _Table:
    """Return the derivatives with respect to a gate for each channel of each item."""
    gates: dict[tuple[Place, int], Tensor] = {}

    def see(place: Place, dim: int, x: Tensor) -> Tensor:
        shape = [1] * x.ndim
        shape[0], shape[dim] = x.shape[0], x.shape[dim]  # without items, the channels come first
        items = shape[0] if dim else 1
        ones = torch.ones(items, x.shape[dim], dtype=x.dtype, device=x.device, requires_grad=True)
        return x * gates.setdefault((place, items), ones).reshape(shape)

    with seen(model, roles, places, see):  # in the backward pass too: activation checkpoints run again there
        outputs, value = run_on(order, model, batch)
        if order.kind == "outputs":
            value = sum(_random_sum(output) for output in outputs if output.requires_grad)
        if not isinstance(value, Tensor) or not value.requires_grad:
            raise InputError(
                f"order: expected {'outputs' if order.kind == 'outputs' else 'a loss'} with derivatives, got "
                f"{value!r:.80}."
            )
        slopes = torch.autograd.grad(value, list(gates.values()), allow_unused=True, materialize_grads=True)
    return [(place, slope) for (place, _), slope in zip(gates, slopes, strict=True)]


def _random_sum(output: Tensor) -> Tensor:
    """Return the randomly weighted sum of an output's numbers, divided by the output's norm."""
    size = output.detach().square().sum().sqrt().clamp(min=torch.finfo(output.dtype).tiny)
    return (output * torch.randn_like(output)).sum() / size


def run_on(order: Importance, model: nn.Module, batch: Any) -> tuple[list[Tensor], Any]:
    """Return the outputs of all passes of a batch, and the loss if there is one."""
    outputs: list[Tensor] = []

    def record(_: nn.Module, __: Any, output: Any) -> None:
        outputs.extend(tensors_within(output))

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    batch = moved(batch, device)
    # A loss gets the model itself, of which it may call other methods than the forward pass.
    hook = model.register_forward_hook(record)
    try:
        if order.loss is not None:
            return outputs, order.loss(model, batch)
        for call in calls_of(model, batch):
            call.call(model)
    except Exception as error:  # whatever a model raises
        raise InputError(
            f"batches: expected the model to run on each, got: {in_one_line(error)}. If a batch is more "
            "than the inputs, give asng.nn.Importance a loss too, a function of (forward, batch). Batch norm "
            "layers need several items."
        ) from error
    finally:
        hook.remove()
    return outputs, None


def set_modes(model: nn.Module, *, training: bool) -> None:
    """Make batch norms normalise by their batch, switch dropout off, and put the user's code into a mode."""
    model.train()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]  # others are frozen
    model.train(training)
    for module in model.modules():
        if type(module).__module__.partition(".")[0] == "torch":
            module.training = module in norms
