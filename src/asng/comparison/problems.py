"""The problems of `asng benchmark`, by name. Each is made when it is run."""

from collections.abc import Callable
from functools import partial

from asng.comparison.problem import Problem
from asng.comparison.synthetic import conditional, leading_ones, one_max, sphere
from asng.comparison.tabular import nas_bench_201, nas_bench_graph, pseudo_boolean

__all__ = ["PROBLEMS"]

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
