"""How much of the objective space do fronts of `asng.minimize` dominate, beside other searches for fronts?

python -m benchmarks.optimiser.fronts
python -m benchmarks.optimiser.fronts --again ours    # one way anew; the other rows stay as they are

The figure is the share of a box, up to a reference point, that the front dominates, by 20,000 fixed points.
The search was chosen on the problems of CHOSEN_ON; those of KEPT_BACK were not looked at before. In tables of
trained networks the box reaches from the best value of each objective to the median, in the logarithm for
sizes and seconds. Existing rows are not measured again; each has its commit. COMO-CatCMA needs cmaes 0.13 or
later.
"""

import argparse
import json
import math
import statistics
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asng import minimize
from asng.optim import RandomSearch
from asng.space import Categorical, Integer, Real, Space
from benchmarks.black_box.methods import as_cmaes_has_it
from benchmarks.black_box.problems import METRICS, hpobench, hpolib, nb201, table_of
from benchmarks.record import RESULTS, commit, write

BUDGETS = (30, 100, 400)
Values = Mapping[str, Any]
Problem = tuple[Space, Callable[[Values], tuple[float, ...]], tuple[float, ...]]


def reals(n: int) -> Space:
    return Space({f"r{i}": Real(0.0, 1.0) for i in range(n)})


def zdt1(a: Values) -> tuple[float, ...]:
    x = [a[f"r{i}"] for i in range(8)]
    g = 1 + 9 * sum(x[1:]) / 7
    return x[0], g * (1 - math.sqrt(x[0] / g))


def concave(a: Values) -> tuple[float, ...]:
    x = [a[f"r{i}"] for i in range(8)]
    g = 1 + 9 * sum(abs(v - 0.3) for v in x[1:]) / 7
    return x[0], g * (1 - (x[0] / g) ** 2)


def choices(a: Values) -> tuple[float, ...]:
    v = list(a.values())
    idle = 0.2 * v.count(0)
    return len(v) - v.count(1) + idle, len(v) - v.count(2) + idle


def mixed(a: Values) -> tuple[float, ...]:
    rest = 0.3 * sum(a[f"c{i}"] != 0 for i in range(5))
    first = (a["k"] - 3) ** 2 / 10 + (a["r"] + 1) ** 2 + (a["op"] != "a") + rest
    return first, (a["k"] - 14) ** 2 / 10 + (a["r"] - 2) ** 2 + 0.5 * (a["op"] != "b") + rest


def zdt3(a: Values) -> tuple[float, ...]:
    x = [a[f"r{i}"] for i in range(10)]
    g = 1 + sum(x[1:])
    return x[0], g * (1 - math.sqrt(x[0] / g) - x[0] / g * math.sin(10 * math.pi * x[0]))


def dtlz2(a: Values) -> tuple[float, ...]:
    x = [a[f"r{i}"] for i in range(7)]
    g = 1 + sum((v - 0.5) ** 2 for v in x[2:])
    one, two = (v * math.pi / 2 for v in x[:2])
    return g * math.cos(one) * math.cos(two), g * math.cos(one) * math.sin(two), g * math.sin(one)


def widths(a: Values) -> tuple[float, ...]:
    """Return two objectives: an error that falls with the size of used layers, and that size."""
    used = [a[f"w{i}"] for i in range(a["depth"])]
    error = (
        1.0 / (1.0 + sum(math.log(w) for w in used) / 4) + {"relu": 0.05, "gelu": 0.0, "tanh": 0.1}[a["act"]]
    )
    return error, sum(used) / 100


def table(kind: str, of: Callable[[str, str], Any], data: str, other: str) -> Problem:
    """Return the losses of a table of networks, and another of their metrics, to be kept low together."""
    parts = []
    for metric in (METRICS[kind], other):
        found = np.array(list(table_of(kind, data, metric)[0].values()))
        change = math.log if metric == other else float
        low, middle = (change(float(value)) for value in (found.min(), np.median(found)))
        parts.append((of(data, metric), change, low, middle - low))

    def losses(a: Values) -> tuple[float, ...]:
        return tuple((change(one.loss(a)) - low) / width for one, change, low, width in parts)

    return parts[0][0].space, losses, (1.0, 1.0)


CHOSEN_ON: dict[str, Problem | Callable[[], Problem]] = {
    "ZDT1, 8 reals": (reals(8), zdt1, (1.1, 6.0)),
    "concave, 8 reals": (reals(8), concave, (1.1, 5.0)),
    "20 choices of 4": (
        Space({f"c{i}": Categorical([0, 1, 2, 3]) for i in range(20)}),
        choices,
        (22.0, 22.0),
    ),
    "mixed": (
        Space(
            {"k": Integer(0, 20), "r": Real(-5.0, 5.0), "op": Categorical(["a", "b", "c"])}
            | {f"c{i}": Categorical([0, 1, 2]) for i in range(5)}
        ),
        mixed,
        (20.0, 20.0),
    ),
    "NAS-Bench-201, CIFAR-10": partial(table, "NASBench201", nb201, "cifar10", "model_size"),
    "HPOLib, Parkinson's": partial(table, "HPOLib", hpolib, "parkinsons_telemonitoring", "model_size"),
    "HPOBench, phoneme": partial(table, "HPOBench", hpobench, "phoneme", "train_time"),
}
KEPT_BACK: dict[str, Problem | Callable[[], Problem]] = {
    "ZDT3, 10 reals": (reals(10), zdt3, (1.1, 6.0)),
    "DTLZ2, 3 objectives": (reals(7), dtlz2, (1.5, 1.5, 1.5)),
    "widths, conditional": (
        Space(
            {f"w{i}": Integer(1, 64, log=True) for i in range(6)}
            | {"depth": Integer(1, 6), "act": Categorical(["relu", "gelu", "tanh"])}
        ),
        widths,
        (1.1, 4.0),
    ),
    "NAS-Bench-201, ImageNet": partial(table, "NASBench201", nb201, "imagenet", "latency"),
    "HPOLib, protein": partial(table, "HPOLib", hpolib, "protein_structure", "train_time"),
    "HPOBench, segment": partial(table, "HPOBench", hpobench, "segment", "train_time"),
}


