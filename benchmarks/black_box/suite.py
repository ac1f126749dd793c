"""Which problems defaults are chosen on, and which are held out until then.

The split was made before any method was run; `models` joined the development half later. Results on
`HELD_OUT` must not decide anything in `src`.
"""

from collections.abc import Callable
from functools import partial

from benchmarks.black_box import models as m
from benchmarks.black_box import problems as p
from benchmarks.black_box import tuning as t

__all__ = ["DEVELOPMENT", "HELD_OUT", "make"]

Maker = Callable[[int], p.Problem]
"""Makes a problem from the number of an instance, which is the seed of the run."""


def _each(kind: Callable[..., p.Problem], *names: str) -> dict[str, Maker]:
    return {f"{kind.__name__}-{name}": partial(kind, name) for name in names}


def _same(kind: Callable[..., p.Problem], *given: object) -> Maker:
    return lambda instance: kind(*given)


DEVELOPMENT: dict[str, dict[str, Maker]] = {
    "tuning": {
        "svm-cancer": _same(t.svm, "breast_cancer", 240),
        "zoo-digits": _same(t.zoo, "digits", 150),
        "kernels-diabetes": _same(t.kernels, "diabetes", 200),
        "tree-cancer": m.tree,
        "descent-cancer": m.descent,
        "linear-diabetes": m.linear,
        "neighbours-digits": m.neighbours,
        "perceptron-friedman": m.perceptron,
        "svr-friedman": m.svr,
        "classical-digits": m.classical,
        "committee-made": m.committee,
    },
    "tables": {
        "hpolib-protein": _same(p.hpolib, "protein_structure"),
        "hpolib-naval": _same(p.hpolib, "naval_propulsion"),
        "hpobench-car": _same(p.hpobench, "car"),
        "hpobench-phoneme": _same(p.hpobench, "phoneme"),
        "nb201-cifar100": _same(p.nb201, "cifar100"),
    },
    "mixed": _each(p.mixed, "sphere", "ellipsoid100", "rosenbrock", "rastrigin"),
    "engineering": {"beam": p.beam, "gears": p.gears, "spring": p.spring, "concrete": p.concrete},
    "continuous": _each(p.continuous, "sphere", "ellipsoid100", "rosenbrock", "rastrigin", "ackley"),
}

HELD_OUT: dict[str, dict[str, Maker]] = {
    "tuning": {
        "network-wine": _same(t.network, "wine", 178),
        "trees-digits": _same(t.trees, "digits", 240),
        "boosting-diabetes": _same(t.boosting, "diabetes", 100),
    },
    "tables": {
        "hpolib-parkinsons": _same(p.hpolib, "parkinsons_telemonitoring"),
        "hpolib-slice": _same(p.hpolib, "slice_localization"),
        "hpobench-vehicle": _same(p.hpobench, "vehicle"),
        "hpobench-kc1": _same(p.hpobench, "kc1"),
        "nb201-imagenet": _same(p.nb201, "imagenet"),
    },
    "mixed": _each(p.mixed, "ackley", "levy", "griewank", "valley"),
    "engineering": {"vessel": p.vessel, "reducer": p.reducer, "column": p.column, "cantilever": p.cantilever},
    "continuous": _each(p.continuous, "ellipsoid1e6", "levy", "griewank", "powers", "cigar"),
}


def make(name: str, instance: int) -> p.Problem:
    """Return an instance of a problem of either half."""
    for half in (DEVELOPMENT, HELD_OUT):
        for group in half.values():
            if name in group:
                return group[name](instance)
    raise KeyError(name)
