"""Problems of closed form, in which the best choice of every categorical is 0."""

from collections.abc import Callable

from asng.comparison.problem import Point, Problem
from asng.space import Categorical, Integer, Space

__all__ = ["conditional", "leading_ones", "one_max", "sphere"]


def _categoricals(variables: int, choices: int) -> dict[str, Categorical]:
    return {f"c{i}": Categorical(range(choices)) for i in range(variables)}


def one_max(noise: float = 0.0, shift: float = 0.0) -> Problem:
    """Count wrong choices, of 30 variables with 5 choices; `shift` is added to every loss."""

    def loss(point: Point) -> float:
        return sum(value != 0 for value in point) + shift

    return Problem(Space(_categoricals(30, 5)), loss, shift, shift, noise)


def leading_ones() -> Problem:
    """Count the variables from the first wrong one on, of 15 with 5 choices."""

    def loss(point: Point) -> float:
        return float(len(point) - next((i for i, value in enumerate(point) if value != 0), len(point)))

    return Problem(Space(_categoricals(15, 5)), loss, 0.0, 0.0)


def sphere(middle: int) -> Problem:
    """10 wrong choices at 10 each, and squares of the distance to `middle` of 10 integers in [0, 10]."""
    space = Space({**_categoricals(10, 5), **{f"i{i}": Integer(0, 10) for i in range(10)}})

    def loss(point: Point) -> float:
        wrong = sum(value != 0 for value in point[:10])
        return 10.0 * wrong + sum((value - middle) ** 2 for value in point[10:])

    return Problem(space, loss, 0.0, 0.0)


def conditional(gates: int = 10, each: int = 3, choices: int = 5, closed: float = 2.4) -> Problem:
    """Gates that should be open, each with variables that count only where it is.

    An open gate costs its wrong variables, a closed one `closed`: opening does not pay before its variables
    are learnt.
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
