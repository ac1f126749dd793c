"""Evolution over a space of choices, as in SPOS: the parents are the best of all seen so far."""

import random
from collections.abc import Callable

import asng
from benchmarks.truth.problems import all_architectures

__all__ = ["evolve"]

POPULATION, PARENTS, MUTATION = 20, 5, 0.1
"""As in the paper, but with smaller generations (there 50, with 10 parents) for fewer evaluations."""


def evolve(
    space: asng.Space,
    losses: Callable[[list[asng.Architecture]], list[float]],
    evaluations: int,
    rng: random.Random,
    within: Callable[[asng.Architecture], bool] = lambda _: True,
) -> list[asng.Architecture]:
    """Return the networks seen in a number of evaluations, the best first; none is evaluated twice.

    Only networks `within` a budget are evaluated. Half of a generation are mutations of a parent, in each
    variable with probability 0.1; the other half are crossovers of two parents.

    References:
        Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020,
        Algorithm 1.
    """
    seen: dict[asng.Architecture, float] = {}
    allowed = sum(map(within, all_architectures(space)))
    generation = [space.sample(rng) for _ in range(POPULATION)]
    while True:
        new = [network for network in dict.fromkeys(generation) if network not in seen and within(network)]
        new = new[: evaluations - len(seen)]
        seen.update(zip(new, losses(new), strict=True))
        ranked = sorted(seen, key=seen.__getitem__)
        if len(seen) >= min(evaluations, allowed):
            return ranked
        parents = ranked[:PARENTS]
        generation = [
            _mutated(rng.choice(parents), space, rng) if i % 2 else _crossed(parents, rng)
            for i in range(POPULATION)
        ]
        if all(
            network in seen or not within(network) for network in generation
        ):  # the parents agree: look elsewhere
            generation = [space.sample(rng) for _ in range(POPULATION)]


def _mutated(parent: asng.Architecture, space: asng.Space, rng: random.Random) -> asng.Architecture:
    other = space.sample(rng)
    return asng.Architecture({k: other[k] if rng.random() < MUTATION else v for k, v in parent.items()})


def _crossed(parents: list[asng.Architecture], rng: random.Random) -> asng.Architecture:
    one, two = rng.choice(parents), rng.choice(parents)
    return asng.Architecture({key: rng.choice((one[key], two[key])) for key in one})
