"""Explain why a forward pass failed, if searched widths do not match."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.errors import InputError
from asng.nn.base import Searchable
from asng.nn.extraction.recording import is_script, left_alone
from asng.nn.inputs import tensors_of
from asng.nn.layers.subclasses import plain_class
from asng.nn.layers.twin import Twin
from asng.nn.selection import following
from asng.space import Value

__all__ = ["explain"]

_WIDTHS: dict[type[nn.Module], tuple[str, int]] = {
    nn.Linear: ("out_features", -1),
    nn.Bilinear: ("out_features", -1),
    nn.Conv1d: ("out_channels", -2),
    nn.Conv2d: ("out_channels", -3),
    nn.Conv3d: ("out_channels", -4),
    nn.ConvTranspose1d: ("out_channels", -2),
    nn.ConvTranspose2d: ("out_channels", -3),
    nn.ConvTranspose3d: ("out_channels", -4),
    nn.Embedding: ("embedding_dim", -1),
    nn.EmbeddingBag: ("embedding_dim", -1),
    nn.RNNBase: ("hidden_size", -1),
}
"""Layers that set the width of their output: the argument that sets it, and its dimension in the output.

Other layers pass a width on."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class _Source(NamedTuple):
    """The layer that a tensor has its width from.

    Attributes:
        path: Path of the layer.
        searched: Whether a variable decides the width.
        width: The width under this architecture.
        most: The largest width possible.
        dim: Dimension of the layer's output along which it lies, counted from the end.
        ndim: Number of dimensions of that output.
    """

    path: str
    searched: bool
    width: int
    most: int
    dim: int
    ndim: int

    def sizes(self, x: Tensor, width: int) -> Iterator[tuple[int, ...]]:
        """Yield the shapes that `x` may have with another width; several if its dimension is uncertain."""
        dims = range(1, x.ndim)
        if x.ndim == self.ndim and x.shape[self.dim] == self.width:
            dims = range(x.ndim + self.dim, x.ndim + self.dim + 1)
        for dim in dims:
            if x.shape[dim] % self.width == 0:
                shape = list(x.shape)
                shape[dim] = shape[dim] // self.width * width
                yield tuple(shape)


