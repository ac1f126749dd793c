"""Why a forward pass failed, where searched widths do not fit each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.errors import InputError
from asng.nn.searchable import Searchable, following
from asng.space import Value

__all__ = ["explain"]

_WIDTH_GIVERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
)
"""Layers whose output is as wide as they say; the others pass on a width that they are given."""


def explain(
    model: nn.Module, architecture: Mapping[str, Value], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> InputError | None:
    """Return an error that names the layers whose widths clash in a pass that failed, or None.

    The pass is run a second time, following each tensor from the layer that gave it its width.

    Args:
        model: The model of a supernet.
        architecture: The one that failed.
        args: Inputs by position.
        kwargs: Inputs by name.
    """
    watch = _Widths()
    hooks = [
        module.register_forward_hook(lambda m, _, output, path=path: watch.gives(m, path, output))
        for path, module in model.named_modules()
        if isinstance(module, _WIDTH_GIVERS)
    ]
    hooks += [
        module.register_forward_pre_hook(lambda _, inputs, path=path: watch.enters(path, inputs))
        for path, module in model.named_modules()
        if not any(True for _ in module.children())
    ]
    try:
        with torch.no_grad(), following(architecture), watch:
            model(*args, **kwargs)
    except Exception:  # the one that is to be explained
        return watch.explanation()
    finally:
        for hook in hooks:
            hook.remove()
    return None


class _Widths(TorchFunctionMode):
    """Follows tensors: which layer each one has its width from, and where a function of torch fails."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[int, tuple[str, bool]] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the identity of one that is gone
        self._entered: tuple[str, list[Tensor]] = ("", [])
        self._failed: list[Tensor] = []
        self._function = ""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = list(_tensors((args, kwargs)))
        try:
            output = func(*args, **(kwargs or {}))
        except Exception:
            self._failed, self._function = given, getattr(func, "__name__", str(func)).strip("_")
            raise
        origin = next((self._origins[id(x)] for x in given if id(x) in self._origins), None)
        if origin is not None:
            self._note(output, *origin)
        return output

    def gives(self, module: nn.Module, path: str, output: Any) -> None:
        """Note that a layer has given a tensor its width."""
        self._note(output, path, isinstance(module, Searchable))

    def enters(self, path: str, inputs: Any) -> None:
        """Note which module without parts has begun to run, and on what."""
        self._entered = path, list(_tensors(inputs))

    def explanation(self) -> InputError | None:
        """Return the error, where widths that are searched took part in the failure."""
        sources = {
            id(x): (*self._origins[id(x)], tuple(x.shape)) for x in self._failed if id(x) in self._origins
        }
        if not any(searched for _, searched, _ in sources.values()):
            return None
        words = [f"{tuple(shape)} with the width of module {path!r}" for path, _, shape in sources.values()]
        path, inputs = self._entered
        if len({path for path, *_ in sources.values()}) > 1:
            return InputError(
                f"{self._function}: expected widths that fit, got {' and '.join(words)}. Give the variables "
                "of both widths the same label, or a layer in between."
            )
        if any(x is failed for x in inputs for failed in self._failed):
            return InputError(
                f"module {path!r}: expected an input of its own fixed width, got {words[0]}, which is "
                "searched. Use its searchable twin of asng.nn, which takes the width that comes."
            )
        return None

    def _note(self, value: Any, path: str, searched: bool) -> None:
        for tensor in _tensors(value):
            self._kept.append(tensor)
            self._origins[id(tensor)] = (path, searched)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
