"""A search space: named variables."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from asng.checks import nearest
from asng.errors import SpaceError, in_one_line
from asng.shown import few, html_table
from asng.space.architecture import Architecture
from asng.space.conditions import Conditions, product_of
from asng.space.variables import Categorical, Integer, Real, Value, Variable, variable_from_json

__all__ = ["Space", "Uniform", "Candidate"]


class Candidate(Mapping[str, Value]):
    """A point to evaluate: `ask` returns it and `tell` takes it back.

    It is a read-only mapping from the names of variables to their values, as its `architecture` is. Two
    candidates with equal values are still two: they compare and hash by identity. Optimisers make candidates;
    `Space.candidate` makes one by hand.

    Attributes:
        space: The space it was drawn from.
        x: Raw coordinates, one float per variable in the space's order: the index of a choice, or the
            unrounded, unclipped draw of an ordered variable.
        active: Names of the variables that the evaluation read, or None for all of them.
        generation: Number of updates that the optimiser had made before it drew this candidate; None if made
            by hand.
        number: Index of the candidate among the optimiser's draws, from 0 on, or None.
        origin: Data from which the optimiser computes, for a late tell, how likely the draw was; None if made
            by hand.

    Example:
        >>> from asng.space import Integer, Space
        >>> candidate = Space({"width": Integer(1, 9)}).candidate([3.4])
        >>> candidate["width"], dict(candidate)
        (3, {'width': 3})
    """

    __slots__ = ("_architecture", "active", "generation", "number", "origin", "space", "x")

    def __init__(
        self,
        space: "Space",
        x: Sequence[float],
        *,
        active: frozenset[str] | None = None,
        generation: int | None = None,
        number: int | None = None,
        origin: object = None,
    ) -> None:
        self.space = space
        self.x = x
        self.active = active
        self.generation = generation
        self.number = number
        self.origin = origin
        self._architecture: Architecture | None = None

    @property
    def architecture(self) -> Architecture:
        """The values that the raw coordinates stand for, decoded on first access."""
        if self._architecture is None:
            self._architecture = self.space.decode(self.x)
        return self._architecture

    def __getitem__(self, name: str) -> Value:
        return self.architecture[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.architecture)

    def __len__(self) -> int:
        return len(self.architecture)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def with_active(self, active: frozenset[str] | None) -> "Candidate":
        """Return a copy with the names of the variables that its evaluation read."""
        twin = Candidate(
            self.space,
            self.x,
            active=active,
            generation=self.generation,
            number=self.number,
            origin=self.origin,
        )
        twin._architecture = self._architecture
        return twin

    def __repr__(self) -> str:
        return f"Candidate({dict(self.architecture)!r})"


class Uniform(Protocol):
    """A random generator with a method `random()`, such as NumPy's or the standard library's."""

    def random(self) -> float:
        """Return a uniform number in [0, 1)."""


class Space(Mapping[str, Variable]):
    """Named variables in a fixed order.

    Args:
        variables: Name to variable. At least one.

    Raises:
        SpaceError: There is no variable, one has another type, or depends (`when`) on what does not exist.

    Example:
        >>> space = Space({"op": Categorical(["conv3", "skip"]), "width": Integer(16, 256, log=True)})
        >>> space.size
        482
        >>> space.contains({"op": "conv3", "width": 64})
        True
        >>> kernel, degree = Categorical(["poly", "rbf"]), Integer(1, 9, when={"kernel": "poly"})
        >>> Space({"kernel": kernel, "degree": degree}).size
        10
    """

    def __init__(self, variables: Mapping[str, Variable]) -> None:
        if not isinstance(variables, Mapping):
            raise SpaceError(f"variables: expected a dict of name to variable, got {variables!r}.")
        if not variables:
            raise SpaceError(
                "variables: expected at least one variable, got an empty space. "
                "Add a Categorical, an Integer or a Real."
            )
        for name, variable in variables.items():
            if not isinstance(name, str):
                raise SpaceError(f"variables: expected names that are strings, got {name!r}.")
            if not isinstance(variable, (Categorical, Integer, Real)):
                raise SpaceError(
                    f"variables[{name!r}]: expected Categorical, Integer or Real, got {variable!r}."
                )
        self._variables = dict(variables)
        self._conditions = Conditions(self._variables)

    def __getitem__(self, name: str) -> Variable:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Space):
            return list(self._variables.items()) == list(other._variables.items())
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._variables.items()))

    def __repr__(self) -> str:
        variables = few(f"{name!r}: {variable!r}" for name, variable in self._variables.items())
        return f"Space({{{variables}}})"

    def _repr_html_(self) -> str:
        rows = [(name, repr(variable)) for name, variable in self._variables.items()]
        return html_table(f"Space of {len(self)} variables, size {self.size:.4g}", rows)

    @property
    def size(self) -> float:
        """The number of architectures: an integer, or infinity with reals.

        With conditions it is an upper bound if more than 100,000 combinations of values decide which other
        variables are present, or fewer in a large space.
        """
        if self._conditions:
            return self._conditions.size()
        return product_of([variable.size for variable in self._variables.values()])

    @property
    def deciding(self) -> tuple[str, ...]:
        """Names of the variables that others depend on; empty without conditions."""
        return self._conditions.deciding

    def _architecture(self, values: dict[str, Value]) -> Architecture:
        """Return an architecture of the values whose variables are present, marked as valid in this space."""
        architecture = Architecture(values)
        if self._conditions:
            present = self._conditions.present(values)
            architecture = Architecture({name: values[name] for name in present}, self._conditions.deciding)
        architecture._space = self
        return architecture

    def sample(self, rng: Uniform) -> Architecture:
        """Draw an architecture uniformly (reals with `log` set: uniformly in log coordinates).

        Args:
            rng: A NumPy Generator, or a `random.Random`.
        """
        return self._architecture({n: v.uniform(rng.random()) for n, v in self._variables.items()})

    def contains(self, architecture: Mapping[str, object]) -> bool:
        """Whether `architecture` has an allowed value for each variable that is present, and no others."""
        if not self._conditions:
            names: Iterable[str] = self._variables
        elif architecture.keys() <= self._variables.keys():
            names = self._conditions.present(architecture)
        else:
            return False
        return architecture.keys() == set(names) and all(
            self._variables[name].contains(architecture[name]) for name in names
        )

    def check(self, architecture: Mapping[str, object]) -> None:
        """Raise an error that says why `architecture` is not in this space, if it is not.

        Raises:
            SpaceError: It is not a mapping, a name is missing or unknown, or a value is not allowed for its
                variable.
        """
        if not isinstance(architecture, Mapping):
            raise SpaceError(
                f"architecture: expected values by name of a variable, got {architecture!r:.80}."
            )
        for name in architecture:
            if name not in self._variables:
                raise SpaceError(
                    f"architecture[{name!r}]: the space has no such variable.{nearest(name, self._variables)}"
                )
        present = set(self._conditions.present(architecture)) if self._conditions else self._variables.keys()
        for name, variable in self._variables.items():
            if name in architecture and name not in present:
                raise SpaceError(
                    f"architecture[{name!r}]: expected no value, because it exists only when "
                    f"{dict(variable.when)!r:.200}, got {architecture[name]!r:.80}. Leave it out."
                )
            if name not in present:
                continue
            if name not in architecture:
                raise SpaceError(f"architecture[{name!r}]: expected a value, got none.")
            if not variable.contains(architecture[name]):
                raise SpaceError(f"architecture[{name!r}]: expected {variable.expected(architecture[name])}")

    def normal(self, architecture: Mapping[str, Value]) -> Mapping[str, Value]:
        """Return the values of an architecture with the types that its variables define.

        Values from a table or an array may be 3.0 or NumPy's 3 if the choice is 3: these are equal, but
        cannot be the size of a layer.

        Raises:
            SpaceError: The architecture is not in this space.

        Example:
            >>> Space({"kernel": Categorical([1, 3])}).normal({"kernel": 3.0})
            {'kernel': 3}
        """
        if isinstance(architecture, Architecture) and architecture._space is self:
            return architecture._values  # a plain dictionary: every layer of a pass reads it
        self.check(architecture)
        return {name: variable.normal(architecture[name]) for name, variable in self._variables.items()}

    def decode(self, x: Sequence[float]) -> Architecture:
        """Return the architecture that raw coordinates stand for."""
        values = x.tolist() if hasattr(x, "tolist") else x
        pairs = zip(self._variables.items(), values, strict=True)
        return self._architecture({name: variable.decode(value) for (name, variable), value in pairs})

    def encode(self, architecture: Mapping[str, object]) -> tuple[float, ...]:
        """Return raw coordinates that decode to `architecture`; absent variables get those of their middle.

        Raises:
            SpaceError: The architecture is not in this space.
        """
        self.check(architecture)
        return tuple(
            variable.encode(architecture.get(name, variable.uniform(0.5)))  # type: ignore[arg-type]
            for name, variable in self._variables.items()
        )

    def candidate(self, x: Sequence[float], active: Iterable[str] | None = None) -> Candidate:
        """Make a candidate from raw coordinates, to tell an optimiser about a point of your own.

        Args:
            x: One finite float per variable, in the space's order: for a categorical the index of a choice.
            active: Names of the variables that the evaluation read. Default: all.

        Raises:
            SpaceError: The number of coordinates is wrong, one is not finite or not the index of a choice,
                or `active` has an unknown name.
        """
        x = tuple(float(value) for value in x)
        if len(x) != len(self):
            raise SpaceError(f"x: expected {len(self)} coordinates, one per variable, got {len(x)}.")
        for (name, variable), value in zip(self._variables.items(), x, strict=True):
            if not math.isfinite(value):
                raise SpaceError(f"x, variable {name!r}: expected a finite number, got {value!r}.")
            if isinstance(variable, Categorical) and value not in range(len(variable.choices)):
                raise SpaceError(
                    f"x, variable {name!r}: expected the index of a choice, an integer in "
                    f"[0, {len(variable.choices) - 1}], got {value!r}."
                )
        names = None if active is None else frozenset(active)
        for name in names or ():
            if name not in self._variables:
                raise SpaceError(f"active: unknown variable {name!r}.{nearest(name, self._variables)}")
        return Candidate(self, x, active=names)

    def to_json(self) -> str:
        """Return the space as one JSON object, variables in their order."""
        return json.dumps({name: v.to_json() for name, v in self._variables.items()}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Space":
        """Return the space that `to_json` wrote.

        Raises:
            SpaceError: `text` does not have that form.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # RecursionError: deeply nested
            raise SpaceError(
                f"space: expected JSON, got text that cannot be read: {in_one_line(error)}."
            ) from None
        if not isinstance(data, dict):
            raise SpaceError(f"space: expected a JSON object, got {type(data).__name__}.")
        return cls({name: variable_from_json(variable) for name, variable in data.items()})
