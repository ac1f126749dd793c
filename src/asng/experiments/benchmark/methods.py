"""The methods of `asng benchmark` by name: how each is made, and its own limit of evaluations."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from asng.experiments.benchmark.classics import OnePlusOne, Random, RegularizedEvolution
from asng.experiments.benchmark.peers import TPE, CatCMA, CatCMAwM, Nevergrad
from asng.experiments.benchmark.problems import Active, Method, Point
from asng.optim import ASNG, Optimizer, Staged
from asng.space import Candidate, Integer, Space

__all__ = ["METHODS", "Entry", "applies"]


class Entry(NamedTuple):
    """How a method is made, and its own largest budget if it is slow.

    Attributes:
        make: Makes the method from the space, the seed, the budget, and whether losses have noise.
        most: The largest budget, or None.
    """

    make: Callable[[Space, int, int, bool], Method]
    most: int | None = None


METHODS: dict[str, Entry] = {
    "minimize": Entry(
        lambda space, seed, budget, noisy: _Ours(partial(Staged, budget=budget, noisy=noisy), space, seed)
    ),
    "ASNG": Entry(lambda space, seed, budget, noisy: _Ours(ASNG, space, seed)),
    "ASNG untold": Entry(lambda space, seed, budget, noisy: _Ours(ASNG, space, seed, told=False)),
    "ASNG.paper": Entry(lambda space, seed, budget, noisy: _Ours(ASNG.paper, space, seed, told=False)),
    "random": Entry(lambda space, seed, budget, noisy: Random(space, seed)),
    "(1+1)-EA": Entry(lambda space, seed, budget, noisy: OnePlusOne(space, seed)),
    "evolution": Entry(lambda space, seed, budget, noisy: RegularizedEvolution(space, seed)),
    "evolution 20/5": Entry(
        lambda space, seed, budget, noisy: RegularizedEvolution(space, seed, population=20, drawn=5)
    ),
    "CatCMA": Entry(lambda space, seed, budget, noisy: CatCMA(space, seed)),
    "CatCMAwM": Entry(lambda space, seed, budget, noisy: CatCMAwM(space, seed)),
    "CatCMAwM x2": Entry(lambda space, seed, budget, noisy: CatCMAwM(space, seed, times=2)),
    "TPE": Entry(lambda space, seed, budget, noisy: TPE(space, seed), most=1_000),
    "TPE multivariate": Entry(
        lambda space, seed, budget, noisy: TPE(space, seed, multivariate=True), most=1_000
    ),
    "Nevergrad": Entry(
        lambda space, seed, budget, noisy: Nevergrad(space, seed, budget=budget, name="NGOpt", choice=True),
        most=500,
    ),
    "Nevergrad arrays": Entry(
        lambda space, seed, budget, noisy: Nevergrad(space, seed, budget=budget, name="NGOpt"), most=1_000
    ),
    "Nevergrad discrete": Entry(
        lambda space, seed, budget, noisy: Nevergrad(space, seed, budget=budget, name="DiscreteOnePlusOne"),
        most=2_000,
    ),
}


def applies(method: str, space: Space) -> bool:
    """Return whether a method can run on a space; only CatCMA is limited, to variables of both kinds."""
    kinds = {isinstance(variable, Integer) for variable in space.values()}
    return method != "CatCMA" or len(kinds) == 2


class _Ours:
    """An optimiser of asng as a method of the benchmark.

    Args:
        make: Makes the optimiser from space and seed.
        space: The search space.
        seed: Seed of the optimiser.
        told: Whether it is told which variables a loss depended on, as `asng.minimize` finds out by itself.
    """

    def __init__(self, make: Callable[..., Optimizer], space: Space, seed: int, *, told: bool = True) -> None:
        self._optimizer, self._told = make(space, seed=seed), told
        self._asked: list[Candidate] = []

    def ask(self) -> list[Point]:
        """Return the next points."""
        self._asked = self._optimizer.ask()
        return [tuple(int(v) for v in c.architecture.values()) for c in self._asked]  # type: ignore[arg-type]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from their losses."""
        candidates = self._asked
        if self._told:
            candidates = [c.with_active(read) for c, read in zip(candidates, active, strict=True)]
        self._optimizer.tell(candidates, losses)
