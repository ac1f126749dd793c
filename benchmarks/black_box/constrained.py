"""`asng.minimize` beside TPE of Optuna where few points keep the constraints.

python -m benchmarks.black_box.constrained --seeds 10     # existing rows are not measured again

A row has the least loss of a point that keeps all constraints, after 30, 60, 100 and 200 calls; None if there
is none. How the model treats points over a constraint was looked at on the problems of CHOSEN_ON; those of
KEPT_BACK were not looked at before. Optima and limits differ by seed, except in tables.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import asng
from asng import Categorical, Integer, Real, Space
from asng.black_box import Measured
from benchmarks.black_box.methods import Suggested
from benchmarks.black_box.problems import hpobench, hpolib, nb201, table_of
from benchmarks.record import RESULTS, commit, write

COUNTS = (30, 60, 100, 200)
Values = Mapping[str, Any]
Outcome = tuple[float, dict[str, float]]
Problem = tuple[Space, Callable[[Values], Outcome]]


def limit(space: Space, value: Callable[[Values], float], share: float) -> float:
    """Return the limit that a share of uniform points keeps."""
    rng = np.random.default_rng(0)
    return float(np.quantile([value(space.sample(rng)) for _ in range(3000)], share))


def ball(seed: int) -> Problem:
    """A quadratic function of six reals; a ball elsewhere, of a twentieth of the space, is feasible."""
    rng = np.random.default_rng([seed, 1])
    centre, best = rng.uniform(0.3, 0.7, 6), rng.uniform(0.0, 1.0, 6)
    space = Space({f"x{i}": Real(0.0, 1.0) for i in range(6)})

    def away(a: Values, point: np.ndarray) -> float:
        return float(sum((a[f"x{i}"] - point[i]) ** 2 for i in range(6)))

    radius = limit(space, lambda a: away(a, centre), 0.05)
    return space, lambda a: (away(a, best), {"ball": away(a, centre) / radius - 1.0})


def network(seed: int) -> Problem:
    """Widths, an operation and a kernel size; a twentieth of the networks are small enough."""
    gains = np.random.default_rng([seed, 2]).uniform(0.5, 1.5, 5)
    space = Space(
        {f"w{i}": Integer(4, 256, log=True) for i in range(5)}
        | {"op": Categorical(["a", "b", "c", "d"]), "kernel": Categorical([3, 5, 7])}
    )

    def size(a: Values) -> float:
        widths = [4] + [a[f"w{i}"] for i in range(5)]
        factor = {"a": 1.0, "b": 0.8, "c": 1.2, "d": 0.7}[a["op"]] * a["kernel"]
        return factor * sum(one * other for one, other in pairwise(widths))

    most = limit(space, size, 0.05)

    def outcome(a: Values) -> Outcome:
        error = sum(gains[i] / math.log(2 + a[f"w{i}"]) for i in range(5))
        error += {"a": 0.1, "b": 0.25, "c": 0.0, "d": 0.3}[a["op"]] - 0.05 * (a["kernel"] == 5)
        return float(error), {"size": size(a) / most - 1.0}

    return space, outcome


def two_limits(seed: int) -> Problem:
    """Choices under one limit and reals under another; both hold in a twentieth of the space."""
    rng = np.random.default_rng([seed, 3])
    space = Space(
        {f"c{i}": Categorical([0, 1, 2, 3]) for i in range(6)} | {f"x{i}": Real(-2.0, 2.0) for i in range(3)}
    )
    losses, weights = rng.normal(size=(2, 6, 4))

    def load(a: Values) -> float:
        return float(sum(weights[i, a[f"c{i}"]] for i in range(6)))

    def tilt(a: Values) -> float:
        return abs(sum(a[f"x{i}"] for i in range(3)) - 1.0)

    most, widest = limit(space, load, 0.15), limit(space, tilt, 0.3)

    def outcome(a: Values) -> Outcome:
        loss = sum(losses[i, a[f"c{i}"]] for i in range(6)) + sum(
            (a[f"x{i}"] - 0.5 * i) ** 2 for i in range(3)
        )
        return float(loss), {"load": load(a) - most, "tilt": tilt(a) / widest - 1.0}

    return space, outcome


def knapsack(seed: int) -> Problem:
    """Which of 16 items to take; a tenth of the choices are light enough."""
    values, weights = np.random.default_rng([seed, 4]).uniform(1.0, 10.0, (2, 16))
    space = Space({f"take{i}": Categorical([False, True]) for i in range(16)})

    def weight(a: Values) -> float:
        return float(sum(weights[i] * a[f"take{i}"] for i in range(16)))

    most = limit(space, weight, 0.1)
    return space, lambda a: (
        -float(sum(values[i] * a[f"take{i}"] for i in range(16))),
        {"weight": weight(a) / most - 1.0},
    )


def slice_of(seed: int) -> Problem:
    """A valley of four reals and two integers, and a thin slice across it that is feasible."""
    rng = np.random.default_rng([seed, 5])
    turn, shift = rng.normal(size=6), rng.uniform(-1.0, 1.0, 6)
    space = Space({f"x{i}": Real(-3.0, 3.0) for i in range(4)} | {f"k{i}": Integer(0, 12) for i in range(2)})

    def point(a: Values) -> np.ndarray:
        return np.array([a[f"x{i}"] for i in range(4)] + [(a[f"k{i}"] - 6) / 2.0 for i in range(2)]) - shift

    def across(a: Values) -> float:
        return abs(float(turn @ point(a)) - 3.0)

    widest = limit(space, across, 0.06)

    def outcome(a: Values) -> Outcome:
        z = point(a)
        valley = float(np.sum(10.0 * (z[1:] - z[:-1] ** 2) ** 2 + z[:-1] ** 2))
        return math.log1p(valley), {"slice": across(a) / widest - 1.0}

    return space, outcome


def table(kind: str, of: Callable[[str, str], Any], data: str, limits: Mapping[str, float]) -> Problem:
    """A table of trained networks, with limits that shares of it keep."""
    most = {m: float(np.quantile(list(table_of(kind, data, m)[0].values()), s)) for m, s in limits.items()}
    loss, costs = of(data, ""), {metric: of(data, metric) for metric in limits}
    return loss.space, lambda a: (
        loss.loss(a),
        {metric: cost.loss(a) / most[metric] - 1.0 for metric, cost in costs.items()},
    )


CHOSEN_ON = {"ball": ball, "network": network, "two limits": two_limits}
KEPT_BACK: dict[str, Callable[[int], Problem]] = {
    "knapsack": knapsack,
    "slice": slice_of,
    "NAS-Bench-201": cache(
        lambda _: table("NASBench201", nb201, "cifar100", {"latency": 0.1, "model_size": 0.1})
    ),
    "HPOLib": cache(
        lambda _: table("HPOLib", hpolib, "naval_propulsion", {"train_time": 0.2, "model_size": 0.3})
    ),
    "HPOBench": cache(lambda _: table("HPOBench", hpobench, "vehicle", {"train_time": 0.05})),
}


def ours(problem: Problem, seed: int) -> Iterator[Outcome]:
    space, f = problem
    found: list[Outcome] = []

    def loss(a: Values) -> Measured:
        found.append(f(a))
        return Measured(found[-1][0], constraints=found[-1][1])

    asng.minimize(loss, space, max(COUNTS), seed=seed)
    return iter(found)


def tpe(problem: Problem, seed: int) -> Iterator[Outcome]:
    import optuna

    space, f = problem
    found: list[Outcome] = []

    def objective(trial: Any) -> float:
        found.append(f(Suggested(trial, space)))
        trial.set_user_attr("constraints", list(found[-1][1].values()))
        return found[-1][0]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, constraints_func=lambda t: t.user_attrs["constraints"])
    optuna.create_study(sampler=sampler).optimize(objective, n_trials=max(COUNTS))
    return iter(found)


WAYS = (ours, tpe)


def bests(found: Iterator[Outcome]) -> dict[str, float | None]:
    """Return the least loss of a feasible point after each number of calls."""
    best, row = math.inf, dict[str, float | None]()
    for number, (loss, constraints) in enumerate(found, start=1):
        if max(constraints.values()) <= 0.0:
            best = min(best, loss)
        if number in COUNTS:
            row[f"at_{number}"] = best if math.isfinite(best) else None
    last = best if math.isfinite(best) else None  # the whole space may have been seen
    return {f"at_{count}": row.get(f"at_{count}", last) for count in COUNTS}


def won(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return on how many seeds `asng.minimize` is ahead and behind, by problem and number of calls."""
    pairs = defaultdict(dict[str, dict[str, Any]])
    for row in rows:
        pairs[row["problem"], row["seed"]][row["way"]] = row
    lines = []
    for group in [*CHOSEN_ON, *KEPT_BACK]:
        line: dict[str, Any] = {"problem": group, "kept_back": group in KEPT_BACK}
        both = [pair for (name, _), pair in pairs.items() if name == group and len(pair) == len(WAYS)]
        for count in COUNTS:
            mine, others = (
                [
                    math.inf
                    if pair[way.__name__][f"at_{count}"] is None
                    else pair[way.__name__][f"at_{count}"]
                    for pair in both
                ]
                for way in WAYS
            )
            line[f"ahead_{count}"] = sum(a < b for a, b in zip(mine, others, strict=True))
            line[f"behind_{count}"] = sum(a > b for a, b in zip(mine, others, strict=True))
        lines.append(line | {"seeds": len(both)})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "constrained.json"
    rows = json.loads(path.read_text())["runs"] if path.exists() else []
    known = {(row["problem"], row["way"], row["seed"]) for row in rows}
    for seed in range(given.seeds):
        for name, problem in (CHOSEN_ON | KEPT_BACK).items():
            for way in WAYS:
                if (name, way.__name__, seed) not in known:
                    row = {"problem": name, "way": way.__name__, "seed": seed, "commit": commit()}
                    rows.append(row | bests(way(problem(seed), seed)))
                    write("constrained", {"won": won(rows)}, rows)
    for line in won(rows):
        print(line)


if __name__ == "__main__":
    main()
