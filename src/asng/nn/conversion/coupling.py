"""Find the layers that must have equally many channels, by a pass on shapes in which sizes serve as names.

On the meta device, tensors have shapes only. There each layer that makes channels makes w p of them: w is the
true number, and p a large prime number of its own. If sizes then clash in sums and products of tensors, the
layers behind them are coupled: both get the prime of one, and the pass starts again. A size that meets a
plain number, of a parameter or in the model's own code, is fixed. The result is a proposal; `proof.py`
decides whether a group can really be cut.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from traceback import walk_tb
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asng.nn.conversion.attention import given, shapes_of_attention
from asng.nn.conversion.listening import GROUPED, Listen, MisfitError, Misfits
from asng.nn.conversion.names import Names
from asng.nn.conversion.reach import run_as_told
from asng.nn.conversion.recognition import roles_in, tensor_of
from asng.nn.conversion.recurrent import CELLS_AND_LAYERS, shapes_of_units
from asng.nn.conversion.roles import Role, parts_of
from asng.nn.extraction.exclusion import on_meta
from asng.nn.extraction.recording import left_alone, tensors_within
from asng.nn.inputs import Inputs, tensors_of
from asng.nn.rules import settle_fused_paths

__all__ = ["OUTPUT", "Coupling", "coupled"]

OUTPUT = "its channels are part of the output"
_RESHAPED = "the model's own code reshapes it to a size of its own"


@dataclass
class Coupling:
    """The groups of coupled layers of a model.

    Attributes:
        groups: Paths of the layers whose channels are coupled, in the order of the model.
        fixed: Path of each other layer or tensor that makes channels, to the reason why it is fixed.
        blind: Whether the model does not run on shapes alone, so that nothing was found.
    """

    groups: list[list[str]] = field(default_factory=list)
    fixed: dict[str, str] = field(default_factory=dict)
    blind: bool = False


def coupled(
    model: nn.Module,
    calls: Sequence[Inputs],
    roles: Mapping[str, Role] | None = None,
    known: Sequence[Sequence[str]] = (),
) -> Coupling:
    """Return the groups of layers of a model that must make equally many channels.

    If the model cannot run on shapes alone, each layer is a group by itself.

    Args:
        model: A plain model.
        calls: Inputs of calls of the model.
        roles: Roles of its layers, tensors and numbers. Default: those of `roles_in`.
        known: Groups that are coupled from the start.
    """
    roles = roles_in(model) if roles is None else roles
    names = Names({path: role.makes for path, role in roles.items() if role.makes})
    for first, *others in known:
        for path in others:
            names.couple(names.primes[first], names.primes[path])
    layers = [path for path in names.widths if roles[path].owner is None]
    try:
        shapes, there = _without_numbers(model, calls, roles, names)
        tensors, ties = _Tensors(shapes, roles, names), _ties(model, roles)
        with left_alone(model), torch.no_grad(), Listen() as listened:
            model.eval()
            listened.leave_out([model.get_submodule(path) for path in roles if roles[path].owner is None])
            outputs = [run_as_told(model, call) for call in calls]
        given = [tuple(tensor.shape) for tensor in tensors_within(outputs)]
        while not _one_pass(shapes, there, names, listened, tensors, ties, given):
            pass
    except Exception:  # the model reads numbers, or holds something that cannot be copied
        return Coupling([[path] for path in layers], blind=True)
    groups: dict[int, list[str]] = {}
    for path in names.widths:
        if path not in names.fixed:
            groups.setdefault(names.primes[path], []).append(path)
    # What tensors make, and no layer, are channels if one is trained, and something else reads them.
    own = {path: role for path, role in roles.items() if role.owner is not None and role.tensors}
    trained = {path for path, role in own.items() if isinstance(tensor_of(model, role), nn.Parameter)}
    read = {prime for size in names.given.values() for prime in names.within(size)}
    found = [
        paths
        for prime, paths in groups.items()
        if paths[0] in layers
        or (not trained.isdisjoint(paths) and len(own.keys() & paths) + (prime in read) > 1)
    ]
    return Coupling(found, {path: why for path, why in names.fixed.items() if not roles[path].is_number})


def _without_numbers(
    model: nn.Module, calls: Sequence[Inputs], roles: Mapping[str, Role], names: Names
) -> tuple[nn.Module, list[Inputs]]:
    shapes, there = on_meta(model, calls)
    settle_fused_paths(shapes.eval(), everywhere=True)
    for path, role in roles.items():
        if role.owner is None:
            layer = shapes.get_submodule(path)
            vars(layer)["forward"] = partial(_shape, path, layer, role, names)
    return shapes, there


class _Tensors:
    """Tensors that belong to no layer, and numbers that modules store, in a model on the meta device."""

    def __init__(self, shapes: nn.Module, roles: Mapping[str, Role], names: Names) -> None:
        self._names = names
        self._found: list[tuple[nn.Module, str, Tensor, dict[int, str]]] = []
        self._numbers: list[tuple[nn.Module, str, str]] = []
        places: dict[tuple[str, str], dict[int, str]] = {}
        for path, role in roles.items():
            if role.is_number:
                (name,) = role.sizes
                self._numbers.append((shapes.get_submodule(role.owner or ""), name, path))
            elif role.owner is not None:
                ((name, dims),) = role.tensors.items()
                places.setdefault((role.owner, name), {})[next(iter(dims))] = path
            elif not role.is_of_torch and isinstance(shapes.get_submodule(path), nn.Embedding):
                places[path, "weight"] = {1: path}  # it is read without a call too
        for (owner, name), paths in places.items():
            module = shapes.get_submodule(owner)
            self._found.append((module, name, getattr(module, name), paths))

    def asked_in(self, error: Exception) -> tuple[int, int | None] | None:
        """Return the primes of a stored number and of channels whose difference may have caused an error.

        The number belongs to a module in whose code the error was raised. The channels are those of a tensor
        that this code has. The second prime is None if such a tensor has as many that no layer makes. Without
        such a tensor, they are those of the last layer run that is as wide.
        """
        names = self._names
        for frame in _frames(error):
            here = {id(value) for value in frame.values() if isinstance(value, nn.Module)}
            numbers = [
                path for owner, _, path in self._numbers if id(owner) in here and path not in names.fixed
            ]
            sizes = [size for x in frame.values() if isinstance(x, Tensor) for size in x.shape]
            for number, size in product(numbers, sizes):
                one, found = names.primes[number], names.within(size)
                if len(found) == 1 and one not in found and size == names.widths[number] * min(found):
                    return one, found.pop()
            for number in numbers:
                if names.widths[number] in sizes:
                    return names.primes[number], None
            for layer, number in product(reversed(names.ran), numbers):
                one, other = names.primes[layer], names.primes[number]
                if names.widths[layer] == names.widths[number] and one != other and layer not in names.fixed:
                    return other, one
        return None

    def guessed_in(self, error: Exception) -> int | None:
        """Return the prime of a tensor's dimension that may have caused an error; None if there is none.

        The tensor belongs to a module in whose code the error was raised. Nothing else has this prime: it may
        be by chance that the dimension is as long as some layer is wide.
        """
        names, shared = self._names, Counter(self._names.primes.values())
        for frame in _frames(error):
            here = {id(value) for value in frame.values() if isinstance(value, nn.Module)}
            for owner, _, _, paths in self._found:
                for path in paths.values() if id(owner) in here else ():
                    if path not in names.fixed and shared[names.primes[path]] == 1:
                        return names.primes[path]
        return None

    def set(self) -> None:
        """Give the tensors and numbers the sizes that stand for their channels."""
        for module, name, path in self._numbers:
            vars(module)[name] = self._names.wide(path)
        for module, name, tensor, paths in self._found:
            shape = [self._names.wide(paths[d]) if d in paths else n for d, n in enumerate(tensor.shape)]
            made = torch.empty(shape, device="meta", dtype=tensor.dtype)
            if name in module._parameters:
                module._parameters[name] = nn.Parameter(made, requires_grad=False)
            else:
                module._buffers[name] = made


class _Side(NamedTuple):
    """The channels that a layer makes, or those that it is given."""

    path: str
    made: bool


def _frames(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """Yield the variables of each stack frame of an error, the innermost first."""
    yield from reversed([frame.f_locals for frame, _ in walk_tb(error.__traceback__)])


def _ties(model: nn.Module, roles: Mapping[str, Role]) -> list[list[_Side]]:
    """Return the sides of layers of torch that lie along the same dimension of a shared weight."""
    found: dict[tuple[int, int], list[_Side]] = {}
    for path, role in roles.items():
        layer, none = (model.get_submodule(path) if role.owner is None else None), torch.arange(0)
        weight = getattr(layer, "weight", None)
        if layer is None or not role.is_of_torch or weight is None or role.per:
            continue
        for made in (True, False) if role.reads else (True,) if role.makes else ():
            part = parts_of(layer, *((none, None) if made else (None, none)))[0]["weight"]
            found.setdefault((id(weight), part.shape.index(0)), []).append(_Side(path, made))
    return [sides for sides in found.values() if len(sides) > 1]


def _shape(path: str, layer: Any, role: Role, names: Names, *args: Any, **kwargs: Any) -> Any:
    """Return the output of a layer on the meta device, for any number of input channels."""
    x = next(tensors_of([args, kwargs]))
    if isinstance(layer, nn.Embedding):
        return torch.empty((*x.shape, names.size(path)), device="meta", dtype=layer.weight.dtype)
    dim, dtype = role.dim(x), x.dtype
    names.enter(path, x.shape[dim])
    if isinstance(layer, CELLS_AND_LAYERS):
        made, states, apart = shapes_of_units(layer, names.size(path), [*args, *kwargs.values()])
        if apart is not None:
            raise MisfitError("its first state", [(size,) for size in apart])
        return made if isinstance(layer, nn.RNNCellBase) else (made, states)
    if isinstance(layer, nn.MultiheadAttention):
        out = names.size(path)
        for other in given(args, kwargs):
            if other.shape[-1] != out:
                raise MisfitError("attention", [(out,), (other.shape[-1],)])
        return shapes_of_attention(layer, out, args, kwargs)
    sides: tuple[int, ...] = tuple(x.shape[dim + 1 :])
    if hasattr(layer, "kernel_size"):
        sides = _sides(layer, sides)
    out = names.size(path) if role.makes else x.shape[dim]
    if "groups" in role.per:
        out = out * layer.out_channels // layer.in_channels
    return torch.empty((*x.shape[:dim], out, *sides), device="meta", dtype=dtype)


def _sides(layer: Any, sides: Sequence[int]) -> tuple[int, ...]:
    """Return the spatial sides of a convolution's output, from a run with a single channel."""
    functions = nn.functional
    image = torch.empty((1, 1, *sides), device="meta")
    weight = torch.empty((1, 1, *layer.kernel_size), device="meta")
    for kind, function in (
        (nn.Conv1d, functions.conv1d),
        (nn.Conv2d, functions.conv2d),
        (nn.Conv3d, functions.conv3d),
    ):
        if isinstance(layer, kind):
            return tuple(function(image, weight, None, layer.stride, layer.padding, layer.dilation).shape[2:])
    options = layer.stride, layer.padding, layer.output_padding, 1, layer.dilation
    number = len(layer.kernel_size) - 1
    transposed = (functions.conv_transpose1d, functions.conv_transpose2d, functions.conv_transpose3d)[number]
    return tuple(transposed(image, weight, None, *options).shape[2:])


