"""Choose what takes part in passes on shapes alone, so that most is searchable.

Layers always do. Tensors that belong to no layer, sizes and numbers of heads that modules store may count
channels, or something else that is as large by chance. So they are tried.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import product

from torch import nn

from asng.nn.conversion.coupling import OUTPUT, Coupling, coupled
from asng.nn.conversion.names import SINGLE
from asng.nn.conversion.numbers import heads_in, numbers_in
from asng.nn.conversion.roles import Role
from asng.nn.inputs import Inputs

__all__ = ["coupled_with_heads", "most_coupled"]


def most_coupled(
    model: nn.Module, calls: Sequence[Inputs], roles: dict[str, Role], more: dict[str, Role]
) -> tuple[Coupling, dict[str, Role]]:
    """Return the coupling in which fewest layers are fixed, and the roles that it is of.

    Args:
        model: A plain model.
        calls: Inputs of calls of the model.
        roles: The roles of its layers, and of tensors that have as many channels.
        more: Roles of other tensors, from `channels_in`.

    Example:
        >>> import torch
        >>> from asng.nn.conversion.recognition import roles_in
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 3))
        >>> most_coupled(model, [Inputs((torch.ones(1, 2),))], roles_in(model), {})[0].groups
        [['0']]
    """
    heads = heads_in(model, roles)  # what counts heads is tried with them
    more = {path: role for path, role in more.items() if path not in heads}
    found, wider = _with_numbers(model, calls, roles | more)
    if not more or _layers_are_settled(found, wider):
        return found, wider
    if found.blind:
        return _with_numbers(model, calls, roles)
    narrower = {path: role for path, role in wider.items() if path not in more}
    again = coupled(model, calls, narrower)
    return (again, narrower) if _fixed(again, narrower)[:2] < _fixed(found, wider)[:2] else (found, wider)


def _with_numbers(
    model: nn.Module, calls: Sequence[Inputs], roles: dict[str, Role]
) -> tuple[Coupling, dict[str, Role]]:
    """Return the coupling and the roles; with the sizes that modules store, if that makes more searchable."""
    found = coupled(model, calls, roles)
    numbers, heads = numbers_in(model, roles), heads_in(model, roles)
    if _is_settled(found, roles, numbers):
        # A view of (-1, self.channels, ...) moves a wrong width into the batch, and so into the output. But a
        # number that is no part or multiple of these widths cannot be what fixes them.
        widths = {roles[path].makes or 1 for path, why in found.fixed.items() if why == OUTPUT}
        sizes = {role.makes or 1 for role in (numbers | heads).values()}
        if all(width % size and size % width for width in widths for size in sizes):
            return found, roles
    names = dict.fromkeys(name for role in numbers.values() for name in role.sizes)
    each = [{path: role for path, role in numbers.items() if name in role.sizes} for name in names]
    none: dict[str, Role] = {}
    tried = [roles.keys()]
    # All numbers at once; then name by name, in case one counts steps and the model does not run with it.
    for named, with_heads in product((numbers, none, *each), (none, heads)):
        wider = roles | named | with_heads
        if wider.keys() in tried:
            continue
        tried.append(wider.keys())
        again = coupled(model, calls, wider)
        before, after = _fixed(found, roles), _fixed(again, wider)
        # Whole heads are a coarser choice than parts of each: they must be worth a layer.
        if after[:2] < before[:2] or (after < before and not with_heads):
            found, roles = again, wider
            if _is_settled(found, roles, numbers):
                break
    return found, roles


def coupled_with_heads(
    model: nn.Module,
    calls: Sequence[Inputs],
    before: Coupling,
    roles: dict[str, Role],
    refused: AbstractSet[str],
) -> tuple[Coupling, dict[str, Role]] | None:
    """Return the coupling and the roles with numbers of heads; None if no refused layer belongs to one.

    Args:
        model: A plain model.
        calls: Inputs of calls of the model.
        before: The coupling without them, whose groups stay together.
        roles: The roles that it is of.
        refused: Paths of layers that could not be proved.
    """
    heads = {path: role for path, role in heads_in(model, roles).items() if path not in roles}
    if not heads or not refused:
        return None
    found = coupled(model, calls, roles | heads, before.groups)
    belong = any(
        not heads.keys().isdisjoint(group) for group in found.groups if not refused.isdisjoint(group)
    )
    return (found, roles | heads) if belong else None


def _fixed(found: Coupling, roles: Mapping[str, Role]) -> tuple[bool, int, int]:
    """Return whether nothing was found, and the numbers of layers and tensors that are fixed."""
    layers = sum(roles[path].owner is None for path in found.fixed)
    return found.blind, layers, len(found.fixed) - layers


def _is_settled(found: Coupling, roles: Mapping[str, Role], numbers: Mapping[str, Role]) -> bool:
    """Whether no layer is fixed that need not be, nor a tensor whose module stores a number as large."""
    sizes = {(role.owner, role.makes) for role in numbers.values()}
    tensors = (roles[path] for path in found.fixed if roles[path].owner is not None)
    return _layers_are_settled(found, roles) and all((r.owner, r.makes) not in sizes for r in tensors)


def _layers_are_settled(found: Coupling, roles: Mapping[str, Role]) -> bool:
    fixed = {why for path, why in found.fixed.items() if roles[path].owner is None}
    return not found.blind and fixed <= {OUTPUT, SINGLE}
