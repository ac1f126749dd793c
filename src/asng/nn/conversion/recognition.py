"""Recognise linear layers and norms of other libraries by what they compute.

A module with one matrix that computes what `torch.nn.functional.linear` computes with it is a linear layer,
whatever its class. So is `Conv1D` of GPT-2, whose matrix is transposed. A module with vectors alone is a norm
if its output is a layer norm or an RMS norm of its input, scaled and shifted. Both must also hold with only
some of their channels, which excludes a norm that stores the root of its width.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from asng.nn.conversion.roles import Role, given_to, narrowed, of_group_norm, role_of
from asng.nn.extraction.hooks import is_wrapped
from asng.nn.extraction.recording import left_alone
from asng.nn.layers.batch_norm import AVERAGES
from asng.nn.layers.subclasses import definer

__all__ = [
    "RESERVED",
    "channels_in",
    "own_tensors",
    "recognised",
    "roles_in",
    "tensor_of",
    "tensors_in",
    "unrecognised",
]

_TOLERANCE = 1e-3
"""Largest difference of a norm from one without eps, as a share of the largest number."""

_SIDES = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
"""Numbers of dimensions after that of the channels."""

RESERVED = {"names", "path", "variables", "extract", "described"}
"""Attributes of a searchable module; a module of a class that already has one cannot become searchable."""


def roles_in(model: nn.Module, bare: Collection[str] = ()) -> dict[str, Role]:
    """Return the roles of all layers by path, then those of tensors that belong to no layer.

    A dimension of such a tensor has a role if its size is the width of some layer, or if it counts channels
    of a layer that is not called. Its key is "path.name[dimension]".

    Args:
        model: A plain model.
        bare: Paths of layers of torch whose weights are read without calling them (`reach.bare_in`). They
            are tensors that belong to no layer; but embeddings are layers.

    Example:
        >>> class Across(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.weight = nn.Parameter(torch.randn(3, 8))
        ...     def forward(self, x):
        ...         return x @ self.weight
        >>> role = roles_in(nn.Sequential(Across(), nn.ReLU()))["0"]
        >>> role.makes, role.reads, role.tensors
        (8, True, {'weight': {1: 'made', 0: 'read'}})
    """
    found = {
        path: _of_bare(module) if path in bare else role_of(module) or recognised(module)
        for path, module in model.named_modules()
    }
    # An attention reads the weight of its last projection without calling it.
    parts = {
        f"{path}.out_proj".lstrip(".") for path, role in found.items() if role is not None and role.heads
    }
    roles = {path: role for path, role in found.items() if role is not None and path not in parts}
    widths = {role.makes for role in roles.values()} - {1}
    return roles | {
        path: role
        for path, role in tensors_in(model, roles, bare).items()
        if role.makes in widths or (role.owner in bare and _dimension(path) < 2)
    }


def tensors_in(model: nn.Module, roles: Mapping[str, Role], bare: Collection[str] = ()) -> dict[str, Role]:
    """Return the roles of all dimensions of tensors that belong to no layer, of two channels or more.

    Args:
        model: A plain model.
        roles: The roles of its layers, by path.
        bare: As in `roles_in`.
    """
    found: dict[str, Role] = {}
    for path, module in model.named_modules():
        if path in roles:
            continue
        tensors = _parameters(module) if path in bare else own_tensors(module)
        for name, tensor in tensors.items():
            for dim, size in enumerate(tensor.shape):
                if size > 1:
                    counts = _COUNTS.get((name, dim), ()) if path in bare else ()
                    sizes = {count: "made" for count in counts if getattr(module, count, None) == size}
                    key, cut = f"{path}.{name}[{dim}]".lstrip("."), {name: {dim: "made"}}
                    found[key] = Role(size, reads=False, tensors=cut, sizes=sizes, owner=path)
    return found


def channels_in(model: nn.Module, roles: Mapping[str, Role], bare: Collection[str] = ()) -> dict[str, Role]:
    """Return the roles of those dimensions of tensors that may be channels though no layer makes as many.

    A layer or another parameter has as many, or two to four times as many, as where several are made at once;
    or they are a multiple of such a size, as behind a concatenation. Or two neighbouring sides make the width
    of a layer, as heads and their channels do. The sides of a kernel are no channels.

    Args:
        model: A plain model.
        roles: The roles of its layers and tensors, by path, from `roles_in`.
        bare: As in `roles_in`.

    Example:
        >>> class Experts(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.up = nn.Parameter(torch.randn(3, 8, 24))
        ...         self.down = nn.Parameter(torch.randn(3, 24, 8))
        >>> list(channels_in(Experts(), {}))
        ['up[0]', 'up[1]', 'up[2]', 'down[0]', 'down[1]', 'down[2]']
    """
    tensors = {
        path: role
        for path, role in tensors_in(model, roles, bare).items()
        if path not in roles and not _is_of_kernel(model, path, role)
    }
    places: dict[int, set[str]] = {}
    for path, role in tensors.items():
        if isinstance(tensor_of(model, role), nn.Parameter):
            places.setdefault(role.makes or 1, set()).add(path.partition("[")[0])
    layers = {path: role for path, role in roles.items() if role.owner is None}
    given = {given_to(model.get_submodule(path), role) for path, role in layers.items()}
    given |= {role.makes or 1 for role in roles.values()}
    several = [{n, times * n} for n in places for times in (2, 3, 4) if times * n in places]
    heads = [
        {one, other}
        for shape in {tensor_of(model, role).shape for role in tensors.values()}
        for one, other in pairwise(shape)
        if one * other in given and 1 not in (one, other)
    ]
    met = {n for n, paths in places.items() if n in given or len(paths) > 1}.union(*several, *heads)
    met |= {n for n in places if any(n % size == 0 for size in met if size > 2)}
    return {path: role for path, role in tensors.items() if role.makes in met}


def tensor_of(model: nn.Module, role: Role) -> Tensor:
    """Return the tensor of a role that belongs to no layer."""
    (name,) = role.tensors
    return getattr(model.get_submodule(role.owner or ""), name)  # type: ignore[no-any-return]


def _is_of_kernel(model: nn.Module, path: str, role: Role) -> bool:
    return tensor_of(model, role).ndim > 3 and _dimension(path) > 1


def _dimension(path: str) -> int:
    return int(path.rpartition("[")[2].rstrip("]"))


_COUNTS = {("weight", 0): ("out_features", "out_channels"), ("weight", 1): ("in_features", "in_channels")}
"""Attributes of layers of torch that count channels along a dimension."""


def _of_bare(module: nn.Module) -> Role | None:
    """Return the role of a layer whose weights are read without calling it: that of an embedding, or none."""
    if not isinstance(module, nn.Embedding) or role_of(module) is None:
        return None
    cuts, sizes = {"weight": {1: "made"}}, {"embedding_dim": "made"}
    return Role(module.embedding_dim, reads=False, tensors=cuts, sizes=sizes)


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in module._parameters.items() if p is not None and p.ndim}


def unrecognised(model: nn.Module, roles: Mapping[str, Role]) -> dict[str, str]:
    """Return the paths of modules with weights of their own that cannot be cut, to the reasons.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 2)))
        >>> unrecognised(model, roles_in(model))["1"]
        'its weight is computed from others; see torch.nn.utils.parametrize.remove_parametrizations'
    """
    owners = {role.owner for role in roles.values()}
    owners |= {f"{path}.out_proj".lstrip(".") for path, role in roles.items() if role.heads}
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)  # the weights that others are made of
        weights = any(p is not None and p.ndim for p in module._parameters.values())
        if path in roles or path in owners or inside or not (weights or is_parametrized(module)):
            continue
        hooks = [
            _REMOVED_BY[type(hook)]
            for hook in module._forward_pre_hooks.values()
            if type(hook) in _REMOVED_BY
        ]
        if is_parametrized(module) or hooks:
            remedy = next(iter(hooks), "parametrize.remove_parametrizations")
            found[path] = f"its weight is computed from others; see torch.nn.utils.{remedy}"
        elif is_wrapped(module):
            found[path] = "its calls run hooks, or a forward that was replaced"
        else:
            names = sorted(RESERVED.intersection(dir(module)))
            more = f": it has an attribute `{names[0]}`, a name that asng needs" if names else ""
            found[path] = f"{type(module).__name__} is not cut{more}"
    return found


_REMOVED_BY = {WeightNorm: "remove_weight_norm", SpectralNorm: "remove_spectral_norm"}
"""Hooks that compute a weight before each call, to the functions of torch that take them away."""


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point parameters and buffers of a module itself, by name.

    The result is empty for a layer of torch, and if weights are computed from others or calls run hooks or a
    replaced forward. It is also empty if the module has an attribute named like one of searchable modules.
    """
    if definer(type(module), "forward").__module__.startswith("torch.nn.") and not _is_container(module):
        return {}
    if is_wrapped(module) or is_parametrized(module):
        return {}
    if not (module._parameters or module._buffers) or not RESERVED.isdisjoint(dir(module)):
        return {}
    own = {**module._parameters, **module._buffers}
    return {name: t for name, t in own.items() if t is not None and t.is_floating_point() and t.ndim}


