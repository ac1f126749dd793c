"""Settings of the toy problem: the grid of what varies, and what is fixed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from asng.checks import keep_integer, one_of, real_between
from asng.errors import InputError

__all__ = ["GridPoint", "MethodName", "ToySettings"]

MethodName: TypeAlias = Literal["ASNG", "SNG", "Adam"]
_METHODS = ("ASNG", "SNG", "Adam")


class GridPoint(NamedTuple):
    """One point of the grid: a method, the exponent f in delta_init = n^-f, and the initial rate of x."""

    method: str
    exponent: float
    learning_rate: float


@dataclass(frozen=True)
class ToySettings:
    """The toy problem and the grid over it; defaults are the paper's values if these are known.

    Args:
        variables: Number of categorical variables, D.
        choices: Choices of each variable, K, 2 to 256.
        iterations: Steps of x and of theta in each run.
        methods: Which of ASNG, SNG and Adam to run.
        exponents: f in the initial step size of theta, n^-f with n = D (K - 1); for Adam its learning rate.
        learning_rates: Initial learning rates of x, > 0; each falls to 0 along half a cosine.
        momentum: Momentum of the steps of x, 0 to 1.
    """

    variables: int = 30
    choices: int = 5
    iterations: int = 100_000
    methods: tuple[MethodName, ...] = ("ASNG", "SNG", "Adam")
    exponents: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    learning_rates: tuple[float, ...] = (0.0005, 0.005, 0.05, 0.5)
    momentum: float = 0.9

    def __post_init__(self) -> None:
        keep_integer(self, "variables", 1)
        keep_integer(self, "choices", 2)
        if self.choices > 256:  # a choice is stored in one byte
            raise InputError(f"choices: expected an integer in [2, 256], got {self.choices}.")
        keep_integer(self, "iterations", 1)
        for name in ("methods", "exponents", "learning_rates"):
            _check_distinct(name, getattr(self, name))
        for method in self.methods:
            one_of("methods", method, _METHODS)
        for exponent in self.exponents:
            real_between("exponents", exponent, 0.0, 10.0)
        for rate in self.learning_rates:
            real_between("learning_rates", rate, 0.0, 1e3, open_low=True)
        real_between("momentum", self.momentum, 0.0, 1.0)

    @property
    def n_theta(self) -> int:
        """Degrees of freedom of theta, D (K - 1)."""
        return self.variables * (self.choices - 1)

    def delta_init(self, exponent: float) -> float:
        """Return the initial step size of theta, n_theta^-exponent."""
        return float(self.n_theta**-exponent)

    def parts(self) -> Iterator[list[GridPoint]]:
        """Yield all grid points in parts of one method and one learning rate, each to be run at once."""
        for method in self.methods:
            for rate in self.learning_rates:
                yield [GridPoint(method, float(exponent), float(rate)) for exponent in self.exponents]


def _check_distinct(name: str, values: object) -> None:
    if not isinstance(values, tuple) or not values or len(set(values)) < len(values):
        got = list(values) if isinstance(values, tuple) else values
        raise InputError(f"{name}: expected one or more different values, got {got!r}.")
