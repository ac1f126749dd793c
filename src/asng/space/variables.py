"""The three types of variables in a search space: Categorical, Integer and Real.

A variable is only a description: it draws nothing, learns nothing and can be written as JSON. It maps
between a *value*, which users see ("conv3", 64, 0.1), and a *raw coordinate*, the one float that the
optimiser draws. The raw coordinate is the index of a choice, or a real number that is rounded and clipped
(in log coordinates if `log` is set).
"""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from numbers import Real as Number
from typing import Any, TypeAlias

from asng.checks import nearest, whole
from asng.errors import SpaceError
from asng.shown import few
from asng.space.arithmetic import Arithmetic
from asng.space.plain import check_integers, check_steps, in_order, is_finite, plain, shown

__all__ = ["Categorical", "Integer", "Real", "Variable", "Value", "When", "variable_from_json"]

_SHOWN = 20
"""Most choices that an error lists."""

_LARGEST_LOG = math.log(sys.float_info.max)
"""The logarithm of the largest float."""

Value: TypeAlias = str | int | float | bool | None
"""The type of a variable's value: any JSON value that is not an array or an object."""

When: TypeAlias = tuple[tuple[str, tuple[Value, ...]], ...]
"""A condition: names of other variables, and for each the values with which this variable is present."""


@dataclass(frozen=True)
class Categorical(Arithmetic):
    """One of several unordered choices.

    Args:
        choices: The choices in a fixed order, so no set: at least one, all different, each a str, int, float,
            bool or None. Scalars of NumPy become plain ones.
        label: Name under which a searchable module registers the variable; two modules that give the
            same label share one variable. Default: the module's path. A `Space` ignores it.
        when: Names of other variables of the space, and the value, or list of values, that each must have for
            this one to be present. If absent, it has no value in an architecture. Default: always present.

    Raises:
        SpaceError: There is no choice, one occurs twice or has an unsupported type, or they come as a set.

    Example:
        >>> Categorical(["conv3", "conv5", "skip"]).decode(1.0)
        'conv5'
    """

    choices: tuple[Value, ...]
    label: str | None = field(default=None, compare=False)
    when: When = ()

    def __init__(
        self,
        choices: Iterable[Value],
        label: str | None = None,
        *,
        when: Mapping[str, Value | Iterable[Value]] | When = (),
    ) -> None:
        if isinstance(choices, (str, bytes)):
            raise SpaceError(f"choices: expected a list of choices, got the string {choices!r}.")
        choices = in_order("choices", choices)
        if not choices:
            raise SpaceError("choices: expected at least one choice, got none.")
        for choice in choices:
            if choice is not None and not isinstance(choice, (str, int, float)):
                raise SpaceError(
                    f"choices: expected str, int, float, bool or None, got {choice!r}. "
                    "Name the choices by strings and look the objects up by name."
                )
            if isinstance(choice, float) and not math.isfinite(choice):
                raise SpaceError(f"choices: expected finite numbers, got {choice!r}.")
        if len(set(choices)) < len(choices):
            double = next(c for i, c in enumerate(choices) if c in choices[:i])
            raise SpaceError(f"choices: expected different choices, got {double!r} twice.")
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "when", _conditions(when))

    def __repr__(self) -> str:
        return f"Categorical([{few(map(repr, self.choices))}]{_others(self)})"

    @property
    def size(self) -> float:
        """The number of values."""
        return len(self.choices)

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the choices."""
        try:
            return value in self.choices
        except (TypeError, ValueError):  # an exotic __eq__, such as that of an array
            return False

    def normal(self, value: object) -> Value:
        """Return the choice that equals a value: 3 for 3.0, or for NumPy's 3."""
        return self.choices[self.choices.index(value)]

    def decode(self, x: float) -> Value:
        """Return the choice with index `x`."""
        return self.choices[int(x)]

    def encode(self, value: Value) -> float:
        """Return the index of a choice as the raw coordinate."""
        return float(self.choices.index(value))

    def uniform(self, u: float) -> Value:
        """Map a uniform number in [0, 1) to a choice, each equally likely."""
        return self.choices[int(u * len(self.choices))]

    def expected(self, value: object) -> str:
        """Return which values are allowed, as text for an error about `value`."""
        words = ", ".join(f"{choice!r:.80}" for choice in self.choices[:_SHOWN])
        if len(self.choices) > _SHOWN:
            words += f", ... ({len(self.choices):,} in all)"
        return f"one of {words}, got {value!r:.80}.{nearest(value, self.choices)}"

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold."""
        return {"type": "categorical", "choices": list(self.choices), **_when_json(self.when)}


@dataclass(frozen=True)
class Integer(Arithmetic):
    """An ordered integer in [low, high], both ends included.

    Args:
        low: The smallest value, at least -2**53.
        high: The largest value, at least `low`, at most 2**53 (2**46 with `log`) and at most low + 2**53. A
            float stands for every integer in that range, but skips some beyond it.
        log: Search in log coordinates (then low >= 1), so that steps are ratios, which suits widths.
        label: As in `Categorical`.
        step: Distance between neighbours, at least 1: the values are low, low + step, ..., high. It makes
            widths multiples of a number of groups, or kernels odd.
        when: As in `Categorical`.

    Raises:
        SpaceError: An end is not an integer or out of range, the ends are reversed, the step does not lead
            from one to the other, or log is set with low < 1.

    Example:
        >>> Integer(16, 256, log=True).decode(math.log(99.7))
        100
        >>> Integer(1, 7, step=2).decode(4.2)
        5
    """

    low: int
    high: int
    log: bool = False
    label: str | None = field(default=None, compare=False)
    step: int = field(default=1, kw_only=True)
    when: When = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", _conditions(self.when))
        for name in ("low", "high", "step"):
            end = getattr(self, name)
            try:
                object.__setattr__(self, name, whole(end))
            except TypeError:
                raise SpaceError(f"{name}: expected an integer, got {end!r}. For reals use Real.") from None
        check_integers(self.low, self.high, self.step, log=self.log)
        _check_ends(self.low, self.high, log=self.log, least=1)
        if self.step < 1 or (self.high - self.low) % self.step:
            nearest_high = self.high - (self.high - self.low) % max(self.step, 1)
            raise SpaceError(
                f"step: expected an integer >= 1 that leads from low = {self.low} to high = {self.high}, got "
                f"{self.step}. Try high = {nearest_high}."
            )

    def __repr__(self) -> str:
        return f"Integer({self.low}, {self.high}{_others(self)})"

    @property
    def size(self) -> float:
        """The number of values."""
        return (self.high - self.low) // self.step + 1

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the integers."""
        value = plain(value)
        whole = isinstance(value, int) or (isinstance(value, Number) and value % 1 == 0)
        return bool(
            whole
            and not isinstance(value, bool)
            and self.low <= value <= self.high  # type: ignore[operator]
            and (value - self.low) % self.step == 0  # type: ignore[operator]
        )

    def normal(self, value: object) -> int:
        """Return a value as a Python integer: 3 for 3.0, or for NumPy's 3."""
        return int(value)  # type: ignore[call-overload, no-any-return]

    def decode(self, x: float) -> int:
        """Return the raw coordinate `x` rounded to the nearest value and clipped to the ends."""
        raw = _from_raw(x, self)
        # With step 1, round as the paper does; it differs if low is odd and raw lies half-way.
        value = round(raw) if self.step == 1 else self.low + self.step * round((raw - self.low) / self.step)
        return int(min(max(value, self.low), self.high))

    def encode(self, value: Value) -> float:
        """Return the raw coordinate of a value: itself, or its logarithm."""
        return _to_raw(float(value), self)  # type: ignore[arg-type]

    def uniform(self, u: float) -> int:
        """Map a uniform number in [0, 1) to an integer, each equally likely."""
        return min(self.low + self.step * int(u * self.size), self.high)

    def expected(self, value: object) -> str:
        """Return which values are allowed, as text for an error about `value`."""
        steps = "" if self.step == 1 else f" in steps of {self.step}"
        return f"an integer in [{self.low}, {self.high}]{steps}, got {value!r:.80}."

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold."""
        steps = {} if self.step == 1 else {"step": self.step}
        return {
            "type": "integer",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            **steps,
            **_when_json(self.when),
        }


@dataclass(frozen=True)
class Real:
    """A real number in [low, high].

    Args:
        low: The smallest value.
        high: The largest value, at least `low`.
        log: Search in log coordinates (then low > 0), which suits learning rates.
        label: As in `Categorical`.
        step: Distance between neighbours, > 0 and large enough for floats to tell them apart: the values are
            low, low + step, ..., high, in decimal arithmetic. Default: all numbers between the ends.
        when: As in `Categorical`.

    Raises:
        SpaceError: An end is not a finite number, the ends are reversed, the step does not lead from one to
            the other or is too small, or log is set with low <= 0.

    Example:
        >>> Real(0.0, 0.5).decode(0.7)
        0.5
        >>> Real(0.0, 0.5, step=0.1).decode(0.32)
        0.3
    """

    low: float
    high: float
    log: bool = False
    label: str | None = field(default=None, compare=False)
    step: float | None = field(default=None, kw_only=True)
    when: When = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", _conditions(self.when))
        steps = () if self.step is None else (("step", self.step),)
        for name, end in (("low", self.low), ("high", self.high), *steps):
            if not is_finite(end):
                raise SpaceError(f"{name}: expected a finite number, got {shown(end)}.")
        _check_ends(self.low, self.high, log=self.log, least=0.0)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if self.step is not None:
            object.__setattr__(self, "step", float(self.step))
            check_steps(self.low, self.high, self.step, log=self.log)
            if self.step <= 0.0 or not math.isclose(
                self._last * self.step, self.high - self.low, rel_tol=1e-9
            ):
                raise SpaceError(
                    f"step: expected a number > 0 that leads from low = {self.low} to high = {self.high}, "
                    f"got {self.step}. Choose another step or end."
                )

    def __repr__(self) -> str:
        return f"Real({self.low}, {self.high}{_others(self)})"

    @property
    def _last(self) -> int:
        """Number of steps from the smallest to the largest value."""
        return round((self.high - self.low) / self.step) if self.step else 0

    @property
    def size(self) -> float:
        """The number of values: infinite without a step, or 1 if the ends coincide."""
        if self.step is not None:
            return self._last + 1
        return math.inf if self.low < self.high else 1

    def contains(self, value: object) -> bool:
        """Whether `value` is a number between the ends and, up to rounding, on one of the steps."""
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, Number):
            return False
        if not self.low <= value <= self.high:  # type: ignore[operator]
            return False
        number = float(value)
        return self.step is None or abs(self._rounded(number) - number) <= 1e-9 * self.step

    def normal(self, value: object) -> float:
        """Return a value as a Python float."""
        return float(value)  # type: ignore[arg-type]

    def decode(self, x: float) -> float:
        """Return the raw coordinate `x` clipped to the ends, and rounded to the nearest step."""
        value = float(min(max(_from_raw(x, self), self.low), self.high))
        return value if self.step is None else self._rounded(value)

    def _rounded(self, value: float) -> float:
        """Return the nearest step: 0.3, not 0.1 + 0.1 + 0.1."""
        step = round((value - self.low) / self.step)  # type: ignore[operator]
        if step >= self._last:
            return self.high
        return float(Decimal(repr(self.low)) + step * Decimal(repr(self.step)))

    def encode(self, value: Value) -> float:
        """Return the raw coordinate of a value: itself, or its logarithm."""
        return _to_raw(float(value), self)  # type: ignore[arg-type]

    def uniform(self, u: float) -> float:
        """Map a uniform number in [0, 1) to a real, uniform in (log) coordinates, or over the steps."""
        if self.step is not None:
            return self._rounded(self.low + self.step * int(u * self.size))
        low, high = _to_raw(self.low, self), _to_raw(self.high, self)
        return self.decode(2.0 * (low / 2.0 + u * (high / 2.0 - low / 2.0)))  # high - low may overflow

    def expected(self, value: object) -> str:
        """Return which values are allowed, as text for an error about `value`."""
        steps = "" if self.step is None else f" in steps of {self.step}"
        return f"a number in [{self.low}, {self.high}]{steps}, got {value!r:.80}."

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold."""
        steps = {} if self.step is None else {"step": self.step}
        return {
            "type": "real",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            **steps,
            **_when_json(self.when),
        }