def explain(
    model: nn.Module, architecture: Mapping[str, Value], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> InputError | None:
    """Return an error that names the layers whose widths clash in a failed pass, or None.

    The pass runs a second time, and each tensor is followed from the layer that gave it its width. Widths are
    to blame if the operation that failed works on zeros of other widths. For other causes, such as too few
    items, a wrong type or too small an image, the answer is None.

    Args:
        model: The model of a supernet; it is left as it was.
        architecture: The architecture of the failed pass.
        args: Positional inputs.
        kwargs: Keyword inputs.
    """
    watch = _Widths(model)
    with left_alone(model), torch.no_grad(), following(architecture):
        for path, module in model.named_modules():
            watch.on(path, module)
        try:
            with watch:
                model(*args, **kwargs)
        except Exception:  # the error to explain
            watch.done = True
            return watch.explanation()
    return None


class _Widths(TorchFunctionMode):
    """Track which layer each tensor has its width from, and which function of torch fails.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.done = False
        self._sources: dict[int, _Source] = {}
        self._kept: list[Tensor] = []  # alive, so that no id is used again
        self._running: list[tuple[str, nn.Module, tuple[Any, ...], dict[str, Any]]] = []
        self._failed: tuple[Any, Any, Any] | None = None
        self._weights = {
            id(p): (path, module)
            for path, module in model.named_modules()
            for p in module.parameters(recurse=False)
        }

    def on(self, path: str, module: nn.Module) -> None:
        """Watch a module's calls."""

        def begins(module: nn.Module, args: Any, kwargs: Any) -> None:
            if not self.done:
                self._running.append((path, module, args, kwargs))

        def ends(module: nn.Module, args: Any, output: Any) -> None:
            if not self.done:
                while self._running.pop()[1] is not module:
                    pass  # a module whose error was caught
                self._give(path, module, output)

        if not is_script(module):  # it takes no hooks
            module.register_forward_pre_hook(begins, with_kwargs=True)
            module.register_forward_hook(ends)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = list(tensors_of((args, kwargs or {})))
        try:
            output = func(*args, **(kwargs or {}))
        except Exception:
            self._failed = func, args, kwargs or {}
            raise
        self._failed = None
        source = next((self._sources[id(x)] for x in given if id(x) in self._sources), None)
        if source is not None:
            self._note(output, source)
        return output

    def explanation(self) -> InputError | None:
        """Return the error if searched widths are to blame, else None."""
        layer = next(
            (call for call in self._running if _of_torch(call[1]) and not isinstance(call[1], _CONTAINERS)),
            None,
        )
        if layer is not None:
            return self._of_layer(*layer)
        if self._failed is None or (self._running and isinstance(self._running[-1][1], Searchable)):
            return None
        return self._of_function(*self._failed)

    def _of_layer(
        self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> InputError | None:
        """Return the error if a plain layer would work with the largest width of its input."""
        found = self._searched((args, kwargs))
        if not found or isinstance(module, Searchable):
            return None
        if not any(_works(module, *changed) for changed in _changes((args, kwargs), found, most=True)):
            return None
        x, source = found[0]
        kind = type(module).__name__
        advice = (
            f"Use asng.nn.{kind}, which adapts to the width of its input."
            if kind in _twins()
            else "asng.nn has no twin of it: restrict the width to values that it accepts, or put a layer of "
            "fixed width before it."
        )
        return InputError(
            f"module {path!r} (torch.nn.{kind}): expected an input of its own fixed width, got "
            f"{tuple(x.shape)} with the width of module {source.path!r}, which is searched. {advice}"
        )

    def _of_function(self, func: Any, args: Any, kwargs: Any) -> InputError | None:
        """Return the error if a function would work with equal widths, or with the largest one."""
        found, given = self._searched((args, kwargs)), (args, kwargs)
        name = getattr(func, "__name__", str(func)).strip("_")
        if not found:
            return None
        others = [(t, self._sources[id(t)]) for t in tensors_of(given) if id(t) in self._sources]
        differ = len({s.path for _, s in others}) > 1 and len({s.width for _, s in others}) > 1
        if differ and any(_works(func, *changed) for changed in _changes(given, others, most=False)):
            words = " and ".join(f"{tuple(t.shape)} with the width of module {s.path!r}" for t, s in others)
            return InputError(
                f"{name}: expected widths that fit, got {words}. Give the variables of both widths the same "
                "label, or a layer in between."
            )
        x, source = found[0]
        if source.width == source.most or not any(
            _works(func, *changed) for changed in _changes(given, found, most=True)
        ):
            return None
        words = f"{tuple(x.shape)} with the width of module {source.path!r}, which is searched"
        weight = next((t for t in tensors_of(given) if id(t) in self._weights), None)
        if weight is None:
            return InputError(
                f"{name}: expected sizes that fit every width, got {words}, and sizes that fit the largest "
                f"one, {source.most}, only. Take them from the tensor, such as x.shape[-1]."
            )
        path, owner = self._weights[id(weight)]
        whose = (
            "searched too, so that layers use a part of it" if isinstance(owner, Twin) else "of a fixed width"
        )
        return InputError(
            f"{name}: expected widths that fit, got {words}, and the whole weight of module {path!r} "
            f"({type(owner).__name__}), {tuple(weight.shape)}, {whose}. Cut it to the width of the other "
            "where you read it, such as weight[..., : x.shape[-1]]."
        )

    def _searched(self, value: Any) -> list[tuple[Tensor, _Source]]:
        found = [(x, self._sources[id(x)]) for x in tensors_of(value) if id(x) in self._sources]
        return sorted((pair for pair in found if pair[1].searched), key=lambda pair: -pair[0].ndim)

    def _give(self, path: str, module: nn.Module, output: Any) -> None:
        """Note that a layer gave its output its width."""
        kind = next((kind for kind in _WIDTHS if isinstance(module, kind)), None)
        if kind is None:
            return
        name, dim = _WIDTHS[kind]
        variables = module.search_variables if isinstance(module, Twin) else {}
        if isinstance(module, Twin) and name not in variables and getattr(module, "groups", 1) > 1:
            return  # depthwise: it passes the width on
        for x in tensors_of(output):
            if x.ndim >= -dim:
                most = getattr(module, name) * (1 + getattr(module, "bidirectional", False))
                self._note(
                    x, _Source(path, name in variables, x.shape[dim], max(most, x.shape[dim]), dim, x.ndim)
                )

    def _note(self, value: Any, source: _Source) -> None:
        for tensor in tensors_of(value):
            self._kept.append(tensor)
            self._sources[id(tensor)] = source


def _changes(
    value: tuple[Any, Any], found: list[tuple[Tensor, _Source]], *, most: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield the arguments of a call with other widths: each at its largest, or all equal."""
    same = max(source.most for _, source in found)
    options: list[dict[int, Tensor]] = [{}]
    for x, source in found:
        sizes = list(source.sizes(x, source.most if most else same))[:4]
        options = [o | {id(x): x.new_zeros(size)} for o in options for size in sizes][:16]
    for option in options:
        yield _replaced(value, option)


def _replaced(value: Any, tensors: Mapping[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return tensors.get(id(value), value)
    if isinstance(value, dict):
        return {key: _replaced(part, tensors) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(part, tensors) for part in value)
    return value


def _works(call: Any, args: Any, kwargs: Any) -> bool:
    try:
        call(*args, **kwargs)
    except Exception:  # any error means that it does not work
        return False
    return True


def _of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.modules.")


def _twins() -> set[str]:
    """Return the names of the layers that have a twin in asng."""
    kinds, left = set(), [Twin]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind is not Twin and kind.__module__.startswith("asng."):
            kinds.add(plain_class(kind).__name__)
    return kinds
