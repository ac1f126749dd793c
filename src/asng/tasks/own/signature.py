"""The arguments of a user's class or function: from its signature, checked by it, as plain values."""

import inspect
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Set
from functools import cache
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from asng.checks import nearest
from asng.errors import AsngError, InputError
from asng.tasks.own.blame import blame

__all__ = ["add_arguments", "call", "plain_arguments"]


def add_arguments(
    parser: Any, key: str, target: Callable[..., Any], *, given: Set[str] = frozenset()
) -> None:
    """Add a flag `--key.name` for each argument of a class or function, typed by its signature.

    An argument without a type takes any plain value. One whose default YAML cannot hold (a tensor, a module)
    keeps its default, and has no flag.

    Args:
        parser: A parser of jsonargparse, or a group of one.
        key: What stands before the names of the arguments.
        target: The class or function.
        given: Names of arguments that are given otherwise.
    """
    _add(parser, key, target, skip=given | _without_form(target))


def plain_arguments(key: str, target: Callable[..., Any], parsed: Namespace) -> dict[str, Any]:
    """Return arguments that `add_arguments` parsed as values that YAML can hold; `call` takes them back."""
    parser = _parser(key, target)
    known = _names(parser.get_defaults(), key)
    mine = {name: value for name, value in parsed.items(branches=True, nested=False) if name in known}
    return _dumped(parser, key, mine)


def call(
    key: str,
    path: str,
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Call a class or function with plain arguments, which are checked against its signature first.

    Args:
        key: What the target is for, for messages.
        path: Its import path, for messages.
        target: The class or function.
        arguments: By name.
        given: More of them, as they are.

    Raises:
        InputError: An argument is unknown, missing or of a wrong type, or the call itself fails.

    Example:
        >>> def scale(width: int, factor: float = 2.0):
        ...     return width * factor
        >>> call("data", "pkg.scale", scale, {"width": "8"})
        16.0
        >>> call("data", "pkg.scale", scale, {"widht": 8})
        Traceback (most recent call last):
        asng.errors.InputError: data: pkg.scale has no argument 'widht'. Did you mean 'width'?
    """
    given = given or {}
    checked = _checked(key, path, target, arguments, given.keys())
    try:
        return target(**checked, **given)
    except AsngError as error:
        raise type(error)(f"{key}: {path}: {error}") from error
    except Exception as error:  # whatever the user's code raises
        raise InputError(f"{key}: {path} fails: {blame(error)}.") from error


def _checked(
    key: str, path: str, target: Callable[..., Any], arguments: Mapping[str, Any], given: Set[str]
) -> dict[str, Any]:
    parser = _parser(key, target, given)
    known = _names(parser.get_defaults(), key)
    for name in arguments:
        if name not in known:
            raise InputError(f"{key}: {path} has no argument {name!r}.{nearest(name, known)}")
    try:
        parsed = parser.parse_object({key: dict(arguments)})
    except ArgumentError as error:
        raise InputError(f"{key}: {path}: {' '.join(str(error).split())}.") from None
    try:
        checked = _names(parser.instantiate(parsed), key)
    except Exception as error:  # of a class of the user that is an argument itself
        raise InputError(f"{key}: {path}: an argument of it fails: {blame(error)}.") from error
    # Without a type the parser takes an argument for one that need not be given.
    for name, p in inspect.signature(target).parameters.items():
        if checked.get(name, name) is None and p.default is p.annotation is p.empty:
            raise InputError(f"{key}: {path} needs the argument {name!r}. Give --{key}.{name}.")
    return checked


def _parser(key: str, target: Callable[..., Any], given: Set[str] = frozenset()) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    add_arguments(parser, key, target, given=given)
    return parser


def _add(parser: Any, key: str, target: Callable[..., Any], *, skip: Set[str]) -> None:
    how = {"fail_untyped": False, "as_group": False, "skip": set(skip)}
    if inspect.isclass(target):
        parser.add_class_arguments(target, key, instantiate=False, **how)
    else:
        parser.add_function_arguments(target, key, **how)


@cache
def _without_form(target: Callable[..., Any]) -> frozenset[str]:
    """Names of the arguments whose default is another one, or none, once it went through YAML."""
    parser = ArgumentParser(exit_on_error=False)
    _add(parser, "of", target, skip=frozenset())
    defaults = _names(parser.get_defaults(skip_validation=True), "of")
    names = frozenset(name for name, default in defaults.items() if default is not None)
    return frozenset(name for name in names if not _holds(target, name, defaults))


def _holds(target: Callable[..., Any], name: str, defaults: Mapping[str, Any]) -> bool:
    parser = ArgumentParser(exit_on_error=False)
    _add(parser, "of", target, skip=defaults.keys() - {name})
    with warnings.catch_warnings():  # of jsonargparse, that it has no form for a value
        warnings.simplefilter("ignore")
        plain = _dumped(parser, "of", {name: defaults[name]})
    try:
        again = parser.parse_object({"of": plain})
        same = bool(_names(again, "of")[name] == defaults[name])
        made = _names(parser.instantiate(again), "of")[name]
    except Exception:  # of parsing, or of a comparison that gives no truth
        return False
    parameter = inspect.signature(target).parameters.get(name)
    # Some functions come back as their names.
    return same and (parameter is None or callable(made) == callable(parameter.default))


def _dumped(parser: ArgumentParser, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    parsed = Namespace({key: Namespace(values)})  # type: ignore[no-untyped-call]
    text = parser.dump(parsed, skip_unset=False, skip_validation=True)
    return dict((yaml.safe_load(text) or {}).get(key) or {})


def _names(parsed: Namespace, key: str) -> dict[str, Any]:
    part = parsed.get(key)
    return {} if part is None else dict(part.items(branches=True, nested=False))
