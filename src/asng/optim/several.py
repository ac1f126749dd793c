r"""Optimise several goals together: one distribution per goal, and shared samples for all of them.

Networks for several budgets need one distribution each, but a sample is informative about all budgets. So
samples come from the mixture of all K distributions, the same number from each, and sample x has, for
distribution k, the weight

    w_k(x) = p_k(x) / q(x),    q(x) = 1/K sum_j p_j(x)

cut at 1 as in `asng.optim.reuse`. While the distributions are alike, each learns from all samples; once they
separate, each learns from its own. The evaluations are shared, and few of them are useless for a budget.

References:
    Noda, Saito, Shirakawa, "Efficient Search of Multiple Neural Architectures with Different Complexities via
    Importance Sampling", ICANN 2022.
    Owen, "Monte Carlo theory, methods and examples", 2013, section 9.11 (the balance heuristic).
"""

from collections.abc import Sequence

import numpy as np

from asng.distributions import Floats
from asng.errors import InputError
from asng.optim.ask_tell import Optimizer
from asng.space import Candidate

__all__ = ["SeveralGoals"]


class SeveralGoals:
    """Asks several optimisers in turn, and tells each of them the samples of all.

    Args:
        optimizers: One per goal, over the same space, with different seeds.

    Raises:
        InputError: There is no optimiser, their spaces differ, or two have the same seed.

    Example:
        Widths near 10 and near 50, from the same samples:

        >>> from asng import ASNG, Integer, Space
        >>> space = Space({"width": Integer(1, 64)})
        >>> goals = SeveralGoals([ASNG(space, seed=0), ASNG(space, seed=1)])
        >>> for _ in range(60):
        ...     candidates = goals.ask(8)
        ...     goals.tell(candidates, [[abs(c["width"] - goal) for c in candidates] for goal in (10, 50)])
        >>> [abs(optimizer.best["width"] - goal) <= 2 for optimizer, goal in zip(goals.optimizers, (10, 50))]
        [True, True]
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = list(optimizers)
        if not self.optimizers:
            raise InputError("optimizers: expected one per goal, got none.")
        if any(optimizer.space != self.optimizers[0].space for optimizer in self.optimizers):
            raise InputError("optimizers: expected optimisers over one space, got several spaces.")
        if len({optimizer.draw_seed for optimizer in self.optimizers}) < len(self.optimizers):
            raise InputError("optimizers: expected a different seed for each, got one twice.")

    def ask(self, n: int) -> list[Candidate]:
        """Draw candidates, equally many from each distribution.

        Args:
            n: Minimum total number. It is rounded up to a multiple of the number of goals, with at least two
                from each.
        """
        each = max(2, -(-n // len(self.optimizers)))
        return [candidate for optimizer in self.optimizers for candidate in optimizer.ask(each)]

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[Sequence[float]]) -> None:
        """Update each distribution with all candidates.

        Args:
            candidates: All that one `ask` returned, each with the names that its evaluation read, if known.
            losses: For each goal, the losses of the candidates; smaller is better.

        Raises:
            InputError: There are not as many lists of losses as goals, or `Optimizer.tell` refuses one.
        """
        if len(losses) != len(self.optimizers):
            raise InputError(
                f"losses: expected a list for each of {len(self.optimizers)} goals, got {len(losses)}."
            )
        mixture = self._log_mixture(candidates) if len(self.optimizers) > 1 else None
        for optimizer, own in zip(self.optimizers, losses, strict=True):
            optimizer.tell(candidates, own, log_densities=mixture)

    def _log_mixture(self, candidates: Sequence[Candidate]) -> Floats:
        logs = np.array([optimizer.log_density(candidates) for optimizer in self.optimizers])
        top = logs.max(axis=0)
        mixture: Floats = top + np.log(np.exp(logs - top).mean(axis=0))
        return mixture