def _one_pass(
    model: nn.Module,
    calls: Sequence[Inputs],
    names: Names,
    listened: Listen,
    tensors: _Tensors,
    ties: Sequence[Sequence[_Side]],
    given: Sequence[tuple[int, ...]],
) -> bool:
    """Run the model once, and couple or fix sizes that do not fit; return whether nothing changed.

    `given` are the shapes of the outputs that the model gives with its numbers.
    """
    before = dict(names.primes), len(names.fixed)
    names.given.clear()
    names.ran.clear()
    names.sums.clear()
    outputs = []
    try:
        misfits = Misfits(listened, names.sums, names.within)
        with left_alone(model), torch.no_grad(), torch.device("meta"), misfits:
            tensors.set()
            outputs = [run_as_told(model, call) for call in calls]
            for sides in ties:
                sizes = [names.wide(path) if made else names.given.get(path, 0) for path, made in sides]
                if len(set(sizes) - {0}) > 1:
                    raise MisfitError("its tied weight", [(size,) for size in sizes if size])
    except MisfitError as misfit:
        if not misfit.shapes:
            raise
        _resolve(misfit, names)
    except Exception as error:  # the model checks a size itself
        pair, guessed = tensors.asked_in(error), tensors.guessed_in(error)
        asked = names.last if guessed is None else guessed
        if asked is None:
            raise
        number, channels = pair or (asked, None)
        if channels is None:
            names.fix(number, "the model's own code asks for its size")
        else:
            names.couple(channels, number)
    for tensor, there in zip(tensors_within(outputs), given, strict=False):
        for size, number in zip(tensor.shape, there, strict=False):
            for prime in names.within(size):
                widths = [names.widths[path] for path, p in names.primes.items() if p == prime]
                moved = tensor.ndim > 1 and size == tensor.shape[0] and all(number % w for w in widths)
                names.fix(prime, _RESHAPED if moved else OUTPUT)
    if (names.primes, len(names.fixed)) != before:
        return False
    if not outputs:
        raise RuntimeError("sizes that do not fit and belong to no layer")
    return True


