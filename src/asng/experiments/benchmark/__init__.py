"""ASNG beside other methods on known problems: `asng benchmark`. The peers are the extra `benchmark`."""

from asng.experiments.benchmark.experiment import BenchmarkSettings, run_benchmark

__all__ = ["BenchmarkSettings", "run_benchmark"]
