"""Three budgets from one search, from three searches, and by NSGA-II: how good is the front for its cost?

    python -m benchmarks.trained.goals [--seeds 5] [--networks residual encoder] [--summary]

Networks that were trained on Fashion-MNIST are made searchable, with their most important channels first and
frozen weights. An architecture is scored by its loss on 1,000 test images, in batches of 500. Budgets are a
quarter, a half and three quarters of the multiply-adds. `one search` is that of `asng.compress` for all three
budgets at once, and `three searches` are the same for each budget by itself. NSGA-II is that of Optuna for
loss and multiply-adds, at its defaults. The figure is the hypervolume of all scored architectures: the share
of multiply-adds below 1, and the loss below that of the smallest network.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor, nn

from asng import Architecture, Budget
from asng.compression import Frontier, Goal, even, evenly_within, searched
from asng.costs import multiply_adds
from asng.nn import Importance, Supernet, searchable
from asng.training import batch_statistics
from benchmarks.record import RESULTS, commit, write
from benchmarks.trained.networks import LOSS, loaders, trained

SHARES = (0.25, 0.5, 0.75)
ONE = 200
"""Architectures that a search for one budget scores; a search for three budgets scores 1.5 times as many."""
LINES = RESULTS / "compression_goals.lines"


class _Fixed(nn.Module):
    """A supernet as one architecture."""

    def __init__(self, supernet: Supernet, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        self.supernet, self.architecture = supernet, architecture

    def forward(self, x: Tensor) -> Any:
        return self.supernet(x, architecture=self.architecture)


class Problem:
    """A trained network with frozen weights: losses and shares of multiply-adds of its architectures."""

    def __init__(self, network: str, seed: int) -> None:
        train, test = loaders("fashion", seed)
        model = trained(network, "fashion", seed)
        batches = [batch for batch, _ in zip(train, range(8), strict=False)]
        self.supernet = searchable(model, batches[0][0][:2], order=Importance("outputs", batches, LOSS))
        self.space = self.supernet.space
        self.batches = list(test)[:2]
        self.one = self.batches[0][0][:1]
        self.whole = self._count(even(self.space, 1.0))

    def _count(self, architecture: Architecture) -> float:
        return multiply_adds(_Fixed(self.supernet, architecture), (self.one,))

    def costs(self, architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        """Return multiply-adds as shares of those of the whole network."""
        return [{"multiply_adds": self._count(a) / self.whole} for a in architectures]

    @torch.no_grad()
    def losses(self, architectures: Sequence[Architecture]) -> list[float]:
        """Return mean losses."""
        self.supernet.eval()
        with batch_statistics(self.supernet):
            return [
                float(np.mean([LOSS(_Fixed(self.supernet, a), batch).item() for batch in self.batches]))
                for a in architectures
            ]


def volume(points: Sequence[tuple[float, float]], worst: float) -> float:
    """Return the share of the box below cost 1 and the worst loss that points (cost, loss) dominate."""
    total, lowest, edge = 0.0, worst, None
    for cost, loss in sorted(points):
        if cost < 1.0 and loss < lowest:
            if edge is not None:
                total += (cost - edge) * (worst - lowest)
            edge, lowest = cost, loss
    return 0.0 if edge is None else (total + (1.0 - edge) * (worst - lowest)) / worst


def by_goals(problem: Problem, shares: Sequence[float], evaluations: int, seed: int) -> Frontier:
    """Search for several budgets at once."""
    goals = [Goal(f"{share}", (Budget("multiply_adds", limit=share),)) for share in shares]
    starts = [evenly_within(problem.space, problem.costs, goal) for goal in goals]
    return searched(
        problem.space,
        goals,
        starts,
        costs=problem.costs,
        score=problem.losses,
        evaluations=evaluations,
        seed=seed,
    )


def points_of(frontier: Frontier) -> list[tuple[float, float]]:
    """Return cost and loss of every scored architecture."""
    return [(one.costs["multiply_adds"], one.loss) for one in frontier.scored]


def by_nsga(problem: Problem, evaluations: int, seed: int) -> list[tuple[float, float]]:
    """Search by NSGA-II."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(seed=seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)

    def objective(trial: Any) -> tuple[float, float]:
        values = {
            name: trial.suggest_int(name, v.low, v.high, step=v.step) for name, v in problem.space.items()
        }
        architecture = Architecture(values)
        return problem.costs([architecture])[0]["multiply_adds"], problem.losses([architecture])[0]

    study.optimize(objective, n_trials=evaluations)
    return [tuple(trial.values) for trial in study.trials]


def row(network: str, seed: int) -> dict[str, Any]:
    """Compare the three on one trained network."""
    problem = Problem(network, seed)
    [worst] = problem.losses([even(problem.space, 0.0)])
    together = round(1.5 * ONE)
    apart = [points_of(by_goals(problem, (share,), ONE, seed)) for share in SHARES]
    found: dict[str, Callable[[], list[tuple[float, float]]]] = {
        "one search": lambda: points_of(by_goals(problem, SHARES, together, seed)),
        "three searches": lambda: [point for points in apart for point in points],
        "three searches, half of each": lambda: [p for points in apart for p in points[: together // 3]],
        "NSGA-II": lambda: by_nsga(problem, together, seed),
    }
    methods = {}
    for name, search in found.items():
        points = search()
        least = {
            f"{share}": min((loss for cost, loss in points if cost <= share), default=worst)
            for share in SHARES
        }
        methods[name] = {"scored": len(points), "volume": volume(points, worst), "losses": least}
    return {
        "network": network,
        "seed": seed,
        "variables": len(problem.space),
        "methods": methods,
        "commit": commit(),
    }


def summarise() -> None:
    """Print the means and write them, with all rows."""
    rows = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    means = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row["methods"] for row in rows if row["network"] == network]
        means[network] = {"seeds": len(own)}
        for name in own[0]:
            gains = [m[name]["volume"] / m["three searches"]["volume"] for m in own]
            spread = float(np.std(gains, ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else None
            means[network][name] = {
                "scored": float(np.mean([m[name]["scored"] for m in own])),
                "volume": float(np.mean([m[name]["volume"] for m in own])),
                "of_three": float(np.mean(gains)),
                "of_three_error": spread,
            }
            print(f"{network:10} {name:30} {means[network][name]}")
    print(write("compression_goals", {"budgets": list(SHARES), "means": means}, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=["residual", "encoder"])
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    known = {(row["network"], row["seed"]) for row in done}
    for seed in range(0 if arguments.summary else arguments.seeds):
        for network in arguments.networks:
            if (network, seed) not in known:
                with LINES.open("a") as file:
                    file.write(json.dumps(row(network, seed)) + "\n")
    summarise()


if __name__ == "__main__":
    main()
