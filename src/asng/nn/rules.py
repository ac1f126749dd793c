"""Checks at the creation of a supernet: refuse what it could not run or extract correctly."""

from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from asng.errors import InputError, SpaceError
from asng.nn.base import Searchable
from asng.nn.choices.choice import Choice
from asng.nn.choices.repeat import Repeat
from asng.nn.extraction.copying import CopyTrial, objects_read
from asng.nn.extraction.hooks import is_wrapped
from asng.nn.layers.sizes import variables_in
from asng.nn.layers.subclasses import definer, is_ours, overrides, plain_class
from asng.nn.layers.twin import Twin

__all__ = ["check_model", "check_twin", "has_own_forward", "settle_fused_paths"]

_WRAPPERS = "torch.nn.utils."
"""Package of torch whose hooks compute a weight from others: weight_norm, spectral_norm, prune."""


def check_model(model: nn.Module) -> None:
    """Raise if a model holds something that a supernet cannot run or a child cannot keep.

    Raises:
        SpaceError: A plain layer of torch was given a variable.
        InputError: A searchable layer has a forward, a hook or a weight that a child would lose, a module
            holds something that cannot be copied, or torch's plain attention has searchable parts.
    """
    trial = CopyTrial(model)
    for path, module in model.named_modules():
        _check_no_variable(path, module)
        trial.check(path, module)
        if type(module).__name__ == "Supernet" and is_ours(type(module)):
            raise InputError(
                f"model: expected a model yet to be searched, got a Supernet at {path or 'its top'!r}. Give "
                "what it was made of, supernet.model."
            )
        if isinstance(module, Searchable):
            if is_wrapped(module) and not isinstance(module, (Twin, Choice, Repeat)):
                raise InputError(
                    f"module {path!r} ({type(module).__name__}): expected no hook and the forward of its "
                    "class, which is traced to make a child, got another. Put what it adds into a "
                    "torch.nn.Module around it."
                )
            if isinstance(module, Twin):
                check_twin(path, module)
        elif isinstance(module, nn.MultiheadAttention) and any(
            isinstance(m, Searchable) for m in module.modules()
        ):
            raise InputError(
                f"module {path!r} (torch.nn.MultiheadAttention): expected plain parts, since it reads their "
                "weights without calling them, got searchable ones. Use asng.nn.MultiheadAttention."
            )


def settle_fused_paths(model: nn.Module, *, everywhere: bool = False) -> None:
    """Make torch's encoder layers call their parts if some of these are searchable.

    In evaluation without gradients, they hand their parts' weights to one fused function: all weights of a
    twin, whatever the architecture. A stack of them packs padded sequences for that function. The attributes
    that switch this off are torch's, and the child keeps them, so that it computes the same to the last bit.

    Args:
        model: Any model, with or without such layers.
        everywhere: Do so even if none of their parts is searchable yet.
    """
    for module in model.modules():
        if not isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerEncoder)) or isinstance(
            module, Twin
        ):
            continue
        if not everywhere and not any(isinstance(part, Searchable) for part in module.modules()):
            continue
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.enable_nested_tensor = module.use_nested_tensor = False


def check_twin(path: str, twin: Twin) -> None:
    """Raise if a twin may compute something other than its child, a plain layer of torch.

    Raises:
        InputError: A method was replaced on the class or on the instance, a subclass reads a searchable class
            by name, a weight is computed from others, or a part was exchanged or has hooks.
    """
    _check_overrides(path, twin)
    for inner, part in twin.named_modules():
        where = ".".join(name for name in (path, inner) if name)
        _check_weights(where, part)
        if part is twin:
            continue
        kind = twin.search_parts.get(inner)
        if kind is not None and type(part) is not kind:
            raise InputError(
                f"module {where!r}: expected torch's {kind.__name__} in {twin.described()}, which reads its "
                f"weights without calling it, got {type(part).__name__}. Build the block from layers of "
                "asng.nn instead."
            )
        if "forward" in vars(part) or part._forward_hooks or part._forward_pre_hooks:
            raise InputError(
                f"module {where!r}: expected a part of {twin.described()} as torch made it, got one with a "
                "hook or another forward, which the search would skip. Put it on the layer as a whole."
            )


def has_own_forward(kind: type[nn.Module]) -> bool:
    """Whether a subclass overrides `forward` but inherits an `extract` that does not know of it.

    Example:
        >>> class Twice(Searchable):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> has_own_forward(Twice), has_own_forward(Searchable)
        (True, False)
    """
    names: Mapping[str, Any] = next(
        (vars(base) for base in kind.__mro__ if "forward" in vars(base) or "extract" in vars(base)), {}
    )
    return "forward" in names and "extract" not in names


def _check_overrides(path: str, twin: Twin) -> None:
    kind: Any = type(twin)
    torchs = plain_class(kind)
    if is_ours(definer(kind, "extract")) and not kind.forward.__module__.startswith("asng."):
        raise InputError(
            f"module {path!r} ({kind.__name__}): expected a forward that the class was defined with, got one "
            "that it was given afterwards, which a child would lose. Define it in a subclass."
        )
    for name, value in overrides(kind).items():
        for word, named in objects_read(value):
            if isinstance(named, type) and issubclass(named, Searchable):
                raise InputError(
                    f"module {path!r} ({kind.__name__}), {name}: expected super() without arguments, which "
                    f"is that of a plain layer in a child, got {word} by name."
                )
    for name, value in vars(twin).items():
        if name != "forward" and isinstance(value, (FunctionType, MethodType)) and hasattr(torchs, name):
            raise InputError(
                f"module {path!r} ({kind.__name__}): expected the {name} of its class, got one that was "
                "replaced on the instance, which would read whole weights. Define it in a subclass."
            )


def _check_weights(where: str, part: nn.Module) -> None:
    hooks = part._forward_pre_hooks.values()
    wrapped = any(base.__module__.startswith(_WRAPPERS) for hook in hooks for base in type(hook).__mro__)
    if is_parametrized(part) or wrapped:
        raise InputError(
            f"module {where!r}: expected a searchable layer with weights of its own, since it uses parts of "
            "them, got one whose weights are computed from others (weight norm, spectral norm, pruning). "
            "Make it permanent before the Supernet is made "
            "(torch.nn.utils.parametrize.remove_parametrizations, remove_weight_norm, prune.remove), or "
            "leave the layer plain and search it by an asng.nn.Choice."
        )


def _check_no_variable(path: str, module: nn.Module) -> None:
    kind = type(module)
    if not kind.__module__.startswith("torch.nn.modules."):
        return
    for name, value in vars(module).items():
        if variables_in(value):
            raise SpaceError(
                f"module {path!r} (torch.nn.{kind.__name__}), {name}: expected a value, because a plain "
                f"layer reads no variable, got {value}. Use a layer of asng.nn where it reads one, or an "
                "asng.nn.Choice of layers."
            )
