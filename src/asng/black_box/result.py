"""What a search of a black box found."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from asng.black_box.measured import excess, rank_value
from asng.black_box.reporting import Curve
from asng.checks import one_of
from asng.distributions import ThetaView
from asng.errors import InputError, RunError
from asng.optim.importance import Importance, sample_importance
from asng.shown import axes_or_new, dataframe, html_table
from asng.space import Architecture, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MinimizeError", "MinimizeResult", "Evaluation", "best_of", "rank_key", "Callback", "Progress"]


_COLUMNS = ("loss", "generation", "cached", "seconds", "error")
"""Of an evaluation, beside the values of its variables."""


@dataclass(frozen=True)
class Evaluation:
    """An architecture and its loss.

    Attributes:
        architecture: What was evaluated.
        loss: What f returned, of several the sum; NaN if it failed.
        generation: In which it was drawn, from 0 on; -1 for what was known, or given to start with.
        cached: Whether the loss was remembered or known, and f not called.
        active: Names of the variables that f read; None for all of them.
        error: What went wrong, if f failed.
        seconds: How long the call took; not compared.
        constraints: What f returned beside the loss, at most 0 if kept; None without any.
        losses: Of several objectives, by name; None without any.
        curve: Steps and values that the call reported on its way.
        stopped: Whether it was ended early; the loss then is what it had reported last.
    """

    architecture: Architecture
    loss: float
    generation: int
    cached: bool = False
    active: frozenset[str] | None = None
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)
    constraints: Mapping[str, float] | None = None
    losses: Mapping[str, float] | None = None
    curve: Curve = ()
    stopped: bool = False

    @property
    def feasible(self) -> bool:
        """Whether all constraints are kept."""
        return excess((self.constraints or {}).values()) == 0.0

    @property
    def told(self) -> float:
        """What the optimiser was told: the loss, or more than any where a constraint is broken."""
        return rank_value(self.loss, self.constraints)


@dataclass(frozen=True)
class Progress:
    """Where a search stands; nothing in it can change the search.

    Attributes:
        generation: How many were told.
        evaluated: How many calls of f were paid for.
        evaluations: Those of this generation, remembered ones too.
        best: The best so far.
        most_likely: What theta stands for now.
        theta: Parameters by name.
        entropy: How undecided theta is, from 1 to 0.
        seconds: Since the start of the search.
    """

    generation: int
    evaluated: int
    evaluations: tuple[Evaluation, ...]
    best: Evaluation
    most_likely: Architecture
    theta: ThetaView
    entropy: float
    seconds: float


Callback: TypeAlias = Callable[[Progress], bool | None]
"""Is told of every generation; where it returns True, the search ends."""


def rank_key(one: Evaluation) -> tuple[bool, float]:
    """Return what an evaluation ranks by: calls that were ended early behind others, NaN last."""
    return one.stopped, one.told if math.isfinite(one.told) else math.inf


def best_of(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Return the best one, of equal ones the first."""
    return min(evaluations, key=rank_key)


