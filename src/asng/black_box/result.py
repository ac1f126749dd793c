"""What a search of a black box found."""

from dataclasses import dataclass
from pathlib import Path

from asng.black_box.evaluation import Evaluation
from asng.errors import InputError
from asng.space import Architecture

__all__ = ["MinimizeResult"]


@dataclass(frozen=True)
class MinimizeResult:
    """The best architecture, and how it was found.

    Attributes:
        architecture: The best that was evaluated, of equal ones the first. Of a noisy function this is in
            part
            luck: there `most_likely` is the better choice.
        loss: Its loss; NaN where no call returned a finite one.
        most_likely: The mode of theta at the end, evaluated or not.
        history: All evaluations in their order, remembered ones too.
        evaluated: How many calls of f were paid for, at most the budget.
        generations: How many times the optimiser was told.
        reason: Why the search ended: "budget"; "target", "patience", "entropy" or "seconds" by the stop rule;
            "exhausted" where every architecture of the space is known; "converged" where theta has drawn
            nothing new for many generations; "callback".
        seconds: How long it took, earlier parts of a resumed search included.
        folder: The run folder, or None.
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
        from asng.report import write_report  # loads matplotlib

        return write_report(self.folder)
