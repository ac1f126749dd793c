"""Compare ASNG with other methods on known problems (`asng benchmark`); they need the extra `benchmark`."""

from asng.experiments.benchmark.experiment import BenchmarkSettings, begun_benchmark, run_benchmark
from asng.experiments.benchmark.methods import METHODS
from asng.experiments.benchmark.problems import PROBLEMS

__all__ = ["METHODS", "PROBLEMS", "BenchmarkSettings", "begun_benchmark", "run_benchmark"]
