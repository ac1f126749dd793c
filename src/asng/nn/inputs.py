"""The positional and keyword inputs of a call of a model."""

import inspect
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from asng.errors import InputError

__all__ = ["Inputs", "calls_of"]


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
    """Return the calls that an example stands for.

    Args:
        model: The model that is called.
        example: `Inputs`, or a list of several, are taken as they are. A tuple holds positional inputs. A
            mapping holds keyword inputs if the model accepts its keys. Anything else is the single input.

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