def problem_of(name: str) -> Problem:
    """Return a problem; tables are read when they are needed."""
    found = (CHOSEN_ON | KEPT_BACK)[name]
    return found if isinstance(found, tuple) else found()


def ours(problem: Problem, seed: int, *, chance: bool = False) -> list[tuple[float, ...]]:
    space, f, reference = problem
    names = [f"f{i}" for i in range(len(reference))]
    result = minimize(
        lambda a: dict(zip(names, f(a), strict=True)),
        space,
        max(BUDGETS),
        objectives=names,
        seed=seed,
        optimizer=RandomSearch(space, lam=8, seed=seed) if chance else None,
    )
    return [tuple((one.losses or {}).values()) for one in result.history if not one.cached]


def at_random(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    return ours(problem, seed, chance=True)


def tpe(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    import optuna

    return by_optuna(problem, optuna.samplers.TPESampler(seed=seed))


def nsga2(problem: Problem, seed: int, population: int = 50) -> list[tuple[float, ...]]:
    import optuna

    return by_optuna(problem, optuna.samplers.NSGAIISampler(seed=seed, population_size=population))


def by_optuna(problem: Problem, sampler: Any) -> list[tuple[float, ...]]:
    import optuna

    space, f, reference = problem

    def objective(trial: Any) -> tuple[float, ...]:
        a: dict[str, Any] = {}
        for name, v in space.items():
            if isinstance(v, Categorical):
                a[name] = trial.suggest_categorical(name, list(v.choices))
            elif isinstance(v, Integer):
                a[name] = trial.suggest_int(name, v.low, v.high, log=v.log)
            else:
                a[name] = trial.suggest_float(name, v.low, v.high)
        return f(a)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * len(reference), sampler=sampler)
    study.optimize(objective, n_trials=max(BUDGETS))
    return [tuple(trial.values) for trial in study.trials]


def nsga2_of_20(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    return nsga2(problem, seed, population=20)


def como_catcma(problem: Problem, seed: int, kernels: int = 10) -> list[tuple[float, ...]]:
    """Search by COMO-CatCMA with margin: a distribution for each of `kernels` (10) points of the front.

    It chooses its own reference point, since users have none; `minimize` gets none either.
    """
    import cmaes

    space, f, _ = problem
    given, values = as_cmaes_has_it(space)
    es = cmaes.COMOCatCMAwM(**given, kernel_size=kernels, seed=seed)
    found: list[tuple[float, ...]] = []
    while len(found) < max(BUDGETS):
        told = [(solution, f(values(solution))) for solution in es.ask_iter(limit=max(BUDGETS) - len(found))]
        found += [losses for _, losses in told]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            es.tell(told)
    return found


def como_catcma_of_4(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    return como_catcma(problem, seed, kernels=4)


def como_catcma_of_2(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    return como_catcma(problem, seed, kernels=2)


COMO = (como_catcma, como_catcma_of_4, como_catcma_of_2)
WAYS = (ours, tpe, *COMO, nsga2, nsga2_of_20, at_random)


def shares(found: list[tuple[float, ...]], reference: tuple[float, ...]) -> list[float]:
    """Return the share of the box from 0 to the reference that is dominated, after each budget."""
    rng = np.random.default_rng(0)
    cells: NDArray[np.float64] = rng.random((20_000, len(reference))) * reference
    dominated, result = np.zeros(len(cells), dtype=bool), []
    for number, point in enumerate(found, start=1):
        dominated |= (np.array(point) <= cells).all(axis=1)
        if number in BUDGETS:
            result.append(float(dominated.mean()))
    return result + [float(dominated.mean())] * (len(BUDGETS) - len(result))


def measured(name: str, way: Callable[..., list[tuple[float, ...]]], seeds: int) -> dict[str, Any]:
    problem = problem_of(name)
    each = [shares(way(problem, seed), problem[2]) for seed in range(seeds)]
    row: dict[str, Any] = {"problem": name, "kept_back": name in KEPT_BACK, "way": way.__name__}
    row |= {f"at_{budget}": statistics.median(one[i] for one in each) for i, budget in enumerate(BUDGETS)}
    library = {"como": "cmaes", "nsga": "optuna", "tpe": "optuna"}.get(way.__name__[:4])
    return row | {"commit": commit()} | ({"library": f"{library} {version(library)}"} if library else {})


def there_already(seeds: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that were measured with these seeds and budgets, by problem and way."""
    path = RESULTS / "fronts.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["seeds"] != list(range(seeds)) or found["budgets"] != list(BUDGETS):
        return {}
    return {(row["problem"], row["way"]): {"commit": found["commit"]} | row for row in found["rows"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--again", nargs="*", default=[], choices=[way.__name__ for way in WAYS])
    given = parser.parse_args()
    rows = there_already(given.seeds)
    for name in CHOSEN_ON | KEPT_BACK:
        for way in WAYS:
            key = (name, way.__name__)
            if way in COMO and len(problem_of(name)[2]) > 2:
                continue  # cmaes supports it for two objectives only
            if key not in rows or way.__name__ in given.again:
                rows[key] = measured(name, way, given.seeds)
                print(rows[key], flush=True)
                figures = {"seeds": list(range(given.seeds)), "budgets": BUDGETS, "rows": list(rows.values())}
                write("fronts", figures)


if __name__ == "__main__":
    main()
