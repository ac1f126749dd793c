"""What users hook into a search: loggers, accumulated gradients, a scaler, averages of the weights."""

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
    """Is told what a search does, and may take part in its steps. Derive from it, and give what you need.

    In several processes each has callbacks of its own, and calls them alike; `self.loop.comm.leads` says
    which of them is to write files. An error that a method raises ends the search.

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
        """The search begins, or goes on from a checkpoint."""
        self.loop = loop

    # --- within a step of the weights, of the search and of finalists -----------------------------------

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Return what is differentiated in place of a loss."""
        return loss

    def updates(self) -> bool:
        """Return whether this step ends in an update; else its gradients stay, and the next are added."""
        return True

    def gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """The gradients of an update are there, before they are clipped: unscale them, or change them."""

    def update(self, optimizer: torch.optim.Optimizer, *, finite: bool) -> bool:
        """Update the weights in place of `optimizer.step()`, and return True; False leaves it to the search.

        Args:
            optimizer: Of the weights.
            finite: Whether loss and gradients are; the search itself leaves out an update if not.
        """
        return False

    # --- between steps ----------------------------------------------------------------------------------

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """A step of the search was taken.

        Args:
            number: How many there are up to now.
            loss: Of its training; NaN if the update was left out.
            objective: Mean of the candidates of its step in theta; None if theta did not move.
        """

    def theta(self, number: int, architectures: Sequence[Any], losses: Sequence[float]) -> None:
        """Theta moved.

        Args:
            number: How many steps were taken before this one.
            architectures: The candidates.
            losses: What the optimiser was told of each: less is better.
        """

    def checkpoint(self, number: int, folder: Path) -> None:
        """A checkpoint was written after so many steps."""

    def final(self, finalists: "Sequence[Finalist]") -> None:
        """Finalists were scored, with what is known of them."""

    def end(self, result: "SearchResult") -> None:
        """The search is over."""

    def close(self) -> None:
        """The run is over, after `end` or by an error: let go of what was taken. This comes last."""

    # --- checkpoints ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: tensors, numbers, strings, lists and dictionaries of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was taken."""


class Callbacks:
    """Several callbacks as one.

    Args:
        callbacks: In the order in which they are called.

    Raises:
        InputError: One is none.
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
        """Call a method of each."""
        for callback in self.all:
            getattr(callback, name)(*args)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Let each change what is differentiated."""
        for callback in self.all:
            loss = callback.scaled(loss)
        return loss

    def updates(self) -> bool:
        """Whether all want an update."""
        wanted = [callback.updates() for callback in self.all]  # each is asked, and may count
        return all(wanted)

    def update(self, optimizer: torch.optim.Optimizer, *, finite: bool) -> bool:
        """Let the first update that wants to."""
        return any(callback.update(optimizer, finite=finite) for callback in self.all)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states of all, for a checkpoint."""
        return [callback.state_dict() for callback in self.all]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: It is of another number of callbacks.
        """
        if not isinstance(state, list) or len(state) != len(self.all):
            raise ValueError(f"it has {len(state)} callbacks, and here are {len(self.all)}")
        for callback, content in zip(self.all, state, strict=True):
            callback.load_state_dict(content)