@dataclass(frozen=True, repr=False)
class MinimizeResult:
    """The best architecture, and how it was found.

    Attributes:
        architecture: The best that was evaluated, feasible ones first, of equal ones the first. Of a noisy
            function this is in part luck: there `most_likely` is the better choice.
        loss: Its loss; NaN if no call returned a finite one.
        most_likely: The mode of theta at the end, evaluated or not.
        history: All evaluations in their order, remembered ones too.
        evaluated: How many calls of f were paid for, at most the budget.
        generations: How many times the optimiser was told.
        reason: Why the search ended: "budget", "callback", or by the stop rule "target", "patience",
            "entropy" or "seconds". It is "exhausted" if every architecture of the space is known, and
            "converged" if theta has drawn nothing new for many generations. "error" comes with an exception.
        seconds: How long it took, earlier parts of a resumed search included.
        folder: The run folder, or None.
        space: What was searched.
        front: Of several objectives what no other evaluation dominates, by the first objective; then
            `architecture` is the one with the least sum of scaled losses. Else empty.
        settled: How early and how far theta settled on each variable, in [0, 1]; see `importance`.
    """

    architecture: Architecture
    loss: float
    most_likely: Architecture
    history: tuple[Evaluation, ...]
    evaluated: int
    generations: int
    reason: str
    seconds: float
    folder: Path | None
    space: Space
    settled: Mapping[str, float]
    front: tuple[Evaluation, ...] = ()

    def __repr__(self) -> str:
        front = f", front of {len(self.front)}" if self.front else ""
        return (
            f"MinimizeResult(loss={self.loss:.6g}, architecture={dict(self.architecture)!r}, "
            f"evaluated={self.evaluated}, reason={self.reason!r}{front})"
        )

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.architecture.items()]
        title = f"Loss {self.loss:.6g} after {self.evaluated:,} calls ({self.reason})"
        return html_table(title, rows, header=["variable", "best value"])

    def dataframe(self, table: str = "history") -> Any:
        """Return evaluations as a DataFrame of pandas, with the columns of `columns`.

        Args:
            table: "history" for all evaluations, or "front" for those of several objectives that no other one
                dominates.

        Raises:
            InputError: There is no such table.
            RunError: The extra `notebook` is not installed.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> result = minimize(lambda a: a["x"], Space({"x": Integer(0, 9)}), 3)
            >>> result.dataframe()["loss"].min()  # doctest: +SKIP
            0
        """
        tables = {"history": self.columns, "front": lambda: self._columns_of(self.front)}
        return dataframe(tables, table)

    def plot(self, figure: str = "losses", *, axes: "Axes | None" = None) -> "Axes":
        """Draw a figure of the search with matplotlib.

        Args:
            figure: "losses" of all calls and the least so far; "importance" of the variables; or "front", the
                first two of several objectives.
            axes: To draw into. Default: those of a new figure.

        Returns:
            The axes, for titles and `axes.figure.savefig`.

        Raises:
            InputError: There is no such figure, or no front.
            RunError: The extra `notebook` is not installed.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> result = minimize(lambda a: a["x"], Space({"x": Integer(0, 9)}), 3)
            >>> result.plot().get_xlabel()  # doctest: +SKIP
            'call of f'
        """
        one_of("figure", figure, ["losses", "importance", "front"])
        if figure == "front" and not self.front:
            raise InputError("figure: expected a search of several objectives for a front, got one.")
        axes = axes_or_new(axes, (9.0, 4.0))
        from asng.black_box import painting  # loads matplotlib

        if figure == "losses":
            painting.paint_losses(axes, np.array([one.loss for one in self.history]))
        elif figure == "front":
            painting.paint_front(axes, [one.losses for one in self.history if one.losses])
        else:
            from asng.report.figures.importance import THETA, paint_importance

            found = self.importance()
            bars = {
                "losses of samples": {name: one.samples for name, one in found.items()},
                THETA: {name: one.theta for name, one in found.items()},
            }
            paint_importance(axes, bars)
        return axes

    def columns(self) -> dict[str, list[Any]]:
        """Return the history as columns of one length, for a DataFrame of pandas or polars.

        A column for each variable, with None if the call did not read it, then "loss", "generation",
        "cached", "seconds" and "error", and one "losses " or "constraints " + name for each. A variable of
        such a name has its column under "variable " + name.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> result = minimize(lambda a: a["x"], Space({"x": Integer(0, 9)}), 3)
            >>> columns = result.columns()
            >>> list(columns), columns["loss"] == columns["x"]
            (['x', 'loss', 'generation', 'cached', 'seconds', 'error'], True)
        """
        return self._columns_of(self.history)

    def _columns_of(self, evaluations: Sequence[Evaluation]) -> dict[str, list[Any]]:
        own = {name: [getattr(one, name) for one in evaluations] for name in _COLUMNS}
        beside: dict[str, list[Any]] = {}
        for kind in ("losses", "constraints"):
            found = [getattr(one, kind) or {} for one in evaluations]
            for name in dict.fromkeys(name for values in found for name in values):
                beside[f"{kind} {name}"] = [values.get(name) for values in found]
        variables: dict[str, list[Any]] = {}
        for name in self.space:
            variables[f"variable {name}" if name in own else name] = [
                one.architecture.get(name) if one.active is None or name in one.active else None
                for one in evaluations
            ]
        return variables | own | beside

    def importance(self) -> dict[str, Importance]:
        """Return how much each variable matters, by the losses of samples and by the path of theta.

        Both are of what this search saw: it draws mostly where losses are low, and what matters there may
        differ from what matters in the whole space.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> space = Space({"x": Integer(0, 99), "y": Integer(0, 99)})
            >>> found = minimize(lambda a: (a["x"] - 30) ** 2 + a["y"], space, 200).importance()
            >>> found["x"].samples > found["y"].samples
            True
        """
        paid = [one for one in self.history if not one.cached or one.generation < 0]
        told = _sums(paid) if self.front else [one.told for one in paid]
        samples = [(one.architecture, loss, one.active) for one, loss in zip(paid, told, strict=True)]
        shares = sample_importance(self.space, samples)
        return {name: Importance(shares[name], self.settled[name]) for name in self.space}

    def report(self) -> Path:
        """Write `report.html` into the run folder, and return its path.

        Raises:
            InputError: The search had no run folder.
            RunError: The extra `report` is not installed.
        """
        if self.folder is None:
            raise InputError(
                "report: expected a search with a run_dir, got one without. Give minimize a run_dir."
            )
        from asng.black_box.report import MINIMIZE  # loads more than a search needs
        from asng.report import write_report

        return write_report(self.folder, kinds=[MINIMIZE])


def _sums(evaluations: Sequence[Evaluation]) -> list[float]:
    """Return the sums of several losses, each by its rank."""
    names = next(one.losses for one in evaluations if one.losses) or {}
    table = np.array([[(one.losses or {}).get(n, math.nan) for n in names] for one in evaluations])
    sums = table.argsort(axis=0).argsort(axis=0).sum(axis=1)
    return [float(s) if np.isfinite(row).all() else math.nan for s, row in zip(sums, table, strict=True)]


class MinimizeError(RunError):
    """A search cannot go on, since f failed.

    Attributes:
        result: What was found before, its `reason` "error"; None if nothing was evaluated.
    """

    result: MinimizeResult | None = None
