"""When theta begins to move: once the shared weights order architectures as they did some time before.

An order that still changes says more of the moment than of the architectures, and theta would follow it.
"""

import math
import random
from typing import Any

from scipy.stats import spearmanr

from asng.search.scorer import Scorer
from asng.space import Architecture

__all__ = ["EARLIEST", "PROBES", "Settling"]

PROBES = 16
"""Architectures whose order is compared: by chance alone a correlation of 0.5 comes once in 40 times."""
EARLIEST = 0.5
"""Share of the steps after which theta moves at the earliest, if that is looked for."""
SETTLED = 0.5
"""Spearman's correlation of their scores at both times, from which on their order counts as settled."""
DRAWS = 10 * PROBES
"""How many are drawn at most, if some are over a budget."""


class Settling:
    """Looks at some probes after a quarter and after half of the steps.

    Args:
        scorer: Scores the probes, always on the same batches.
        steps: Of the search.
        warmup: Share of the steps after which theta moves, whatever the order; or None to look.
        batches: Validation batches that probes are scored on; 0 not to look.
        seed: Of the probes.

    Attributes:
        first_step: The first step in which theta moves, if it does.
        settled: Whether the order had settled when it was looked for; without a look, whether a share was
            given.
    """

    def __init__(self, scorer: Scorer, *, steps: int, warmup: float | None, batches: int, seed: int) -> None:
        self.scorer, self.batches, self.seed = scorer, batches, seed
        share = EARLIEST if warmup is None else warmup
        # Rounded first: 0.07 * 100 is a little more than 7.
        self.first_step = math.ceil(round(share * steps, 6))
        self._looks = [self.first_step // 2, self.first_step] if batches else []
        self.settled = warmup is not None
        self._before: list[float] = []

    def moves(self, step: int) -> bool:
        """Return whether theta moves after so many steps."""
        return self.settled and step >= self.first_step

    def look(self, step: int) -> None:
        """Score the probes if it is time, after so many steps."""
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
        """Return what was seen, for a checkpoint."""
        return {"settled": self.settled, "before": list(self._before)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if self._looks:
            self.settled, self._before = state["settled"], list(state["before"])


def correlation(before: list[float], after: list[float]) -> float:
    """Return Spearman's correlation; what is not finite ranks worst; 0 if all of one time are equal.

    Example:
        >>> round(correlation([1.0, 2.0, 4.0], [0.1, 0.3, 0.2]), 3), correlation([1.0, 1.0], [1.0, 2.0])
        (0.5, 0.0)
    """
    if min(len(set(before)), len(set(after))) < 2:
        return 0.0
    finite = [[min(value, 1e300) for value in values] for values in (before, after)]
    return float(spearmanr(*finite).statistic)
