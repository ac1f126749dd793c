"""The base class of searchable modules, and the interface that extracts them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeVar

from torch import nn

from asng.errors import InputError
from asng.nn.selection import current_selection
from asng.space import SizeExpression, Value, Variable

__all__ = ["Call", "Extraction", "Searchable"]


_T = TypeVar("_T")

Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and keyword arguments of a call."""


class Searchable(nn.Module):
    """A module with a part that an architecture decides.

    It declares its variables, one per *slot*, and reads their values while a supernet runs it. It never
    samples. To write one, define `variables`, and read them with `value` in `forward`. Define `extract`
    too, unless `torch.fx` can trace `forward` once the architecture is fixed.

    Attributes:
        names: Slot to the name of its variable in the supernet's space, or to the expression that computes
            its value from several variables. Set by the `Supernet`.
        path: Path of the module in the supernet's model, "" for the model itself; None before a supernet
            has bound it.

    Example:
        >>> import torch
        >>> from asng.space import Real
        >>> from asng.nn import Supernet
        >>> class Scale(Searchable):
        ...     def variables(self):
        ...         return {"factor": Real(0.0, 2.0, label="factor")}
        ...     def forward(self, x):
        ...         return x * self.value("factor")
        >>> Supernet(Scale())(torch.ones(2), architecture={"factor": 0.5})
        tensor([0.5000, 0.5000])
    """

    # Class attributes, because twins of torch's layers are initialised by torch's __init__.
    names: Mapping[str, str | SizeExpression] = MappingProxyType({})
    path: str | None = None

    def variables(self) -> Mapping[str, Variable | SizeExpression]:
        """Return the variables by slot. A variable's label, if it has one, is its name.

        Raises:
            NotImplementedError: The class does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__}.variables: expected in every searchable module.")

    def value(self, slot: str, *, note: bool = True) -> Value:
        """Return the value of a slot under the current architecture.

        Args:
            slot: One of `variables`.
            note: Record that the pass read the variable, so that it learns from the pass. Pass False if
                the value cannot change the output, such as a dropout rate in evaluation.

        Raises:
            InputError: No supernet is running, or the running one has not found this module.
        """
        selection = current_selection()
        if selection is None:
            raise InputError(
                f"{self._slot_described(slot)} has no architecture to follow: call it through "
                "asng.nn.Supernet(model)(x, architecture=a), or inside `with supernet.following(a):`."
            )
        try:
            name = self.names[slot]
            value = selection.values[name]  # type: ignore[index]
        except KeyError:
            size = self.names.get(slot)
            if isinstance(size, SizeExpression) and selection.values.keys() >= size.variables().keys():
                if note:
                    selection.read.update(size.variables())
                return size.value(selection.values)
            raise InputError(
                f"{self._slot_described(slot)} is unknown to the supernet that runs it: register the module "
                "as a submodule (an attribute or in a torch.nn.ModuleList, not in a plain list) before the "
                "Supernet is made."
            ) from None
        if note:
            selection.read.add(name)  # type: ignore[arg-type]
        return value

    def extract(self, extraction: "Extraction") -> nn.Module:
        """Return the plain module that computes the same under the architecture of `extraction`.

        It is called while that architecture is followed, so `value` works. The plain module must take the
        same inputs as `forward`. Get its children from `extraction.child(module)`, and copies of weights
        from `extraction.copy(tensor)`. By default, the forward pass is traced.
        """
        return extraction.trace(self)

    def described(self) -> str:
        """Return how messages name this module: with its path in the model if a supernet has bound it."""
        kind = f"asng.nn.{type(self).__name__}"
        return kind if self.path is None else f"module {self.path!r} ({kind})"

    def _slot_described(self, slot: str) -> str:
        name = self.names.get(slot)
        return f"asng.nn.{type(self).__name__}" + (f" {name!r}" if name is not None else f", slot {slot!r},")


class Extraction(Protocol):
    """The interface with which a searchable module makes its plain form.

    Attributes:
        fresh: Whether to reinitialise layers of which only a part is used.
        has_calls: Whether an example was given.
    """

    fresh: bool
    has_calls: bool

    def child(self, module: nn.Module) -> nn.Module:
        """Return the plain form of a module of the model; repeated calls return the same object."""

    def copy(self, value: _T) -> _T:
        """Return an independent copy of a weight or an attribute."""

    def later(self, work: Callable[[], None]) -> None:
        """Schedule work on a child for when all modules that it consists of are complete."""

    def calls(self, module: nn.Module) -> list[Call]:
        """Return the positional and keyword arguments of every call of `module` in a run of the example.

        Layers that slice their weights to the width of their input learn that width here.

        Raises:
            InputError: No example was given.
        """

    def trace(self, module: nn.Module) -> nn.Module:
        """Return `module`, of a class of `asng`, with its control flow on the architecture resolved."""
