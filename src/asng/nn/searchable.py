"""What all searchable modules have in common."""

from typing import TYPE_CHECKING

from torch import nn

from asng.errors import InputError
from asng.nn.selection import current_selection
from asng.space import Value, Variable

if TYPE_CHECKING:
    from asng.nn.extract import Extraction

__all__ = ["Searchable"]


class Searchable(nn.Module):
    """A module some part of which an architecture decides.

    It says which variables it has, one a *slot*, and reads their values while a supernet runs it. It
    never samples. To write one, give `variables`, read with `value` in `forward`, and give `extract`
    unless `forward` can be traced by `torch.fx` once the architecture is fixed.

    Attributes:
        names: Slot to the name of its variable in the supernet's space. Bound by the `Supernet`.

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

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def variables(self) -> dict[str, Variable]:
        """Return the variables, slot to variable. A variable's label, if it has one, is its name.

        Raises:
            NotImplementedError: The class does not say.
        """
        raise NotImplementedError(f"{type(self).__name__}.variables: expected in every searchable module.")

    def value(self, slot: str) -> Value:
        """Return what the current architecture holds for a slot.

        Raises:
            InputError: No supernet is running, or the running one has not found this module.
        """
        selection = current_selection()
        name = self.names.get(slot)
        if selection is None:
            raise InputError(
                f"{self._described(slot)} has no architecture to follow: call it through "
                "asng.nn.Supernet(model)(x, architecture=a)."
            )
        if name is None or name not in selection.values:
            raise InputError(
                f"{self._described(slot)} is unknown to the supernet that runs it: register the module as "
                "a submodule (an attribute or in a torch.nn.ModuleList, not in a plain list) before the "
                "Supernet is made."
            )
        return selection.value(name)

    def extract(self, extraction: "Extraction") -> nn.Module:
        """Return the plain module that computes the same under the architecture of `extraction`.

        It is called while that architecture is followed, so `value` can be used, and must take the
        same inputs as `forward`. Children are had by `extraction.child(module)`, copies of weights by
        `extraction.copy(tensor)`. By default the forward pass is traced.
        """
        return extraction.trace(self)

    def _described(self, slot: str) -> str:
        name = self.names.get(slot)
        return f"asng.nn.{type(self).__name__}" + (f" {name!r}" if name is not None else f", slot {slot!r},")
