"""Run claims and report those that fail."""

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["equal", "refused", "true", "try_all"]


def try_all(claims: Iterable[Callable[[Any], None]], subject: Any) -> None:
    """Try every claim on the subject, and raise one AssertionError with a line for each that fails.

    Example:
        >>> def it_is_even(number):
        ...     true("the remainder", number % 2 == 0, expected=0, got=number % 2)
        >>> try_all([it_is_even], 4)
        >>> try_all([it_is_even], 5)
        Traceback (most recent call last):
            ...
        AssertionError: 1 of 1 claims fail:
        it_is_even: the remainder: expected 0, got 1
    """
    tried, failed, cause = 0, [], None
    for claim in claims:
        tried += 1
        try:
            claim(subject)
        except Exception as error:
            kind = "" if type(error) is AssertionError else f"{type(error).__name__}: "
            failed.append(f"{claim.__name__}: {kind}{error}")
            cause = cause or error
    if failed:
        raise AssertionError("\n".join([f"{len(failed)} of {tried} claims fail:", *failed])) from cause


def true(what: str, holds: Any, *, expected: object, got: object) -> None:
    """Claim that something holds."""
    if not holds:
        raise AssertionError(f"{what}: expected {expected}, got {got}")


def equal(what: str, got: object, expected: object) -> None:
    """Claim that two values are equal."""
    true(what, got == expected, expected=repr(expected), got=repr(got))


def refused(what: str, call: Callable[[], object], error: type[Exception], *, names: str) -> None:
    """Claim that a call raises an error of the given class, and that its message contains `names`."""
    try:
        got = call()
    except error as raised:
        told = str(raised)
        true(f"the error of {what}", names in told, expected=f"{names!r} in its message", got=repr(told))
    except Exception as raised:
        raise AssertionError(f"{what}: expected {error.__name__}, got {raised!r}") from raised
    else:
        raise AssertionError(f"{what}: expected {error.__name__}, got {got!r}")