def recognised(module: nn.Module) -> Role | None:
    """Return the role of a layer of another library, or None if a module is not such a layer."""
    tensors = own_tensors(module)
    if not tensors or any(t.is_meta for t in tensors.values()):
        return None
    if isinstance(module, _BatchNorm):
        return _of_batch_norm(module, tensors)
    if isinstance(module, nn.GroupNorm):
        return of_group_norm(module) if _holds(_norms_as_torch, module) else None
    if module._modules:
        return None
    matrices = [name for name, tensor in tensors.items() if tensor.ndim == 2]
    vectors = [name for name, tensor in tensors.items() if tensor.ndim == 1]
    if len(matrices) + len(vectors) < len(tensors) or len(matrices) > 1 or len(vectors) > 2:
        return None
    with left_alone(module), torch.no_grad():
        module.eval()
        return _linear(module, tensors, matrices[0], vectors) if matrices else _norm(module, tensors)


def _linear(module: Any, tensors: Mapping[str, Tensor], matrix: str, vectors: list[str]) -> Role | None:
    weight = tensors[matrix]
    shift = tensors[vectors[0]] if vectors else None
    for out in (0, 1):
        size, given = weight.shape[out], weight.shape[1 - out]
        if len(vectors) > 1 or (shift is not None and len(shift) != size):
            continue
        dims = {matrix: {out: "made", 1 - out: "read"}} | {name: {0: "made"} for name in vectors}
        for sizes in _sizes(module, size, given):
            role = Role(size, reads=True, tensors=dims, sizes=sizes)

            def expected(x: Tensor, made: Tensor, read: Tensor, out: int = out) -> Tensor:
                part = weight.movedim(out, 0)[made][:, read]
                return functional.linear(x[..., read], part, None if shift is None else shift[made])

            if _holds(_computes, module, role, expected, size, given):
                return role
    return None