def _others(variable: "Variable") -> str:
    """Return the arguments that differ from their defaults, as text to follow the values in a repr."""
    values = {
        f.name: getattr(variable, f.name)
        for f in fields(variable)
        if f.name not in ("choices", "low", "high")
    }
    if values["when"]:
        values["when"] = {name: list(those) for name, those in values["when"]}
    usual = (None, False, ()) if not isinstance(variable, Integer) else (None, False, (), 1)
    return "".join(
        f", {name}={value!r}" for name, value in values.items() if value not in usual or value is True
    )


Variable: TypeAlias = Categorical | Integer | Real
"""Any of the three types."""


def variable_from_json(data: object) -> Variable:
    """Return the variable that `to_json` wrote.

    Raises:
        SpaceError: `data` does not have that form.
    """
    if not isinstance(data, dict):
        raise SpaceError(f"variable: expected a JSON object, got {data!r:.80}.")
    fields = {name: value for name, value in data.items() if name != "type"}
    kinds = {"categorical": Categorical, "integer": Integer, "real": Real}
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise SpaceError(f"type: expected one of {', '.join(kinds)}, got {kind!r:.80}.")
    try:
        return kinds[kind](**fields)  # type: ignore[no-any-return]
    except TypeError as error:
        raise SpaceError(f"{kind} variable: unexpected or missing fields in {data!r:.80}.") from error


