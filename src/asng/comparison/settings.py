"""What a benchmark is to run."""

from dataclasses import dataclass

from asng.checks import integer_at_least, one_of
from asng.comparison.methods import METHODS
from asng.comparison.problems import PROBLEMS
from asng.errors import InputError

__all__ = ["BenchmarkSettings"]


@dataclass(frozen=True)
class BenchmarkSettings:
    """Problems and methods; each method runs on each problem with each seed.

    Args:
        problems: Names of problems. Default: all.
        methods: Names of methods. Default: all.
        budget: Evaluations a run, >= 1; slow methods have a smaller limit of their own.

    Raises:
        InputError: A name is unknown or occurs twice, or the budget is not as described.
    """

    problems: tuple[str, ...] = tuple(PROBLEMS)
    methods: tuple[str, ...] = tuple(METHODS)
    budget: int = 10_000

    def __post_init__(self) -> None:
        integer_at_least("budget", self.budget, 1)
        for field, names, known in (
            ("problems", self.problems, PROBLEMS),
            ("methods", self.methods, METHODS),
        ):
            if not names or len(set(names)) < len(names):
                raise InputError(f"{field}: expected one or more different names, got {list(names)!r}.")
            for name in names:
                one_of(field, name, known)
