"""Format numbers and settings for people to read."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from asng.report.excerpts import MOST_ROWS, cut
from asng.space import Categorical, Integer, Space, Variable

__all__ = [
    "UNKNOWN",
    "score",
    "spread",
    "plus_minus",
    "gain_words",
    "about",
    "count",
    "duration",
    "big",
    "share",
    "describe",
    "mean_and_spread",
    "size_of",
    "flatten",
]

UNKNOWN = "-"
_MOST_CHOICES = 60
_MOST_LOG = 700.0
"""Greatest logarithm of a number that a float can hold, about."""
_LONGEST_VALUE = 2_000
"""Maximum length of a setting, in characters."""


def score(value: float | None) -> str:
    """Return a score with as many digits as are meaningful.

    Example:
        >>> score(0.86123), score(0.0191), score(123.456), score(None)
        ('0.861', '0.0191', '123.5', '-')
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if 0.1 <= abs(value) < 1000:
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return f"{value:.3g}"


def spread(value: float) -> str:
    """Return a difference of scores or a standard deviation, with the decimals of a score if they suffice.

    Example:
        >>> spread(0.01951), spread(0.00012), spread(0.0)
        ('0.020', '0.00012', '0')
    """
    if math.isnan(value):
        return UNKNOWN
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 else f"{value:.2g}"


def plus_minus(mean: float, sd: float, words: Callable[[float], str] = score) -> str:
    """Return a mean with its standard deviation, if known; use `spread` as `words` for differences."""
    return words(mean) if math.isnan(sd) else f"{words(mean)} +- {spread(sd)}"


def gain_words(gain: float) -> str:
    """Return by how much a score is better than another, or that they tie.

    Example:
        >>> gain_words(0.0196), gain_words(-0.5), gain_words(0.0)
        ('+0.020', '-0.500', '0 (a tie)')
    """
    return "0 (a tie)" if gain == 0 else f"{'+' if gain > 0 else ''}{spread(gain)}"


def about(value: float) -> str:
    """Return a roughly known number, with two digits.

    Example:
        >>> about(16.218), about(0.4071), about(3440.7), about(2.0), about(4e7), about(0.0003)
        ('16', '0.41', '3,400', '2', 'over 10,000', 'under 0.01')
    """
    if math.isnan(value):
        return UNKNOWN
    if value > 10_000:
        return "over 10,000"
    return "under 0.01" if 0 < value < 0.01 else f"{float(f'{value:.2g}'):,g}"


def count(value: int | None) -> str:
    """Return an integer with thousands separators, or a dash for None."""
    return UNKNOWN if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """Return a probability in per cent, or a dash for None."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.0f} %"


def duration(seconds: float) -> str:
    """Return a duration in units that suit its length.

    Example:
        >>> duration(7.26), duration(75), duration(7322)
        ('7.3 s', '1 min 15 s', '2 h 2 min')
    """
    if math.isnan(seconds):
        return UNKNOWN
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours:,} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def big(value: float) -> str:
    """Return a count that may be too long to write out, or infinite.

    Example:
        >>> big(625), big(5**40), big(math.inf)
        ('625', '9.1e27', 'infinite')
    """
    if value == math.inf:
        return "infinite"
    if value < 1_000_000:
        return f"{int(value):,}"
    # Through the logarithm, since the integer may be too great for a float.
    exponent, fraction = divmod(math.log10(value), 1)
    return f"{10**fraction:.1f}e{exponent:.0f}"


def size_of(space: Space) -> str:
    """Return the number of architectures of a space as text."""
    return "infinite (real variables)" if space.size == math.inf else big(space.size)


def describe(variable: Variable) -> str:
    """Return the values that a variable may have, in words.

    Example:
        >>> describe(Integer(8, 64, log=True, step=8))
        'integer in [8, 64], steps of 8, log scale'
    """
    if isinstance(variable, Categorical):
        words = [cut(choice) for choice in variable.choices[:_MOST_CHOICES]]
        more = len(variable.choices) - len(words)
        return ", ".join(words) + (f", and {more:,} more" if more else "")
    if isinstance(variable, Integer):
        words = [f"integer in [{variable.low}, {variable.high}]"]
    else:
        words = [f"real in [{variable.low:g}, {variable.high:g}]"]
    if variable.step not in (None, 1):
        words.append(f"steps of {variable.step}")
    if variable.log:
        words.append("log scale")
    return ", ".join(words)


def mean_and_spread(mean: float, std: float, *, log: bool) -> str:
    """Return theta of an ordered variable as text; on a log scale the spread is a factor.

    Args:
        mean: Mean in raw coordinates.
        std: Standard deviation in raw coordinates.
        log: Whether raw coordinates are logarithms.

    Example:
        >>> mean_and_spread(30.12, 2.34, log=False), mean_and_spread(math.log(30), math.log(1.2), log=True)
        ('30.1 +- 2.3', '30 */ 1.2')
        >>> mean_and_spread(1e9, 1.0, log=True)  # of a damaged log
        '-'
    """
    known = math.isfinite(mean) and math.isfinite(std)
    if not known or (log and max(mean, std) > _MOST_LOG):
        return UNKNOWN
    if log:
        return f"{math.exp(mean):.3g} */ {math.exp(std):.2g}"
    return f"{mean:.3g} +- {std:.2g}"


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted name, value) pairs in order; long values are cut, at most 500 shown.

    Example:
        >>> flatten({"search": {"lam": 2, "ripen": 0.5}, "seed": 0})
        [('search.lam', '2'), ('search.ripen', '0.5'), ('seed', '0')]
    """
    if not isinstance(value, Mapping) or (prefix and not value):
        return [(prefix, cut(value, _LONGEST_VALUE))]
    rows: list[tuple[str, str]] = []
    for name, item in value.items():
        rows += flatten(item, cut(f"{prefix}.{name}" if prefix else name))
        if len(rows) > MOST_ROWS:
            return [*rows[:MOST_ROWS], ("…", f"the first {MOST_ROWS} are shown")]
    return rows