def _resolve(misfit: MisfitError, names: Names) -> None:
    """Couple two layers whose sizes must agree, or fix one that must agree with a plain number."""
    for one, other in _meetings(misfit.function, misfit.shapes):
        here, there = names.apart(one, other)
        if len(here) == len(there) == 1 and here != there:
            names.couple(here.pop(), there.pop())
            return
        if 1 in (len(here), len(there)) and here != there and here and there:
            # Several that are concatenated meet one, as biases of queries, keys and values do.
            first, *others = here | there
            for prime in others:
                names.couple(first, prime)
            return
        if bool(here) != bool(there):
            for prime in here | there:
                names.fix(prime, f"{misfit.function} wants as many as a tensor that no layer makes")
            return
    primes = {prime for shape in misfit.shapes for size in shape for prime in names.within(size)}
    asked = {prime for size in misfit.numbers for prime in names.within(size)} - primes
    if len(primes) == len(asked) == 1:
        names.couple(primes.pop(), asked.pop())
        return
    for pair in _kept_by_a_view(misfit, names):
        names.couple(*pair)
        return
    primes |= asked
    last = set() if names.last is None else {names.last}
    if not primes and not last:
        raise misfit
    for prime in primes or last:
        names.fix(prime, f"{misfit.function} is given a size of its own")


