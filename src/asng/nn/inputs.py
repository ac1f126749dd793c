"""The positional and keyword inputs of a call of a model."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from asng.errors import InputError

__all__ = ["Inputs", "calls_of", "moved", "tensors_of"]


class Inputs(tuple[Any, ...]):
    """The inputs of one call: a tuple of the positional inputs, which also holds the keyword inputs.

    Args:
        args: Positional inputs.
        named: Keyword inputs, name to value.
        training: Mode of the model in that call: True for training, False for evaluation, None for the mode
            that it is in.

    Raises:
        InputError: `args` is a single tensor, or `named` is not a mapping.

    Attributes:
        named: Keyword inputs.
        training: As given.

    Example:
        >>> inputs = Inputs([3], {"base": 2})
        >>> inputs.call(lambda x, base: x * base), len(inputs), dict(inputs.named)
        (6, 1, {'base': 2})
    """

    named: Mapping[str, Any]
    training: bool | None

    def __new__(
        cls,
        args: Iterable[Any] = (),
        named: Mapping[str, Any] = MappingProxyType({}),
        *,
        training: bool | None = None,
    ) -> "Inputs":
        """Make the tuple."""
        if isinstance(args, Tensor) or not isinstance(named, Mapping):
            got = args if isinstance(args, Tensor) else named
            raise InputError(
                "Inputs: expected the inputs by position in a tuple, and those by name in a mapping, got "
                f"{type(got).__name__}. Write asng.nn.Inputs((x, mask)), or asng.nn.Inputs((), {{'x': x}})."
            )
        made = super().__new__(cls, args)
        made.named, made.training = dict(named), training
        return made

    @classmethod
    def of(cls, inputs: Iterable[Any]) -> "Inputs":
        """Return `inputs` unchanged if they are `Inputs`, else take them as positional inputs."""
        return inputs if isinstance(inputs, Inputs) else cls(inputs)

    def call(self, function: Any) -> Any:
        """Call a function with these inputs, and return its result."""
        return function(*self, **self.named)

    def __repr__(self) -> str:
        """Return the inputs as a call that makes them, without the mode."""
        return f"Inputs({list(self)!r}, {dict(self.named)!r})"

    def __reduce__(self) -> Any:
        """Return what `copy` and `pickle` need to make it again."""
        return _made, (tuple(self), dict(self.named), self.training)


def _made(args: tuple[Any, ...], named: dict[str, Any], training: bool | None) -> Inputs:
    return Inputs(args, named, training=training)


def calls_of(model: nn.Module, example: Any) -> list[Inputs]:
    """Return the calls that an example stands for, with their tensors where the model is.

    Args:
        model: The model that is called.
        example: `Inputs`, or a list of several, each stand for a call. A tuple holds positional inputs. A
            mapping holds keyword inputs if the model accepts its keys. Anything else is the single input.
            A call whose tensors are all on the CPU is moved to the device of the model's first parameter.

    Example:
        >>> class Pair(nn.Module):
        ...     def forward(self, x, mask): ...
        >>> calls_of(Pair(), {"x": 1, "mask": 2})
        [Inputs([], {'x': 1, 'mask': 2})]
        >>> calls_of(Pair(), (1, 2)), calls_of(nn.ReLU(), 1), calls_of(nn.ReLU(), {"pixels": 1})
        ([Inputs([1, 2], {})], [Inputs([1], {})], [Inputs([{'pixels': 1}], {})])
    """
    calls = _calls_of(model, example)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if device.type == "cpu":
        return calls
    # A user who puts one tensor elsewhere has chosen where each of them is.
    return [
        moved(call, device) if all(x.is_cpu for x in tensors_of([call, call.named])) else call
        for call in calls
    ]


def _calls_of(model: nn.Module, example: Any) -> list[Inputs]:
    if isinstance(example, Inputs):
        return [example]
    if isinstance(example, list) and example and all(isinstance(one, Inputs) for one in example):
        return list(example)
    if type(example) is tuple:  # a packed sequence and other named tuples are one input
        return [Inputs(example)]
    if isinstance(example, Mapping) and _are_names(model, example):
        return [Inputs((), {str(name): value for name, value in example.items()})]
    return [Inputs((example,))]


def moved(value: Any, device: torch.device) -> Any:
    """Return inputs, or a part of them, with all tensors on a device.

    Example:
        >>> moved(Inputs((torch.ones(2), "fast")), torch.device("meta"))
        Inputs([tensor(..., device='meta', size=(2,)), 'fast'], {})
    """
    if callable(getattr(value, "to", None)):
        return value.to(device)
    if isinstance(value, Inputs):
        return Inputs(moved(tuple(value), device), moved(dict(value.named), device), training=value.training)
    if isinstance(value, Mapping):
        return {key: moved(part, device) for key, part in value.items()}
    return type(value)(moved(part, device) for part in value) if type(value) in (list, tuple) else value


def _are_names(model: nn.Module, example: Mapping[Any, Any]) -> bool:
    """Whether a model accepts the keys of a mapping as keyword arguments.

    Raises:
        InputError: It accepts the mapping neither as keyword arguments nor as its single input.
    """
    if not example or not all(isinstance(name, str) for name in example):
        return False
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # a C function
        return False
    try:
        signature.bind(**example)
    except TypeError as error:
        try:
            signature.bind(example)
        except TypeError:
            raise InputError(
                f"example: expected inputs by the names of {type(model).__name__}.forward{signature}, got "
                f"{sorted(example)}: {error}."
            ) from None
        return False
    return True


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, in lists, tuples and mappings at any depth."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_of(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_of(part)
