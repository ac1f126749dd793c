"""Save the state of an optimiser as plain values for JSON, and restore it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from asng.distributions import Floats, Product, Theta
from asng.errors import RunError, in_one_line

__all__ = [
    "FORMAT",
    "array",
    "check_same",
    "generator",
    "get",
    "number",
    "pack_theta",
    "unpack_theta",
    "whole",
]

FORMAT = 3
"""Version of the layout of a state, incremented with each change of layout."""

_MOST = float(np.finfo(np.float64).max)


def check_same(state: Any, expected: Mapping[str, Any]) -> None:
    """Check that a saved state has this format and the values in `expected`.

    Raises:
        RunError: It is from another version of asng, or of another optimiser, space or arguments.
    """
    if get(state, "format") != FORMAT:
        raise RunError(
            f"state['format']: expected {FORMAT}, got {state['format']!r:.80}: another version of asng saved "
            "it. Continue with that version, or start the search again."
        )
    for key, value in expected.items():
        if get(state, key) != value:
            raise RunError(
                f"state[{key!r}]: expected {value!r:.200}, got {state[key]!r:.200}. "
                "Load it into an optimiser made with the same space and arguments."
            )


def generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator in the state `state["generator"]`.

    Raises:
        RunError: It is not the state of a PCG64 generator.
    """
    rng = np.random.default_rng()
    try:
        rng.bit_generator.state = get(state, "generator")
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise RunError(
            f"state['generator']: expected the state of a NumPy PCG64 generator: {in_one_line(error)}."
        ) from error
    return rng


def pack_theta(theta: Theta) -> dict[str, list[float]]:
    """Return theta as lists."""
    return {name: part.tolist() for name, part in theta._asdict().items()}


def unpack_theta(state: Mapping[str, Any], product: Product) -> Theta:
    """Return theta from a saved state.

    Raises:
        RunError: It is missing, has another shape, is not finite, or is out of bounds.
    """
    saved = get(state, "theta")
    first = product.initial()
    parts = {name: array(saved, name, len(part)) for name, part in first._asdict().items()}
    theta = Theta(**parts)
    if (theta.p <= 0.0).any() or (theta.p >= 1.0).any() or (theta.std <= 0.0).any():
        raise RunError("state['theta']: expected probabilities in (0, 1) and std > 0, got others.")
    return theta


def array(state: Any, key: str, *shape: int, missing: bool = False) -> Floats:
    """Return `state[key]` as an array of finite numbers with a shape; if `missing`, None becomes infinity.

    Raises:
        RunError: It is anything else.
    """
    try:
        values = np.array(get(state, key), dtype=np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise RunError(f"state: expected a list of numbers as {key!r}: {in_one_line(error)}.") from error
    if missing:
        values = np.where(np.isnan(values), np.inf, values)
    if values.shape != shape or not (missing or np.isfinite(values).all()):
        raise RunError(
            f"state: expected finite numbers of shape {shape} as {key!r}, got shape {values.shape}."
        )
    return values


def number(state: Any, key: str, low: float = -_MOST) -> float:
    """Return `state[key]` as a finite number of at least `low`.

    Raises:
        RunError: It is anything else.
    """
    value = get(state, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= _MOST:
        raise RunError(f"state[{key!r}]: expected a finite number >= {low}, got {value!r:.80}.")
    return float(value)


def whole(state: Any, key: str) -> int:
    """Return `state[key]` as an integer >= 0.

    Raises:
        RunError: It is anything else.
    """
    value = get(state, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RunError(f"state[{key!r}]: expected an integer >= 0, got {value!r:.80}.")
    return value


def get(state: Any, key: str) -> Any:
    """Return `state[key]`.

    Raises:
        RunError: There is no such value.
    """
    if not isinstance(state, Mapping) or key not in state:
        raise RunError(f"state[{key!r}]: expected a value, got none. Is it what state_dict() returned?")
    return state[key]
