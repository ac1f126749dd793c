"""A model with searchable parts, run and extracted by architecture."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from asng.errors import AsngError, InputError, SpaceError
from asng.nn.extraction.extract import extract
from asng.nn.mismatch import explain
from asng.nn.naming import bind_names, check_weights_unshared
from asng.nn.searchable import following
from asng.space import Architecture, Space, Value

__all__ = ["Supernet"]


class Supernet(nn.Module):
    """All architectures of a model at once, sharing their weights.

    It gathers the variables of the model's searchable modules and runs one architecture at a time.
    The model stays yours: it is not copied, and its weights are in `state_dict` under "model.".

    Args:
        model: Any module with at least one searchable module (`asng.nn.Choice`, ...) in it.

    Attributes:
        model: As given.
        space: The variables in the order of the modules. Modules whose variables have the same label
            share one variable; without a label the name is the module's path.

    Raises:
        InputError: `model` is no module.
        SpaceError: Nothing in it is searchable, a label stands for two different variables, or a searchable
            layer shares a weight with another module.

    Example:
        >>> import torch
        >>> from asng.nn import Choice
        >>> op = Choice({"linear": torch.nn.Linear(3, 3), "skip": torch.nn.Identity()}, label="op")
        >>> supernet = Supernet(torch.nn.Sequential(op, torch.nn.ReLU()))
        >>> supernet(-torch.ones(3), architecture={"op": "skip"})
        tensor([0., 0., 0.])
        >>> supernet.extract({"op": "skip"})
        Sequential(
          (0): Identity()
          (1): ReLU()
        )
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise InputError(f"model: expected a torch.nn.Module, got {model!r}.")
        variables = bind_names(model)
        check_weights_unshared(model)
        if not variables:
            raise SpaceError(
                f"model: expected at least one searchable module, got none in {type(model).__name__}. "
                "Put an asng.nn.Choice where the architecture is to decide, or a variable where a layer of "
                "asng.nn has a size."
            )
        self.model = model
        self.space = Space(variables)
        if self.space.deciding:
            raise SpaceError(
                "when: expected none in searchable modules, got conditions on "
                f"{', '.join(self.space.deciding)}. Leave them out: what a forward pass reads is noted."
            )
        self._active: frozenset[str] = frozenset()
        self._checked: Architecture | None = None

    @property
    def active(self) -> frozenset[str]:
        """Names of the variables that the last forward pass read; empty before the first."""
        return self._active

    def forward(self, *args: Any, architecture: Mapping[str, Value], **kwargs: Any) -> Any:
        """Run the model as one architecture.

        Args:
            *args: For the model.
            architecture: A value for every variable of the space.
            **kwargs: For the model.

        Raises:
            SpaceError: The architecture is none of the space.
            InputError: Widths of two layers do not fit under this architecture.
        """
        self._check(architecture)
        try:
            with following(architecture) as selection:
                output = self.model(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            if not isinstance(error, AsngError) and (
                reason := explain(self.model, architecture, args, kwargs)
            ):
                raise reason from error
            raise
        self._active = frozenset(selection.read)
        return output

    def extract(
        self, architecture: Mapping[str, Value], example: Any = None, *, fresh: bool = False
    ) -> nn.Module:
        """Return one architecture as a plain module that needs no `asng`.

        The child holds copies of the weights that the architecture uses, under the same paths where
        it can, and computes what the supernet computes. Modules of your own classes stay what they
        are, with their searchable children replaced.

        Args:
            architecture: A value for every variable of the space.
            example: An input, or a tuple of the inputs, for the model. It is run once, to leave out
                modules of yours that this architecture never runs. It is run in the mode, training or
                evaluation, that each module is in.
            fresh: Draw the weights of layers anew of which the architecture uses a part only, by torch's own
                rule: for a child that is to be trained alone, since the first weights of the whole layer
                were drawn for its greater width. They come from torch's generator.

        Raises:
            SpaceError: The architecture is none of the space.
            InputError: A searchable layer needs an example, or the child fails without the modules
                that the example did not run.
        """
        self._check(architecture)
        return extract(self.model, architecture, example, fresh=fresh)

    def _check(self, architecture: Mapping[str, Value]) -> None:
        # An Architecture is frozen: once checked, it stays right.
        if architecture is not self._checked or self._checked is None:
            self.space.check(architecture)
            self._checked = architecture if isinstance(architecture, Architecture) else None
