"""How well do scores on shared weights rank the networks of a space, and what makes them rank better?

python -m benchmarks.truth.shared_scores fashion --costs 4 8 --seeds 6      # stopped, it goes on where it was

All searches have the same cost. Half of it trains shared weights on networks drawn uniformly, and half scores
networks; a search that moves theta divides the cost as it likes. No network is trained alone. The scores of a
hundred networks are compared with the truth by rank, and the found network is looked up. The seeds differ
from those of `worth.py`.
"""

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import combinations

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr

import asng
from asng.optim import Optimizer
from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.problems import (
    PROBLEMS,
    TRAINING_PASS,
    Problem,
    all_architectures,
    key_of,
    sizes_of,
    values_of,
)
from benchmarks.truth.run import LOSS, Run
from benchmarks.truth.sandwich import Sandwiched, Sandwiches
from benchmarks.truth.searches import steps_for
from benchmarks.truth.tables import Table, batches
from benchmarks.truth.thetas import Paired

FIRST_SEED = 100
COMPARED = 100
"""Networks whose order is compared with the truth."""
ITEMS = 200
"""Validation items that a network is scored on, if not all."""

State = dict[str, torch.Tensor]
Networks = list[asng.Architecture]
Known = Callable[[Networks], Sequence[float]]
"""A search's estimates for networks: less is better."""


# --- weights trained uniformly --------------------------------------------------------------------------


def uniform(
    run: Run, *, items: int | None = ITEMS, averaged: bool = False
) -> tuple[asng.Architecture, Known]:
    """Return the best of as many random networks as half of the cost can score."""
    _train(run, averaged=averaged)
    networks, scores, known = _scored(run, items)
    return networks[int(np.argmin(scores))], known


def with_size(run: Run) -> tuple[asng.Architecture, Known]:
    """Return the best network by the sum of two ranks, of the score and of the size."""
    _train(run)
    networks, scores, known = _scored(run, ITEMS)
    size = sizes_of(run.problem)

    def judged(some: Networks, values: Sequence[float]) -> Sequence[float]:
        return rankdata(values) + rankdata([-size[key_of(network)] for network in some])

    best = networks[int(np.argmin(judged(networks, scores)))]
    return best, lambda some: judged(some, known(some))


def fitted(run: Run, *, pairs: bool, size: bool) -> tuple[asng.Architecture, Known]:
    """Return the best of all networks by a ridge regression on choices, fitted to all scores."""
    _train(run)
    networks, scores, _ = _scored(run, ITEMS)
    sizes = sizes_of(run.problem)

    def features(some: Networks) -> np.ndarray:
        rows = _choices(run.supernet.space, some, pairs=pairs)
        logs = np.log([1.0 + sizes[key_of(network)] for network in some])
        return np.column_stack([rows, logs]) if size else rows

    x, y = features(networks), np.asarray(scores)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = (x - mean) / scale
    weights = _ridge(z, y - y.mean())
    everyone = list(filter(run.problem.within, _some_of_all(run, 4000)))

    def known(some: Networks) -> Sequence[float]:
        return ((features(some) - mean) / scale @ weights).tolist()

    return everyone[int(np.argmin(known(everyone)))], known


def sandwiched(run: Run, *, taught: bool) -> tuple[asng.Architecture, Known]:
    """Train the largest, the smallest and a random network in each step; the largest may teach the others."""
    theta = Sandwiches(run.supernet.space, run.problem, seed=run.seed)
    steps = int(0.5 * run.budget / (3 * TRAINING_PASS))
    loss = Sandwiched(theta.largest) if taught else LOSS
    run.fit(steps, loss=loss, architecture_optimizer=theta, lam_x=3, warmup=1.0, final=0.0, cost=())
    networks, scores, known = _scored(run, ITEMS)
    return networks[int(np.argmin(scores))], known


def _train(run: Run, *, averaged: bool = False) -> None:
    """Train shared weights for half of the cost; `averaged`: take their mean over the last tenth of steps.

    If the previous method trained them under the same seed, they are reused, and their cost counts.
    """
    state, spent = _trained(run.problem, run.seed, run.budget, averaged)
    run.supernet.load_state_dict(state)
    run.spent += spent


