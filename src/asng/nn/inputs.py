"""The inputs of a call of a model, by position and by name."""

import inspect
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from asng.errors import InputError

__all__ = ["Inputs", "calls_of"]


class Inputs(tuple[Any, ...]):
    """What a model is called with: a tuple of the inputs by position, which also holds those by name.

    Args:
        args: By position.
        named: By name.
        training: The mode of the model in that call: training, evaluation, or None for the mode it is in.

    Raises:
        InputError: `args` is a single tensor, or `named` no mapping.

    Attributes:
        named: By name.
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
        """Return inputs as they are if they are such, else those by position."""
        return inputs if isinstance(inputs, Inputs) else cls(inputs)

    def call(self, function: Any) -> Any:
        """Return what a function gives for these inputs."""
        return function(*self, **self.named)

    def __repr__(self) -> str:
        """Return how it is made."""
        return f"Inputs({list(self)!r}, {dict(self.named)!r})"

    def __reduce__(self) -> Any:
        """Return how it is copied."""
        return _made, (tuple(self), dict(self.named), self.training)


def _made(args: tuple[Any, ...], named: dict[str, Any], training: bool | None) -> Inputs:
    return Inputs(args, named, training=training)


def calls_of(model: nn.Module, example: Any) -> list[Inputs]:
    """Return the calls that an example stands for.

    Args:
        model: The model that is called.
        example: `Inputs`, or a list of several, as they are. A tuple: inputs by position. A mapping whose
            keys the model takes as names of its inputs: inputs by name. Anything else: the one input.

    Example:
        >>> class Pair(nn.Module):
        ...     def forward(self, x, mask): ...
        >>> calls_of(Pair(), {"x": 1, "mask": 2})
        [Inputs([], {'x': 1, 'mask': 2})]
        >>> calls_of(Pair(), (1, 2)), calls_of(nn.ReLU(), 1), calls_of(nn.ReLU(), {"pixels": 1})
        ([Inputs([1, 2], {})], [Inputs([1], {})], [Inputs([{'pixels': 1}], {})])
    """
    if isinstance(example, Inputs):
        return [example]
    if isinstance(example, list) and example and all(isinstance(one, Inputs) for one in example):
        return list(example)
    if type(example) is tuple:  # a packed sequence and other named tuples are one input
        return [Inputs(example)]
    if isinstance(example, Mapping) and _are_names(model, example):
        return [Inputs((), {str(name): value for name, value in example.items()})]
    return [Inputs((example,))]


def _are_names(model: nn.Module, example: Mapping[Any, Any]) -> bool:
    """Whether a model can be called with a mapping's keys as names.

    Raises:
        InputError: It takes its inputs by name only, and others than these.
    """
    if not example or not all(isinstance(name, str) for name in example):
        return False
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # a function of C
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
