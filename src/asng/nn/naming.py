"""Name the variables of a model, and check what its modules must not share or change."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from asng.errors import SpaceError
from asng.nn.base import Searchable
from asng.nn.layers.twin import Twin
from asng.space import Categorical, Integer, Real, SizeExpression, Variable

__all__ = ["bind_names", "check_weights_unshared", "versions"]


def bind_names(model: nn.Module) -> dict[str, Variable]:
    """Give every searchable module in `model` the names of its variables, and return name to variable.

    A variable's name is its label; without a label it is the module's path, followed by the slot
    if the module has several. Nothing is bound if anything is wrong.

    Raises:
        SpaceError: One name stands for two variables, a module already has other names, or its variables are
            not a mapping of slots to variables.
    """
    variables: dict[str, Variable] = {}
    owner: dict[str, str] = {}
    bound: list[tuple[str, Searchable, dict[str, str | SizeExpression]]] = []
    for path, module in _searchable_modules(model):
        slots = module.variables()
        _check_slots(path, module, slots)
        names = {slot: _name(path, slot, variable, len(slots)) for slot, variable in slots.items()}
        _check_unbound(path, module, names)
        for slot, variable in slots.items():
            for name, one in _named(names[slot], variable).items():
                _check_same(name, path, one, owner.get(name), variables.get(name))
                owner.setdefault(name, path)
                variables.setdefault(name, one)
        bound.append((path, module, names))
    for path, module, names in bound:
        module.names, module.path = names, path
    return variables


def _searchable_modules(model: nn.Module) -> Iterator[tuple[str, Searchable]]:
    # Without the level that torch.compile(module) inserts, so that names do not depend on it.
    named = ((path.split("."), m) for path, m in model.named_modules() if isinstance(m, Searchable))
    return ((".".join(part for part in parts if part != "_orig_mod"), m) for parts, m in named)


def _named(name: str | SizeExpression, variable: Variable | SizeExpression) -> dict[str, Variable]:
    """Return the variables of a slot, name to variable: one, or those of an expression."""
    return variable.variables() if isinstance(variable, SizeExpression) else {str(name): variable}


def _name(path: str, slot: str, variable: Variable | SizeExpression, n_slots: int) -> str | SizeExpression:
    if isinstance(variable, SizeExpression):
        return variable
    if variable.label is not None:
        return variable.label
    if not path:
        return slot
    return path if n_slots == 1 else f"{path}.{slot}"


def _check_slots(path: str, module: Searchable, slots: object) -> None:
    kinds = (Categorical, Integer, Real, SizeExpression)
    if not isinstance(slots, Mapping) or not all(isinstance(one, kinds) for one in slots.values()):
        raise SpaceError(
            f"module {path!r} ({type(module).__name__}), variables: expected a mapping of slots to "
            f"variables, got {slots!r:.200}. Return for instance {{'rate': asng.Real(0.0, 1.0)}}."
        )


def _check_unbound(path: str, module: Searchable, names: dict[str, str | SizeExpression]) -> None:
    if module.names and module.names != names:
        raise SpaceError(
            f"module {path!r}: expected the names that another Supernet bound, "
            f"{list(module.names.values())}, got {list(names.values())}. "
            "Give its variables labels, or build a new model."
        )


def _check_same(
    name: str, path: str, variable: Variable, other_path: str | None, other: Variable | None
) -> None:
    if other is None:
        return
    if variable != other:
        raise SpaceError(
            f"variable {name!r}: expected one variable for one name, got {other} in module "
            f"{other_path!r} and {variable} in module {path!r}. Give them different labels."
        )
    if variable.label is None or other.label is None:
        raise SpaceError(
            f"variable {name!r}: expected modules {other_path!r} and {path!r} both to share it by label, "
            "got a label that equals the path of the other module. Rename the label."
        )


def check_weights_unshared(model: nn.Module) -> None:
    """Raise if a twin shares a weight with another module.

    Both would cut their own part out of it, and a child, whose parts are copies, could not keep them tied.
    Sharing is allowed if the parts are known to be the same, as in a converted model.

    Raises:
        SpaceError: A weight is shared.
    """
    owners: dict[int, str] = {}
    twins = [twin for twin in model.modules() if isinstance(twin, Twin) and not twin.search_tied]
    cut = {id(p) for twin in twins for p in twin.parameters()}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in cut:
                continue
            here = f"{path}.{name}" if path else name
            other = owners.setdefault(id(parameter), here)
            if other != here:
                raise SpaceError(
                    f"{here}: expected a weight of this layer alone, got the one of {other}. Searchable "
                    "layers cannot tie their weights: call one layer twice, or give each a weight."
                )


def versions(inputs: Iterable[Any]) -> list[int]:
    """Return how often each tensor among the inputs has been changed in place; 0 if torch does not count.

    Example:
        >>> import torch
        >>> x = torch.ones(2)
        >>> before = versions([x, "no tensor"])
        >>> _ = x.add_(1)
        >>> before, versions([x, "no tensor"])
        ([0], [1])
    """
    return [0 if x.is_inference() else x._version for x in inputs if isinstance(x, Tensor)]