def _of_batch_norm(module: Any, tensors: Mapping[str, Tensor]) -> Role | None:
    size, inside = module.num_features, [t for part in module.children() for t in part.state_dict().values()]
    if inside or any(tensor.shape != (size,) for tensor in tensors.values()):
        return None
    cuts = {name: {0: "read"} for name in tensors}
    role = Role(None, reads=False, tensors=cuts, sizes={"num_features": "read"})
    with left_alone(module), torch.no_grad():
        module.eval()
        found = (replace(role, dims=dims) for dims in (None, 0))
        return next((role for role in found if _holds(_keeps_channels_apart, module, role, size)), None)


def _keeps_channels_apart(module: Any, role: Role, size: int) -> bool:
    """Whether a batch norm gives channels what it gives them beside others, with and without averages."""
    sides = next((n for kind, n in _SIDES.items() if isinstance(module, kind)), 2)
    x = _example(module, size, role.dims, sides)
    dim, whole, some = role.dim(x), torch.arange(size), torch.arange(0, size, 2)
    for averages in ({}, dict.fromkeys(AVERAGES)):
        outputs = []
        for read in (whole, some):
            with narrowed(module, None, read, role):
                module._buffers.update(averages)
                outputs.append(module(x.index_select(dim, read.to(x.device))))
        wanted, got = outputs[0].index_select(dim, some.to(x.device)), outputs[1]
        if outputs[0].shape != x.shape or not torch.allclose(got, wanted, rtol=1e-4, atol=1e-5):
            return False
    return True


