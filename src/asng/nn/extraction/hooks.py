"""Carry hooks and replaced forwards of a searchable module over to its child."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from asng.errors import InputError
from asng.nn.base import Call
from asng.nn.extraction.recording import left_alone
from asng.nn.inputs import tensors_of

__all__ = ["carry_hooks", "check_alone", "check_same", "is_wrapped"]


def is_wrapped(module: nn.Module) -> bool:
    """Whether a module has hooks, or a forward replaced on the instance."""
    return _has_hooks(module) or "forward" in vars(module)


def _has_hooks(module: nn.Module) -> bool:
    before, backward = module._forward_pre_hooks, module._backward_pre_hooks
    return any((before, module._forward_hooks, backward, module._backward_hooks))


def carry_hooks(module: nn.Module, child: nn.Module, *, copied: Callable[[Any], Any]) -> None:
    """Copy the hooks of a searchable module to its child, around those that the child has.

    Args:
        module: The searchable module.
        child: The child of the module; for a choice, the plain form of a candidate.
        copied: Returns a copy of a hook.
    """
    for number, hook in reversed(list(module._forward_pre_hooks.items())):  # each before those already there
        named = number in module._forward_pre_hooks_with_kwargs
        child.register_forward_pre_hook(copied(hook), prepend=True, with_kwargs=named)
    for number, hook in module._forward_hooks.items():
        named, always = (
            number in module._forward_hooks_with_kwargs,
            number in module._forward_hooks_always_called,
        )
        child.register_forward_hook(copied(hook), with_kwargs=named, always_call=always)
    for hook in module._backward_pre_hooks.values():
        child.register_full_backward_pre_hook(copied(hook))
    for hook in module._backward_hooks.values():
        if module._is_full_backward_hook:
            child.register_full_backward_hook(copied(hook))
        else:
            child.register_backward_hook(copied(hook))


def check_alone(module: nn.Module, child: nn.Module, *, model: nn.Module, path: str) -> None:
    """Raise if the hooks or the replaced forward of a module cannot be put on its child alone.

    Raises:
        InputError: The child is used in another place too, has hooks that would run around the replaced
            forward, or is a `GraphModule`, whose copies lose hooks.
    """
    chosen = getattr(module, "chosen", None)
    candidate = chosen() if chosen is not None else None
    several = isinstance(candidate, nn.Module) and _places(model, candidate) > 1
    within = "forward" in vars(module) and _has_hooks(child)
    if several or within or isinstance(child, fx.GraphModule):
        why = "a traced one, whose copies lose them"
        if several:
            why = "a candidate that is used in several places"
        elif within:
            why = "a candidate with hooks of its own, which would run around the replaced forward"
        raise InputError(
            f"module {path!r} ({type(module).__name__}): expected hooks, or a forward that was replaced, on "
            f"a module whose child can have them, got {why}. Put them on a torch.nn.Module around it."
        )


@torch.no_grad()
def check_same(
    path: str, model: nn.Module, module: nn.Module, child: nn.Module, calls: Sequence[Call]
) -> None:
    """Raise if a child computes something other than its module, in evaluation, on the recorded inputs.

    If a hook or a replaced forward reads an attribute, such as the number of features, it sees that of the
    largest layer in the supernet, but that of the plain layer in the child.

    Raises:
        InputError: The outputs differ.
    """
    for args, kwargs in calls:
        with left_alone(model):
            model.eval()
            expected = module(*args, **kwargs)
        with left_alone(child):
            child.eval()
            got = child(*args, **kwargs)
        pairs = list(zip(tensors_of(expected), tensors_of(got), strict=True))
        if not all(torch.equal(one, other) for one, other in pairs):
            raise InputError(
                f"module {path!r} ({type(module).__name__}): expected a hook, or a replaced forward, that "
                "does the same to the layer of the supernet and to the plain one of a child, got another "
                "output. Let it read the sizes of its tensors, not those of the layer."
            )


def _places(model: nn.Module, module: nn.Module) -> int:
    return sum(part is module for owner in model.modules() for part in owner._modules.values())
