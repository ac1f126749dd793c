"""How times grow with a size: as a power of it, and as a fixed part plus a part for each unit."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Line", "Power", "line_of", "power_of"]


class Power(NamedTuple):
    """value = factor * size^slope, which is a straight line in logarithms.

    Attributes:
        slope: The exponent.
        error: Its standard error.
        factor: The value at size 1.
    """

    slope: float
    error: float
    factor: float


class Line(NamedTuple):
    """value = fixed + each * size.

    Attributes:
        fixed: The value at size 0.
        fixed_error: Its standard error.
        each: The cost of one more unit.
        each_error: Its standard error.
        off: Relative deviation of the value that is furthest from the line.
    """

    fixed: float
    fixed_error: float
    each: float
    each_error: float
    off: float


def power_of(sizes: Sequence[float], values: Sequence[float]) -> Power:
    """Fit a power by least squares of logarithms.

    Args:
        sizes: Three or more, positive.
        values: One a size, positive.

    Example:
        >>> power = power_of([1, 10, 100], [3.0, 300.0, 30000.0])
        >>> round(power.slope, 6), round(power.factor, 6)
        (2.0, 3.0)
    """
    (slope, at_one), covariance = np.polyfit(np.log(sizes), np.log(values), 1, cov=True)
    return Power(float(slope), math.sqrt(covariance[0, 0]), math.exp(at_one))


def line_of(sizes: Sequence[float], values: Sequence[float]) -> Line:
    """Fit a line by least squares of relative deviations, so that small sizes count as much as large ones.

    Args:
        sizes: Three or more.
        values: One a size, positive.

    Example:
        >>> line = line_of([1, 10, 100], [5.0, 14.0, 104.0])
        >>> round(line.fixed, 6), round(line.each, 6)
        (4.0, 1.0)
    """
    known = np.asarray(values, dtype=float)
    (each, fixed), covariance = np.polyfit(sizes, known, 1, w=1.0 / known, cov=True)
    off = np.abs(fixed + each * np.asarray(sizes) - known) / known
    each_error, fixed_error = np.sqrt(np.diag(covariance))
    return Line(float(fixed), float(fixed_error), float(each), float(each_error), float(off.max()))
