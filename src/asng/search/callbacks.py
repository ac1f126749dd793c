"""Callbacks of a search: loggers, gradient accumulation, gradient scaling, weight averaging."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from asng.errors import InputError

if TYPE_CHECKING:
    from asng.search.finalists import Finalist
    from asng.search.loop import Loop
    from asng.search.result import SearchResult

__all__ = ["Callback", "Callbacks"]


class Callback:
    """Base class of callbacks, which are told what a search does and may take part in its steps.

    Derive from it and override the methods that you need. With several processes, each has its own callbacks
    and calls them in the same way; `self.loop.comm.leads` is true in the one that should write files. An
    error that a method raises ends the search.

    Attributes:
        loop: The search, from `begin` on: `loop.trainer` has `supernet`, `parameters` and `optimizer`,
            `loop.scorer`, `loop.theta` and `loop.state` the rest.

    Example:
        >>> class Losses(Callback):
        ...     def __init__(self):
        ...         self.losses = []
        ...     def step(self, number, loss, objective):
        ...         self.losses.append(loss)
    """

    loop: "Loop"

    def begin(self, loop: "Loop") -> None:
        """The search begins or resumes from a checkpoint."""
        self.loop = loop

    # --- within a step of the weights, of the search and of finalists -----------------------------------

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the tensor to differentiate in place of the loss, such as a scaled loss."""
        return loss

    def updates(self) -> bool:
        """Return whether this step ends in an update; if not, its gradients stay and the next are added."""
        return True

    def gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """The gradients of an update are complete but not yet clipped: unscale or change them here."""

    def update(self, optimizer: torch.optim.Optimizer, *, finite: bool) -> bool:
        """Update the weights instead of `optimizer.step()` and return True, or leave it to the search: False.

        Args:
            optimizer: The optimiser of the weights.
            finite: Whether loss and gradients are finite; the search itself skips the update if not.
        """
        return False

    # --- between steps ----------------------------------------------------------------------------------

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """A step of the search was taken.

        Args:
            number: Number of steps so far.
            loss: Its training loss; NaN if the update was skipped.
            objective: Mean over the candidates of its step in theta; None if theta did not move.
        """

    def theta(self, number: int, architectures: Sequence[Any], losses: Sequence[float]) -> None:
        """Theta moved.

        Args:
            number: Number of steps before this one.
            architectures: The candidates.
            losses: The loss that the optimiser was told for each; smaller is better.
        """

    def checkpoint(self, number: int, folder: Path) -> None:
        """A checkpoint was written to `folder` after `number` steps."""

    def final(self, finalists: "Sequence[Finalist]") -> None:
        """These finalists were scored."""

    def end(self, result: "SearchResult") -> None:
        """The search is over."""

    def close(self) -> None:
        """The run is over, after `end` or an error: release resources. This call is the last."""

    # --- checkpoints ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: tensors, numbers, strings, and lists and dictionaries of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""


class Callbacks:
    """Several callbacks as one.

    Args:
        callbacks: In the order in which they are called.

    Raises:
        InputError: One of them is not a `Callback`.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        self.all = tuple(callbacks)
        for callback in self.all:
            if not isinstance(callback, Callback):
                raise InputError(
                    f"callbacks: expected objects of classes derived from asng.search.Callback, got "
                    f"{callback!r:.80}."
                )

    def tell(self, name: str, *args: Any) -> None:
        """Call the method of this name on each callback."""
        for callback in self.all:
            getattr(callback, name)(*args)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the tensor to differentiate, after each callback has had its turn."""
        for callback in self.all:
            loss = callback.scaled(loss)
        return loss

    def updates(self) -> bool:
        """Whether all callbacks want an update."""
        wanted = [callback.updates() for callback in self.all]  # ask each one: it may count the calls
        return all(wanted)

    def update(self, optimizer: torch.optim.Optimizer, *, finite: bool) -> bool:
        """Let the first callback that wants to do the update."""
        return any(callback.update(optimizer, finite=finite) for callback in self.all)

    @property
    def may_update(self) -> bool:
        """Whether one of them has an update of its own."""
        return any(type(callback).update is not Callback.update for callback in self.all)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states of all, for a checkpoint."""
        return [callback.state_dict() for callback in self.all]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Restore the states from a checkpoint.

        Raises:
            ValueError: The checkpoint has another number of callbacks.
        """
        if not isinstance(state, list) or len(state) != len(self.all):
            raise ValueError(f"it has {len(state)} callbacks, and this search has {len(self.all)}")
        for callback, content in zip(self.all, state, strict=True):
            callback.load_state_dict(content)