@lru_cache(maxsize=1)
def _trained(problem: Problem, seed: int, budget: float, averaged: bool) -> tuple[State, float]:
    run = Run(problem, seed, budget)
    steps = int(0.5 * budget / TRAINING_PASS)
    mean: State = {}
    seen = 0

    def loss(forward, batch):
        nonlocal seen
        seen += 1
        if averaged and seen > 0.9 * steps:
            count = seen - int(0.9 * steps)
            for name, value in run.supernet.state_dict().items():
                if value.is_floating_point():
                    old = mean.setdefault(name, value.clone())
                    old += (value - old) / count
        return LOSS(forward, batch)

    run.fit(steps, loss=loss, lam_x=1, warmup=1.0, final=0.0, cost=())
    return run.supernet.state_dict() | mean, run.spent


def _scored(run: Run, items: int | None) -> tuple[Networks, list[float], Known]:
    held = run.valid_items(items)
    networks = run.distinct(max(1, int((run.budget - run.spent) / run.units(len(held[1])))))
    return networks, run.losses(networks, held), partial(run.losses, items=held)


def _some_of_all(run: Run, most: int) -> Networks:
    return random.Random(run.seed).sample(
        every := all_architectures(run.supernet.space), min(most, len(every))
    )


def _choices(space: asng.Space, networks: Networks, *, pairs: bool) -> np.ndarray:
    """Return indicators of every level of every variable, and of every pair of levels."""
    levels = []
    for name, variable in space.items():
        values = values_of(variable)
        levels.append(np.array([[network[name] == value for value in values] for network in networks], float))
    joint = [(a[:, :, None] * b[:, None, :]).reshape(len(networks), -1) for a, b in combinations(levels, 2)]
    return np.column_stack([*levels, *(joint if pairs else [])])


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weights of a ridge regression whose penalty is chosen by generalised cross-validation."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    projected, best = u.T @ y, (math.inf, np.zeros(x.shape[1]))
    for penalty in np.geomspace(1e-2, 1e4, 25):
        shrink = s**2 / (s**2 + penalty)
        left = y - u @ (shrink * projected)
        error = float(left @ left) / max(1e-9, len(y) - shrink.sum()) ** 2
        if error < best[0]:
            best = error, vt.T @ (s / (s**2 + penalty) * projected)
    return best[1]


# --- theta moves ----------------------------------------------------------------------------------------

PLAIN = partial(asng.ASNG, reuse=False)
MOVING = {"lam_x": 1, "lam_theta": 2, "warmup": 0.25, "final": 0.0}


def theta(
    run: Run, *, optimizer: Callable[..., Optimizer] = PLAIN, **settings
) -> tuple[asng.Architecture, Known]:
    """Return the mode of theta after a search without a final."""
    steps = steps_for(run.budget, **MOVING)
    own = optimizer(run.supernet.space, lam=2, seed=run.seed)
    result = run.fit(steps, architecture_optimizer=own, **MOVING, **settings)
    return result.architecture, partial(run.losses, items=run.valid_items(ITEMS))


def growing_batches(run: Run) -> tuple[asng.Architecture, Known]:
    """Let validation batches grow from half of the usual size to one and a half, at the same cost."""
    steps = steps_for(run.budget, **MOVING)
    moves, size = round(0.75 * steps), min(run.problem.batch, len(run.valid))
    sizes = np.linspace(0.5 * size, min(1.5 * size, len(run.valid)), moves).astype(int)
    rng = np.random.default_rng(run.seed)
    order = [rng.choice(len(run.valid), count, replace=False).tolist() for count in sizes]
    return theta(run, valid=batches(run.valid, size, order=order))


METHODS: dict[str, Callable[[Run], tuple[asng.Architecture, Known]]] = {
    "uniform": uniform,
    "uniform, whole validation half": partial(uniform, items=None),
    "uniform, size a second judge": with_size,
    "uniform, by removal": partial(fitted, pairs=False, size=False),
    "uniform, fitted with pairs": partial(fitted, pairs=True, size=False),
    "uniform, fitted with pairs and size": partial(fitted, pairs=True, size=True),
    "uniform, weights averaged": partial(uniform, averaged=True),
    "sandwich": partial(sandwiched, taught=False),
    "sandwich, largest teaches": partial(sandwiched, taught=True),
    "theta": theta,
    "theta, control variate": partial(theta, optimizer=partial(PLAIN, control_variate=True)),
    "theta, larger batches late": growing_batches,
    "theta over pairs": partial(theta, optimizer=Paired),
}
BESIDE = {name: "theta" if name.startswith("theta") else "uniform" for name in METHODS}


