"""Decide when theta begins to move: once the shared weights rank architectures as they did earlier.

An order that still changes tells little about the architectures, and theta would follow it.
"""

import math
import random
from typing import Any

from scipy.stats import spearmanr

from asng.search.scorer import Scorer
from asng.space import Architecture

__all__ = ["EARLIEST", "PROBES", "Settling"]

PROBES = 16
"""Architectures whose order is compared. By chance, a correlation of 0.5 occurs once in 40 times."""
EARLIEST = 0.5
"""Share of the steps after which theta moves at the earliest, if it waits for the order to settle."""
SETTLED = 0.5
"""Spearman correlation of their scores at both times from which on the order counts as settled."""
DRAWS = 10 * PROBES
"""Most architectures drawn, if some are over a budget."""


class Settling:
    """Compares the order of some probe architectures after a quarter and after half of the steps.

    Args:
        scorer: Scores the probes, always on the same batches.
        steps: Planned steps of the search.
        warmup: Share of the steps after which theta moves, whatever the order; or None to wait for the order.
        batches: Validation batches on which probes are scored; 0 for no comparison.
        seed: Seed of the probes.

    Attributes:
        first_step: The first step in which theta moves, if it does.
        settled: Whether theta may move: at first, whether `warmup` was given; then the comparison decides.
    """

    def __init__(self, scorer: Scorer, *, steps: int, warmup: float | None, batches: int, seed: int) -> None:
        self.scorer, self.batches, self.seed = scorer, batches, seed
        share = EARLIEST if warmup is None else warmup
        # Round first: in floats 0.07 * 100 is a little more than 7.
        self.first_step = math.ceil(round(share * steps, 6))
        self._looks = [self.first_step // 2, self.first_step] if batches else []
        self.settled = warmup is not None
        self._before: list[float] = []

    def moves(self, step: int) -> bool:
        """Return whether theta moves in the step after `step` steps."""
        return self.settled and step >= self.first_step

    def look(self, step: int) -> None:
        """Score the probes if they are due after `step` steps."""
        if step not in self._looks:
            return
        scores = [
            self.scorer.worth(score.value, probe)
            for probe, score in zip(
                self._probes(), self.scorer.means(self._probes(), self.batches), strict=True
            )
        ]
        if step == self._looks[0]:
            self._before = scores
        else:
            self.settled = correlation(self._before, scores) >= SETTLED

    def _probes(self) -> list[Architecture]:
        space, rng = self.scorer.supernet.space, random.Random(f"{self.seed} probes")
        draws = dict.fromkeys(space.sample(rng) for _ in range(DRAWS))
        within = (draw for draw in draws if self.scorer.meter.of(draw).excess == 0.0)
        return [probe for probe, _ in zip(within, range(PROBES), strict=False)]

    def state_dict(self) -> dict[str, Any]:
        """Return the comparison so far, for a checkpoint."""
        return {"settled": self.settled, "before": list(self._before)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the comparison from a checkpoint."""
        if self._looks:
            self.settled, self._before = state["settled"], list(state["before"])


def correlation(before: list[float], after: list[float]) -> float:
    """Return Spearman's correlation of two lists of losses; 0 if all of one list are equal.

    Infinite losses rank worst.

    Example:
        >>> round(correlation([1.0, 2.0, 4.0], [0.1, 0.3, 0.2]), 3), correlation([1.0, 1.0], [1.0, 2.0])
        (0.5, 0.0)
    """
    if min(len(set(before)), len(set(after))) < 2:
        return 0.0
    finite = [[min(value, 1e300) for value in values] for values in (before, after)]
    return float(spearmanr(*finite).statistic)