def _norms_as_torch(module: nn.GroupNorm) -> bool:
    """Whether a group norm with a forward of its own gives what torch's gives, whole and narrowed."""
    role, whole = of_group_norm(module), torch.arange(module.num_channels)
    many = module.num_channels // module.num_groups
    x = _example(module, module.num_channels, None)
    with left_alone(module), torch.no_grad():
        module.eval()
        for read in (whole, whole[whole % many < max(1, many // 2)]):
            with narrowed(module, None, read, role):
                part = x.index_select(1, read.to(x.device))
                if not torch.allclose(module(part), nn.GroupNorm.forward(module, part), rtol=1e-4, atol=1e-5):
                    return False
    return True


def _holds(check: Callable[..., bool], *args: Any) -> bool:
    try:
        return check(*args)
    except Exception:  # a module may raise anything if its channels lie elsewhere or it counts them
        return False


def _norm(module: Any, tensors: Mapping[str, Tensor]) -> Role | None:
    sizes = {len(tensor) for tensor in tensors.values()}
    if len(sizes) > 1 or min(sizes) < 4:
        return None
    (size,) = sizes
    role = Role(None, reads=False, norms=True, tensors={name: {0: "read"} for name in tensors})
    if isinstance(getattr(module, "normalized_shape", None), tuple):
        role = replace(role, sizes={"normalized_shape": "read"})
    for dims, kind in product((0, None), (_rms, _standard)):
        if _holds(_is_norm, module, replace(role, dims=dims), kind, size):
            return replace(role, dims=dims)
    return None


def _is_norm(module: nn.Module, role: Role, kind: Callable[[Tensor], Tensor], size: int) -> bool:
    x = _example(module, size, role.dims)
    dim = role.dim(x)
    y, shift = (module(given).movedim(dim, -1).flatten(0, -2) for given in (x, 0.0 * x))
    normed = kind(x.movedim(dim, -1)).flatten(0, -2)
    scale = ((y - shift) * normed).sum(0) / normed.square().sum(0)

    def expected(x: Tensor, _: Tensor, read: Tensor) -> Tensor:
        return kind(x[..., read]).mul(scale[read]).add(shift[0][read])

    return _computes(module, role, expected, size, size)


def _computes(
    module: Any, role: Role, expected: Callable[[Tensor, Tensor, Tensor], Tensor], size: int, given: int
) -> bool:
    """Whether a module, whole and narrowed, gives the output expected for an input, channels last."""
    noise = torch.Generator().manual_seed(1)
    for share in (1.0, 0.5, 0.75):
        made, read = (
            torch.randperm(n, generator=noise)[: max(2, int(share * n))].sort().values for n in (size, given)
        )
        x = _example(module, given, role.dims)
        dim = role.dim(x)
        with narrowed(module, made if role.makes else None, read, role):
            got = module(x.index_select(dim, read.to(x.device)))
        wanted = expected(x.movedim(dim, -1), made, read)
        if not isinstance(got, Tensor) or got.shape != wanted.movedim(-1, dim).shape:
            return False
        far = float((got.movedim(dim, -1) - wanted).abs().max())
        if not far <= _TOLERANCE * float(wanted.abs().max()):
            return False
    return True


def _example(module: nn.Module, size: int, dims: int | None, sides: int = 2) -> Tensor:
    """Return an input of `size` channels with large numbers, so that eps is negligible."""
    like = next(iter(own_tensors(module).values()))
    shape = (3, 5, size) if dims == 0 else (3, size, *[4] * sides)
    return (10.0 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(like)


def _rms(x: Tensor) -> Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt()


def _standard(x: Tensor) -> Tensor:
    return _rms(x - x.mean(-1, keepdim=True))


def _sizes(module: nn.Module, made: int, read: int) -> list[dict[str, str]]:
    """Return the attributes of a linear layer that may count its channels: assignments to try in turn."""
    counts = {name: v for name, v in vars(module).items() if type(v) is int and v in (made, read)}
    if made != read:
        return [{name: "made" if value == made else "read" for name, value in counts.items()}]
    named = {name: "read" if "in" in name or name.endswith("x") else "made" for name in counts}
    return [
        named,
        *(dict(zip(counts, kinds, strict=True)) for kinds in product(("made", "read"), repeat=len(counts))),
    ]


def _is_container(module: nn.Module) -> bool:
    """Whether a module has no forward of its own, only that of `torch.nn.Module`."""
    return definer(type(module), "forward") is nn.Module
