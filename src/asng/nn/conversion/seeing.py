"""See and replace what layers of a running network read and make, and tensors of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor, nn

from asng.nn.conversion.recurrent import first_replaced
from asng.nn.conversion.roles import Role
from asng.nn.inputs import tensors_of

__all__ = ["Place", "seen"]

Place: TypeAlias = tuple[str, str]
"""A side of a layer, "read" or "made", and its path. A tensor that belongs to no layer is made."""


@contextmanager
def seen(
    model: nn.Module,
    roles: Mapping[str, Role],
    places: Iterable[Place],
    see: Callable[[Place, int, Tensor], Tensor],
) -> Iterator[None]:
    """Replace tensors at places by what a function of (place, dimension, tensor) returns.

    Args:
        model: A plain model.
        roles: The roles of its layers and tensors.
        places: Where to look.
        see: The function. Tensors of the model's own come with a dimension of one item before the others.
    """

    def before(place: Place, _: nn.Module, args: Any, kwargs: Any) -> Any:
        x = next(tensors_of([args, kwargs]))
        seen = see(place, roles[place[1]].dim(x), x)
        if args:  # an attention may be given the same tensor three times
            args = [seen if value is x else value for value in first_replaced(args, seen)]
            return tuple(args), kwargs
        return args, dict(zip(kwargs, first_replaced(list(kwargs.values()), seen), strict=True))

    def after(place: Place, _: nn.Module, __: Any, output: Any) -> Any:
        x = next(tensors_of([output]))
        x = see(place, roles[place[1]].dim(x), x)
        return (*first_replaced(output[:1], x), *output[1:]) if isinstance(output, tuple) else x

    with ExitStack() as stack:
        for place in sorted(places):
            role = roles[place[1]]
            layer = model.get_submodule(place[1] if role.owner is None else role.owner)
            if role.owner is not None:
                stack.enter_context(_replaced(layer, role, partial(see, place)))
            elif place[0] == "read":
                stack.callback(
                    layer.register_forward_pre_hook(partial(before, place), with_kwargs=True).remove
                )
            else:
                stack.callback(layer.register_forward_hook(partial(after, place)).remove)
        yield


@contextmanager
def _replaced(module: nn.Module, role: Role, see: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Replace a tensor of a module by what a function of (dimension, tensor) returns, as of a single item."""
    ((name, dims),) = role.tensors.items()
    (dim,) = dims
    before = dict(vars(module))
    vars(module).update(_parameters=dict(module._parameters), _buffers=dict(module._buffers))
    whole = getattr(module, name)
    try:
        for table in (module._parameters, module._buffers):
            table.pop(name, None)  # a parameter could not be replaced by a tensor with derivatives
        vars(module)[name] = see(dim + 1, whole.unsqueeze(0)).squeeze(0)
        yield
    finally:
        vars(module).clear()
        vars(module).update(before)
