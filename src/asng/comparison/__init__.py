"""ASNG beside other methods on known problems: `asng benchmark`. The peers are the extra `benchmark`."""

from asng.comparison.run import run_benchmark
from asng.comparison.settings import BenchmarkSettings

__all__ = ["BenchmarkSettings", "run_benchmark"]