def _kept_by_a_view(misfit: MisfitError, names: Names) -> Iterator[tuple[int, int]]:
    """Yield primes of equally wide sides that a view keeps, before or behind a side that it leaves open."""
    shape, numbers = misfit.shapes[0] if misfit.shapes else (), misfit.numbers
    sides = [*zip(shape, numbers, strict=False), *zip(reversed(shape), reversed(numbers), strict=False)]
    for size, number in sides:
        here, there = names.within(size), names.within(number)
        if len(here) == len(there) == 1 and here != there and names.are_alike(*here, *there):
            yield here.pop(), there.pop()


def _meetings(function: str, shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    """Yield pairs of sizes that differ, though a product, or else broadcasting, requires one."""
    if (function == "linear" or function in _CONVOLUTIONS) and len(shapes) > 1 and len(shapes[1]) > 1:
        x, weight, *bias = shapes
        channels = x[-1:] if function == "linear" else x[1 - len(weight) :][:1]
        yield from _apart(channels, weight[1:2])
        yield from (pair for shape in bias for pair in _apart(shape, weight[:1]))
        return
    if function in GROUPED and len(shapes) > 2 and len(shapes[1]) == 3:
        x, weight, ends = shapes[:3]
        yield from (*_apart(x[-1:], weight[1:2]), *_apart(ends, weight[:1]))
        return
    for number, other in enumerate(shapes):
        for one in shapes[:number]:
            ours, theirs = one, other
            if function in _PRODUCTS and one and other:
                yield from _apart(one[-1:], other[-2:-1] or other)
                ours, theirs = one[:-2], other[:-2]
            yield from _apart(ours, theirs)


_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
_PRODUCTS = ("matmul", "__matmul__", "bmm", "mm", "mv")


def _apart(one: Sequence[int], other: Sequence[int]) -> Iterator[tuple[int, int]]:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return ((a, b) for a, b in pairs if a != b and 1 not in (a, b))