def row_of(name: str, method: str, trainings: float, seed: int, table: Table) -> dict:
    """Search once, and return the row: rank correlation, found network, cost."""
    problem, start = PROBLEMS[name], time.process_time()
    run = Run(problem, seed, problem.budget(trainings))
    found, known = METHODS[method](run)
    seconds, spent = time.process_time() - start, run.spent
    every = _within(run)
    truth = [table[network] for network in every]
    return {
        "method": method,
        "cost": trainings,
        "seed": seed,
        "found": key_of(found),
        "truth": table[found],
        "spearman": round(-float(spearmanr(known(every), truth).statistic), 3),
        "spent": round(spent / problem.budget(1), 2),
        "cpu_seconds": round(seconds, 1),
        "commit": commit(),
    }


def _within(run: Run) -> Networks:
    every = list(filter(run.problem.within, all_architectures(run.supernet.space)))
    return random.Random(0).sample(every, min(COMPARED, len(every)))


def figures_of(rows: list[dict], table: Table) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by cost and method, rank correlation and closed distance, and the gain over the plain form."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    of = {(row["cost"], row["method"], row["seed"]): row for row in rows}
    for (cost, method), own in _grouped(rows).items():
        plain = [of.get((cost, BESIDE[method], row["seed"])) for row in own]
        pairs = [(row, other) for row, other in zip(own, plain, strict=True) if other is not None]
        more = [row["spearman"] - other["spearman"] for row, other in pairs]
        gain = [(row["truth"] - other["truth"]) / (table.best - table.median) for row, other in pairs]
        figures.setdefault(f"{cost:g}", {})[method] = {
            "seeds": len(own),
            "spearman": round(statistics.fmean(row["spearman"] for row in own), 3),
            "spearman_gain": round(statistics.fmean(more), 3),
            "spearman_gain_error": _error(more),
            "closed": round(table.closed(statistics.fmean(row["truth"] for row in own)), 3),
            "closed_gain": round(statistics.fmean(gain), 3),
            "closed_gain_error": _error(gain),
            "spent": max(row["spent"] for row in own),
            "cpu_seconds": round(statistics.fmean(row["cpu_seconds"] for row in own), 1),
        }
    return figures


def _grouped(rows: list[dict]) -> dict[tuple[float, str], list[dict]]:
    groups: dict[tuple[float, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["cost"], row["method"]), []).append(row)
    return groups


def _error(values: Sequence[float]) -> float:
    return round(statistics.stdev(values) / math.sqrt(len(values)), 3) if len(values) > 1 else 0.0


def methods_of(name: str) -> list[str]:
    """Return the methods for a problem: sandwiches need ordered variables, pairs need choices."""
    run = Run(PROBLEMS[name], 0, 1.0)
    ordered = not all(isinstance(variable, asng.Categorical) for variable in run.supernet.space.values())
    no = "over pairs" if ordered else "sandwich"
    return [method for method in METHODS if no not in method]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", choices=PROBLEMS)
    parser.add_argument("--costs", type=float, nargs="+", default=[4.0, 8.0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name = arguments.problem
    table, methods = Table.of(PROBLEMS[name]), arguments.methods or methods_of(name)
    path, known = (RESULTS / f"shared_scores_{name}.{kind}" for kind in ("lines", "json"))
    rows = json.loads(known.read_text())["rows"] if known.exists() else []
    rows += [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["method"], row["cost"], row["seed"]): row for row in rows if row["method"] in METHODS}
    with path.open("a") as lines:
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
            for cost in arguments.costs:
                for method in methods:
                    if (method, cost, seed) not in done:
                        row = done[method, cost, seed] = row_of(name, method, cost, seed, table)
                        lines.write(json.dumps(row) + "\n")
                        lines.flush()
    rows = list(done.values())
    figures = figures_of(rows, table)
    for cost, by_method in figures.items():
        print(f"{'cost ' + cost:38}" + " ".join(f"{key:>12.12}" for key in next(iter(by_method.values()))))
        for method, row in by_method.items():
            print(f"{method:38}" + " ".join(f"{value:12}" for value in row.values()))
    print(write(f"shared_scores_{name}", {"costs": figures, "rows": rows}))


if __name__ == "__main__":
    main()
