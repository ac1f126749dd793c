"""Check that a child shares nothing with the supernet that it comes from."""

from torch import nn

from asng.errors import InputError
from asng.nn.extraction.copying import reaches
from asng.nn.extraction.sparing import storage_of
from asng.nn.inputs import tensors_of

__all__ = ["check_independent"]


def check_independent(child: nn.Module, model: nn.Module) -> None:
    """Raise if a child holds a tensor or a module of the supernet's model.

    Training one would then silently change the other. Causes are a class that defines how it is copied, and a
    function that reads a module of the model.

    Raises:
        InputError: It does; the message names the module and the attribute.
    """
    owned = {id(module) for module in model.modules()}
    owned |= {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    storages = {storage_of(tensor) for tensor in (*model.parameters(), *model.buffers())} - {None}
    for path, module in child.named_modules():
        for name, value in _held(module):
            held = reaches(value, owned)
            if held is None:
                held = next((t for t in tensors_of(value) if storage_of(t) in storages), None)
            if held is not None:
                raise InputError(
                    f"module {path!r}, attribute {name!r}: expected a copy in the child, got a "
                    f"{type(held).__name__} of the supernet itself. Let the class be copied by "
                    "copy.deepcopy, and its functions read modules as attributes of theirs."
                )


def _held(module: nn.Module) -> list[tuple[str, object]]:
    attributes = vars(module)
    found: list[tuple[str, object]] = [*attributes["_parameters"].items(), *attributes["_buffers"].items()]
    for name, value in attributes.items():
        if name in ("_parameters", "_buffers", "_modules") or isinstance(
            value, (int, float, str, type(None))
        ):
            continue
        if not isinstance(value, (dict, list, set)) or value:  # most tables of hooks are empty
            found.append((name, value))
    return found