def _conditions(when: Mapping[str, Value | Iterable[Value]] | When) -> When:
    """Return conditions as a hashable tuple.

    Raises:
        SpaceError: They are not a dict of names to values.
    """
    pairs = when.items() if isinstance(when, Mapping) else when
    found: list[tuple[str, tuple[Value, ...]]] = []
    for pair in pairs if isinstance(when, (Mapping, tuple)) else [None]:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise SpaceError(
                f"when: expected a dict of a name to a value or a list of values, got {when!r:.80}."
            )
        name, values = pair
        several = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping))
        found.append((name, in_order(f"when[{name!r}]", values if several else (values,))))  # type: ignore[arg-type]
    return tuple(found)


def _when_json(when: When) -> dict[str, Any]:
    return {"when": {name: list(values) for name, values in when}} if when else {}


def _check_ends(low: float, high: float, *, log: bool, least: float) -> None:
    if low > high:
        raise SpaceError(f"low, high: expected low <= high, got {low!r} > {high!r}. Swap them.")
    if log and (low < least or low <= 0):
        symbol = f">= {least}" if least else "> 0"
        raise SpaceError(f"low: expected {symbol} if log is set, got {low!r}.")


def _to_raw(value: float, variable: Integer | Real) -> float:
    return math.log(value) if variable.log else value


def _from_raw(x: float, variable: Integer | Real) -> float:
    if not variable.log:
        return x
    # Far outside the bounds exp would overflow; the caller clips the value to them anyway.
    return math.exp(min(max(x, math.log(variable.low) - 1), math.log(variable.high) + 1, _LARGEST_LOG))
