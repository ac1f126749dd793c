"""The cells of the toy problem, toy.json, read and checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import read_json
from asng.report.fields import as_list, as_object, number, positive, text

__all__ = ["ToyCell", "ToyGrid", "read_toy"]


@dataclass(frozen=True)
class ToyCell:
    """One method, first step size and learning rate, over several seeds; what never came is infinite.

    Attributes:
        method: Its name.
        exponent: f of the first step size, n^-f.
        learning_rate: Of x at the start.
        stopped: Iteration at which the paper's stop rule fired, one a seed.
        right_when_stopped: Variables whose likeliest choice was then right; NaN where it never fired.
        found: First iteration at which the mode was the optimum.
        settled: First iteration from which on it was so to the end.
        right_at_end: Variables whose likeliest choice is right at the end.
    """

    method: str
    exponent: float
    learning_rate: float
    stopped: tuple[float, ...]
    right_when_stopped: tuple[float, ...]
    found: tuple[float, ...]
    settled: tuple[float, ...]
    right_at_end: tuple[float, ...]


@dataclass(frozen=True)
class ToyGrid:
    """All finished cells, and what they have in common.

    Attributes:
        cells: By method, learning rate and exponent, as they were run.
        settings: As they were given, by name.
        variables: D.
        choices: K.
        iterations: Of every run.
        planned: How many cells there are to be.
        seconds: How long the finished ones took; NaN if unknown.
        circumstances: Versions and machine, by name.
    """

    cells: tuple[ToyCell, ...]
    settings: Mapping[str, Any]
    variables: int
    choices: int
    iterations: int
    planned: int
    seconds: float
    circumstances: Mapping[str, Any]

    @property
    def methods(self) -> list[str]:
        """The methods that have a cell, in their order."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def rates(self) -> list[float]:
        """The learning rates that have a cell, rising."""
        return sorted({cell.learning_rate for cell in self.cells})

    def at(self, *, method: str, rate: float) -> list[ToyCell]:
        """Return the cells of one method and learning rate, by rising exponent."""
        found = [cell for cell in self.cells if (cell.method, cell.learning_rate) == (method, rate)]
        return sorted(found, key=lambda cell: cell.exponent)


def read_toy(path: Path) -> ToyGrid | None:
    """Read toy.json, or return None where there is none.

    Raises:
        RunError: The file is no JSON object, or a field is of another type or missing.
    """
    if not path.exists():
        return None
    where = str(path)
    data = as_object(read_json(path), where)
    settings = as_object(data.get("settings"), f"{where}, settings")
    variables, choices, iterations = (
        positive(settings, name, f"{where}, settings") for name in ("variables", "choices", "iterations")
    )
    axes = (
        as_list(settings.get(name), f"{where}, settings, {name}")
        for name in ("methods", "exponents", "learning_rates")
    )
    cells = as_list(data.get("cells"), f"{where}, cells")
    return ToyGrid(
        cells=tuple(_cell(cell, f"{where}, cells[{i}]") for i, cell in enumerate(cells)),
        settings=settings,
        variables=variables,
        choices=choices,
        iterations=iterations,
        planned=math.prod(len(axis) for axis in axes),
        seconds=number(data, "seconds", where),
        circumstances={name: data[name] for name in ("versions", "machine") if data.get(name)},
    )


def _cell(value: Any, where: str) -> ToyCell:
    data = as_object(value, where)
    cell = ToyCell(
        method=text(data, "method", where, "method"),
        exponent=number(data, "exponent", where),
        learning_rate=number(data, "learning_rate", where),
        stopped=_column(data, "stopped", where, math.inf),
        right_when_stopped=_column(data, "right_when_stopped", where, math.nan),
        found=_column(data, "found", where, math.inf),
        settled=_column(data, "settled", where, math.inf),
        right_at_end=_column(data, "right_at_end", where, math.nan),
    )
    if min(*cell.stopped, *cell.found, *cell.settled, math.inf) < 1.0:
        raise RunError(f"{where}: expected iterations, which count from 1, got {dict(data)!r:.200}.")
    if not math.isfinite(cell.exponent + cell.learning_rate):
        raise RunError(f"{where}: expected an exponent and a learning_rate, got {dict(data)!r:.80}.")
    lengths = {
        len(cell.stopped),
        len(cell.right_when_stopped),
        len(cell.found),
        len(cell.settled),
        len(cell.right_at_end),
    }
    if len(lengths) > 1 or 0 in lengths:
        raise RunError(
            f"{where}: expected one entry a seed in every column, got columns of lengths {lengths}."
        )
    return cell


def _column(data: Mapping[str, Any], name: str, where: str, never: float) -> tuple[float, ...]:
    values = as_list(data.get(name), f"{where}, {name}")
    numbers = (number({"entry": value}, "entry", f"{where}, {name}") for value in values)
    return tuple(never if math.isnan(value) else value for value in numbers)
