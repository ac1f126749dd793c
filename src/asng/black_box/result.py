"""The result of a black-box search."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from asng.black_box.measured import excess, rank_sums, rank_value, worst
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
"""Fields of an evaluation that get a column, besides the values of its variables."""


@dataclass(frozen=True)
class Evaluation:
    """An architecture and its loss.

    Attributes:
        architecture: What was evaluated.
        loss: What f returned, or the sum of several losses; NaN if f failed.
        generation: Generation in which it was drawn, from 0 on; -1 if it came from `known` or `start`.
        cached: Whether the loss was remembered or known, so that f was not called.
        active: Names of the variables that f read; None for all of them.
        error: What went wrong, if f failed.
        seconds: How long the call took; ignored in comparisons.
        constraints: Constraints by name, each at most 0 if it holds; None if there are none.
        losses: Losses by name if there are several objectives; None otherwise.
        curve: (step, value) pairs that the call reported while it ran.
        stopped: Whether the call was ended early; its loss is then the last value that it reported.
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
        """Whether all constraints hold."""
        return excess((self.constraints or {}).values()) == 0.0

    @property
    def told(self) -> float:
        """What an optimiser is told of a single objective: the loss, or more than any feasible one."""
        return rank_value(self.loss, self.constraints)

    @property
    def row(self) -> list[float]:
        """What an optimiser with a model of constraints is told: the loss, and the worst constraint."""
        return [self.loss, worst(self.constraints)]


@dataclass(frozen=True)
class Progress:
    """The state of a search, for callbacks; changing it does not change the search.

    Attributes:
        generation: Number of generations told to the optimiser so far.
        evaluated: Number of calls of f so far.
        evaluations: The evaluations of this generation, including remembered ones.
        best: The best evaluation so far.
        most_likely: The mode of theta now.
        theta: Parameters of the distribution by name.
        entropy: How undecided theta is, from 1 to 0.
        seconds: Seconds since the start of the search, earlier parts of a resumed one included.
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
"""Called after every generation; if it returns True, the search ends."""


def rank_key(one: Evaluation) -> tuple[bool, float]:
    """Return the sort key of an evaluation: calls ended early come last, in each group NaN comes last."""
    return one.stopped, one.told if math.isfinite(one.told) else math.inf


def best_of(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Return the best evaluation; of equal ones, the first."""
    return min(evaluations, key=rank_key)


@dataclass(frozen=True, repr=False)
class MinimizeResult:
    """The best architecture, and how it was found.

    Attributes:
        architecture: The best that was evaluated: feasible ones first, and of equal ones the first. If f is
            noisy, the best is partly luck, and `most_likely` is the better choice.
        loss: Its loss; NaN if no call returned a finite one.
        most_likely: The mode of theta at the end, evaluated or not.
        history: All evaluations in order, including remembered ones.
        evaluated: Number of calls of f, at most the budget.
        generations: Number of generations told to the optimiser.
        reason: Why the search ended: "budget", "callback", or by the stop rule "target", "patience",
            "entropy" or "seconds". It is "exhausted" if every architecture of the space is known, and
            "converged" if theta has drawn nothing new for many generations. "error" comes with an exception.
        seconds: How long it took, earlier parts of a resumed search included.
        folder: The run folder, or None.
        space: The search space.
        front: With several objectives, the evaluations that no other dominates, sorted by the first
            objective; then `architecture` is the one with the least sum of scaled losses. Otherwise empty.
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
        """Return evaluations as a pandas DataFrame, with the columns of `columns`.

        Args:
            table: "history" for all evaluations, or "front" for those that no other dominates in several
                objectives.

        Raises:
            InputError: `table` is neither of them.
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
            figure: "losses" for the loss of every call and the least so far; "importance" for that of the
                variables; "front" for the first two of several objectives.
            axes: Axes to draw into. Default: those of a new figure.

        Returns:
            The axes, for titles and `axes.figure.savefig`.

        Raises:
            InputError: `figure` is none of them, or there is no front.
            RunError: The extra `notebook` is not installed.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> result = minimize(lambda a: a["x"], Space({"x": Integer(0, 9)}), 3)
            >>> result.plot().get_xlabel()  # doctest: +SKIP
            'call of f'
        """
        one_of("figure", figure, ["losses", "importance", "front"])
        if figure == "front" and not self.front:
            raise InputError(
                "figure: expected a search of several objectives, which a front needs, got one objective."
            )
        axes = axes_or_new(axes, (9.0, 4.0))
        from asng.black_box import painting  # loads matplotlib

        if figure == "losses":
            painting.paint_losses(axes, np.array([one.loss for one in self.history]))
        elif figure == "front":
            first, second = list(self.front[0].losses or {})[:2]
            counted = [losses for losses in map(_counted, self.history) if losses]
            pairs = np.array([[one.get(first, math.nan), one.get(second, math.nan)] for one in counted])
            painting.paint_front(axes, (first, second), pairs)
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
        """Return the history as columns of equal length, for a pandas or polars DataFrame.

        There is a column for each variable, with None if the call did not read it. Then follow "loss",
        "generation", "cached", "seconds" and "error", and a column "losses " or "constraints " + name for
        each. A variable with the name of one of the five has its column under "variable " + name.

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

        Both describe only what this search saw. It draws mostly where losses are low, and what matters there
        may differ from what matters in the whole space.

        Example:
            >>> from asng import Integer, Space, minimize
            >>> space = Space({"x": Integer(0, 99), "y": Integer(0, 99)})
            >>> found = minimize(lambda a: (a["x"] - 30) ** 2 + a["y"], space, 200).importance()
            >>> found["x"].samples > found["y"].samples
            True
        """
        paid = [one for one in self.history if not one.cached or one.generation < 0]
        told = rank_sums([_counted(one) for one in paid]) if self.front else [one.told for one in paid]
        samples = [(one.architecture, loss, one.active) for one, loss in zip(paid, told, strict=True)]
        shares = sample_importance(self.space, samples)
        return {name: Importance(shares[name], self.settled[name]) for name in self.space}

    def report(self) -> Path:
        """Write `report.html` into the run folder and return its path.

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


def _counted(one: Evaluation) -> Mapping[str, float] | None:
    """Return the losses of an evaluation that may be on a front, else None."""
    return one.losses if one.feasible and not one.stopped else None


class MinimizeError(RunError):
    """A search cannot continue because f failed.

    Attributes:
        result: What was found before, with the `reason` "error"; None if nothing was evaluated.
    """

    result: MinimizeResult | None = None
