"""Find numbers that modules store and that follow the widths of layers: sizes, and numbers of heads.

A name marks such a number, and the width of some layer explains it. Whether it follows that width is left to
the passes on shapes alone (`coupling`) and to the proof.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import nn

from asng.nn.conversion.reach import bare_in
from asng.nn.conversion.recognition import RESERVED, own_tensors, roles_in, tensors_in
from asng.nn.conversion.roles import Role
from asng.nn.inputs import Inputs

__all__ = ["all_roles", "heads_in", "heads_of", "numbers_in"]

_SIZES = (
    "size",
    "dim",
    "width",
    "hidden",
    "channel",
    "chs",
    "feature",
    "embed",
    "embd",
    "model",
    "unit",
    "filter",
)
"""Parts of names that mark a number as a width."""


def all_roles(model: nn.Module, calls: Sequence[Inputs]) -> dict[str, Role]:
    """Return the roles of all that a cut may name: layers, tensors, and numbers that modules store.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 8))
        >>> model.hidden_size = 8
        >>> list(all_roles(model, [Inputs((torch.ones(1, 3),))]))
        ['0', 'hidden_size']
    """
    bare = bare_in(model, calls)
    roles = roles_in(model, bare)
    roles |= tensors_in(model, roles, bare)
    return roles | numbers_in(model, roles) | heads_in(model, roles)


def numbers_in(model: nn.Module, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Return the roles of numbers that modules store and that may be the width of a layer, by "path.name".

    Their names mark them as sizes. They are equal to the width of some layer, or divide one. If they divide
    one, they consist of as many equal parts as their module has heads, or a layer of it reads as many.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 8))
        >>> model.hidden_size, model.depth = 8, 8
        >>> list(numbers_in(model, roles_in(model)))
        ['hidden_size']
    """
    widths = {role.makes // role.runs for role in roles.values() if role.makes} - {1}
    found: dict[str, Role] = {}
    for path, module in model.named_modules():
        if path in roles or not _stores(module):
            continue
        for name, value in vars(module).items():
            if (
                type(value) is int
                and _says_size(name)
                and (value in widths or _is_of_heads(module, name, widths) or _is_part(module, value, widths))
            ):
                key = f"{path}.{name}".lstrip(".")
                found[key] = Role(value, reads=False, sizes={name: "made"}, owner=path)
    return found


def heads_of(module: nn.Module) -> dict[str, int]:
    """Return the numbers of heads that a module stores, by the names that mark them as such.

    Example:
        >>> attention = nn.Module()
        >>> attention.num_heads, attention.head_dim = 4, 16
        >>> heads_of(attention)
        {'num_heads': 4}
    """
    return {
        name: value
        for name, value in vars(module).items()
        if type(value) is int and value > 1 and "head" in name.lower() and not _says_size(name)
        if not name.startswith("d_")
    }


def heads_in(model: nn.Module, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Return the roles of numbers of heads that modules store, and of tensors with a place for each head.

    Such a number divides the width of a layer within the module. Numbers go by "path.name", dimensions of
    tensors by "path.name[dimension]".

    Example:
        >>> import torch
        >>> attention = nn.Module()
        >>> attention.num_heads, attention.queries = 2, nn.Linear(3, 8)
        >>> attention.temperature = nn.Parameter(torch.ones(2, 1, 1))
        >>> list(heads_in(attention, roles_in(attention)))
        ['num_heads', 'temperature[0]']
    """
    found: dict[str, Role] = {}
    for path, module in model.named_modules():
        if path in roles or not _stores(module):
            continue
        inside = [role.makes for at, role in roles.items() if role.makes and _is_within(at, path)]
        heads = {n: v for n, v in heads_of(module).items() if any(w > v and w % v == 0 for w in inside)}
        for name, value in heads.items():
            found[f"{path}.{name}".lstrip(".")] = Role(value, reads=False, sizes={name: "made"}, owner=path)
        for name, tensor in own_tensors(module).items() if heads else ():
            for dim, size in enumerate(tensor.shape):
                key = f"{path}.{name}[{dim}]".lstrip(".")
                if size in heads.values() and key not in roles:
                    found[key] = Role(size, reads=False, tensors={name: {dim: "made"}}, owner=path)
    return found


def _stores(module: nn.Module) -> bool:
    """Whether a module may store numbers that can be set: it is not of torch, and has no clashing names."""
    leaf = type(module).__module__.startswith("torch.nn.") and not module._modules
    return not leaf and RESERVED.isdisjoint(dir(module))


def _is_of_heads(module: nn.Module, name: str, widths: Collection[int]) -> bool:
    """Whether a number that a module stores may be the width of all its heads together."""
    # What is named after a head is the size of one, but for `all_head_size` of BERT.
    value = 0 if "head" in name.lower() and not name.startswith("all") else vars(module)[name]
    heads = any(value > many and value % many == 0 for many in heads_of(module).values())
    return heads and any(width % value == 0 for width in widths)


def _is_part(module: nn.Module, value: int, widths: Collection[int]) -> bool:
    """Whether a layer of a module reads as many channels, and one makes a multiple, as in a gated unit."""
    inside: list[Any] = list(module.children())
    read = {getattr(layer, name, 0) for layer in inside for name in ("in_features", "in_channels")}
    made = {getattr(layer, name, 0) for layer in inside for name in ("out_features", "out_channels")}
    return value in read and any(many > value > 1 and many % value == 0 for many in made & {*widths})


def _says_size(name: str) -> bool:
    return any(word in name.lower() for word in _SIZES)


def _is_within(path: str, outer: str) -> bool:
    return not outer or path.startswith(f"{outer}.")
