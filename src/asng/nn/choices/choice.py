"""A choice among modules."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from asng.errors import InputError, SpaceError
from asng.nn.base import Extraction, Searchable
from asng.nn.naming import versions
from asng.space import Categorical, Variable

__all__ = ["Choice"]


class Choice(Searchable):
    """Run one of several candidate modules, the one that the architecture names.

    The others cost nothing in that pass: they are not called, and get no gradient.

    Args:
        candidates: Name to module, or a sequence of modules, which are then named 0, 1, ... Use
            `torch.nn.Identity()` for "do nothing".
        label: Name of the variable; choices with the same label choose alike. Default: the path of
            this module in the model.

    Raises:
        SpaceError: There is no candidate.
        InputError: A candidate is not a module, or its name cannot name a submodule.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> op = Choice({"twice": torch.nn.Linear(4, 2), "skip": torch.nn.Identity()}, label="op")
        >>> Supernet(op)(torch.ones(1, 4), architecture={"op": "skip"})
        tensor([[1., 1., 1., 1.]])
    """

    def __init__(
        self,
        candidates: Mapping[str, nn.Module] | nn.ModuleDict | Iterable[nn.Module],
        label: str | None = None,
    ) -> None:
        super().__init__()
        named: dict[Any, nn.Module]
        if isinstance(candidates, (Mapping, nn.ModuleDict)):
            _check_names(candidates)
            named = dict(candidates.items())
        else:
            named = dict(enumerate(candidates))
        if not named:
            raise SpaceError("candidates: expected at least one module, got none.")
        for name, module in named.items():
            _check_module(name, module)
        self.variable = Categorical(named, label=label)
        self.candidates = nn.ModuleDict({str(name): module for name, module in named.items()})
        # Keyed by value, not by text, because 1.0 and a NumPy 1 are the choice 1.
        self._keys = {name: str(name) for name in named}

    def variables(self) -> dict[str, Variable]:
        """Return the single variable, slot "choice"."""
        return {"choice": self.variable}

    def chosen(self) -> nn.Module:
        """Return the candidate that the current architecture names.

        Raises:
            InputError: No supernet is running.
        """
        # Bypasses two attributes, which torch would look up in several tables.
        candidates: Any = self._modules["candidates"]
        return candidates._modules[self._keys[self.value("choice")]]  # type: ignore[no-any-return]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the chosen candidate.

        Raises:
            InputError: The candidate changes its input in place.
        """
        inputs = (*args, *kwargs.values()) if kwargs else args
        before = versions(inputs)
        output = self.chosen()(*args, **kwargs)
        if versions(inputs) != before:
            raise InputError(
                f"{self.described()}, candidate {self.value('choice')!r}: expected its input to stay as it "
                "is, because other modules may read it, got one that was changed in place. Give "
                "inplace=False, or begin with an operation that makes a new tensor."
            )
        return output

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain form of the chosen candidate."""
        return extraction.child(self.chosen())


def _check_names(names: Iterable[object]) -> None:
    # The limits of torch.nn.Module.add_module, checked before any module is added.
    empty = nn.ModuleDict()
    for name in names:
        if not isinstance(name, str) or not name or "." in name or hasattr(empty, name):
            raise InputError(
                f"candidates: expected names that can name a submodule, got {name!r}. "
                "Choose one that is not empty, has no dot and is no attribute of torch.nn.ModuleDict."
            )


def _check_module(name: object, module: object) -> None:
    if not isinstance(module, nn.Module):
        hint = " Use torch.nn.Identity() for no operation." if module is None else ""
        raise InputError(f"candidates[{name!r}]: expected a torch.nn.Module, got {module!r}.{hint}")
