"""The result of a compression."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from asng.checks import integer_at_least
from asng.compression.frontier import Frontier, Scored
from asng.compression.goals import Goal
from asng.errors import InputError
from asng.nn import Inputs
from asng.nn.conversion import Conversion
from asng.shown import dataframe, html_table
from asng.space import Architecture
from asng.training.export import save_onnx

__all__ = ["Compressed", "CompressedChild", "Network"]


@dataclass(frozen=True)
class Network:
    """A network with its score and its costs.

    Attributes:
        network: A plain module in eval mode.
        score: Objective on the test data, or on the validation data if there are none.
        costs: By name of measure: parameters, multiply-adds, bytes and latency, and what the budgets limit.
    """

    network: nn.Module = field(repr=False)
    score: float
    costs: Mapping[str, float]


@dataclass(frozen=True)
class CompressedChild(Network):
    """A child within a budget.

    Attributes:
        goal: What it may cost.
        architecture: Its widths and depths.
        before: Its score before it was fine-tuned, with the shared weights.
        learning_rate: The rate found for its fine-tuning; None if an optimiser was given.
        tried: The architectures scored for this budget after a few steps of fine-tuning.
    """

    goal: Goal
    architecture: Architecture
    before: float
    learning_rate: float | None = None
    tried: tuple[Scored, ...] = field(default=(), repr=False)


@dataclass(frozen=True, repr=False)
class Compressed:
    """The children that a model was compressed to, and how.

    Attributes:
        model: The model as it was given, with its score.
        children: One for each budget, in their order.
        frontier: All architectures that the search scored on the shared weights.
        conversion: Which parts of the model could be searched.
        higher_is_better: Whether a higher score is better.
        metric: Name of the score.
        seconds: How long each part took, by its name.
        notes: Remarks on how it was done.
        folder: The run folder, or None.
        example: Inputs that costs were measured on.
        settings: The arguments of `asng.compress`, and the defaults of those that have another value.
    """

    model: Network
    children: tuple[CompressedChild, ...]
    frontier: Frontier
    conversion: Conversion
    higher_is_better: bool
    metric: str
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    example: Sequence[Inputs] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        children = ", ".join(f"{child.goal.name}: {child.score:.4g}" for child in self.children)
        return f"Compressed({self.metric} {self.model.score:.4g}, children={{{children}}})"

    def _repr_html_(self) -> str:
        header, *rows = self._rows()
        return html_table("", rows, header=header)

    def dataframe(self, table: str = "children") -> Any:
        """Return a table as a pandas DataFrame.

        Args:
            table: "children", after a row for the model, with scores and costs; or "frontier", the
                architectures that the search scored on the shared weights, with losses and costs.

        Raises:
            InputError: There is no such table.
            RunError: The extra `notebook` is not installed.
        """

        def children() -> dict[str, list[Any]]:
            networks = [self.model, *self.children]
            names = ["model", *(child.goal.name for child in self.children)]
            scores: dict[str, list[Any]] = {
                "network": names,
                self.metric: [network.score for network in networks],
            }
            return scores | {name: [n.costs.get(name) for n in networks] for name in self.model.costs}

        def frontier() -> dict[str, list[Any]]:
            scored = self.frontier.scored
            columns: dict[str, list[Any]] = {"loss": [one.loss for one in scored]}
            for part in ("architecture", "costs"):
                for name in dict.fromkeys(name for one in scored for name in getattr(one, part)):
                    columns[name] = [getattr(one, part).get(name) for one in scored]
            return columns

        return dataframe({"children": children, "frontier": frontier}, table)

    @property
    def child(self) -> nn.Module:
        """The child of a compression to one budget, a plain module in eval mode.

        Raises:
            InputError: There are several children.
        """
        if len(self.children) != 1:
            names = ", ".join(child.goal.name for child in self.children)
            raise InputError(f"child: expected one budget, got {names}. Take it from `children`.")
        return self.children[0].network

    def __str__(self) -> str:
        """Return a table: the model, then each child, with scores and costs."""
        rows = self._rows()
        wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows
        )

    def _rows(self) -> list[list[str]]:
        names = list(self.model.costs)
        rows = [["", self.metric, "before", *names], ["model", f"{self.model.score:.4f}", ""]]
        rows[1] += [f"{self.model.costs[name]:.4g}" for name in names]
        for child in self.children:
            shares = [f"{child.costs[n]:.4g} ({child.costs[n] / self.model.costs[n]:.0%})" for n in names]
            rows.append([child.goal.name, f"{child.score:.4f}", f"{child.before:.4f}", *shares])
        return rows

    def save_onnx(self, path: str | Path, *, child: int = 0) -> Path:
        """Write a child as an ONNX program; see `asng.training.save_onnx`.

        Args:
            path: Ends in `.onnx`.
            child: Its number in `children`, from 0.

        Raises:
            InputError: There is no such child, or the packages for ONNX are not installed.
            RunError: The child cannot be converted, or the file cannot be written.
        """
        if integer_at_least("child", child, 0) >= len(self.children):
            names = ", ".join(f"{number}: {one.goal.name}" for number, one in enumerate(self.children))
            raise InputError(f"child: expected the number of a child ({names}), got {child}.")
        return save_onnx(path, self.children[child].network, self.example[0])

    def report(self) -> Path:
        """Write `report.html` into the run folder, and return its path.

        Raises:
            InputError: The compression had no run folder.
        """
        if self.folder is None:
            raise InputError(
                "report: expected a compression with a run_dir, got one without. Give a run_dir."
            )
        from asng.compression.report import COMPRESSION  # loads matplotlib
        from asng.report import write_report

        return write_report(self.folder, kinds=[COMPRESSION])
