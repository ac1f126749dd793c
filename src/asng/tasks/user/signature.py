"""Arguments of a user's class or function: flags from its signature, checks against it, plain values."""

import inspect
import warnings
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Set
from enum import Enum
from functools import cache
from itertools import chain
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from jsonargparse import ArgumentParser, Namespace

from asng.checks import nearest
from asng.errors import AsngError, InputError, RunError, in_one_line
from asng.runs.config import words_of
from asng.tasks.user.importing import blame
from asng.tasks.user.trust import Imports

__all__ = ["add_arguments", "call", "named_by", "plain_arguments"]

_UNIONS = (Union, UnionType)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_PLAIN = (bool, int, float, complex, str, bytes, NoneType)
_SPELLING = ("class_path", "init_args", "dict_kwargs")
"""Keys by which jsonargparse knows a mapping that describes an object."""
_SEQUENCES = (list, tuple, set, frozenset, abc.Sequence, abc.Iterable, abc.Collection, abc.Set)


def add_arguments(
    parser: Any, key: str, target: Callable[..., Any], *, given: Set[str] = frozenset()
) -> None:
    """Add a flag `--key.name` for each argument of a class or function, typed by its signature.

    An argument without a type takes any plain value. An argument whose default YAML cannot represent (a
    tensor, a module) keeps its default and gets no flag.

    Args:
        parser: A jsonargparse parser, or a group of one.
        key: The prefix of the argument names.
        target: The class or function.
        given: Names of arguments that are passed in another way and get no flag.
    """
    _add(parser, key, target, skip=given | _without_form(target))


def plain_arguments(key: str, target: Callable[..., Any], parsed: Namespace) -> dict[str, Any]:
    """Return the arguments parsed for `add_arguments` as values for YAML, which `call` accepts again."""
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
    imports: Imports,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Call a class or function with plain arguments after checking them against its signature.

    Args:
        key: The setting that the target is for, for messages.
        path: Its import path, for messages.
        target: The class or function.
        arguments: The plain arguments, by name.
        given: Further arguments, which are passed on unchecked.
        imports: What the arguments may import.

    Raises:
        RunError: An argument names what may not be imported; nothing was imported or called.
        InputError: An argument is unknown, missing or of a wrong type, or the call itself fails.

    Example:
        >>> def scale(width: int, factor: float = 2.0):
        ...     return width * factor
        >>> from asng.tasks.user.trust import ANYTHING
        >>> call("data", "pkg.scale", scale, {"width": "8"}, imports=ANYTHING)
        16.0
        >>> call("data", "pkg.scale", scale, {"widht": 8}, imports=ANYTHING)
        Traceback (most recent call last):
        asng.errors.InputError: data: pkg.scale has no argument 'widht'. Did you mean 'width'?
    """
    given = given or {}
    imports.check(named_by(key, target, arguments))
    checked = _checked(key, path, target, arguments, given.keys())
    try:
        return target(**checked, **given)
    except AsngError as error:
        raise type(error)(f"{key}: {path}: {error}") from error
    except Exception as error:  # whatever the user's code raises
        raise InputError(f"{key}: {path} fails: {blame(error)}.") from error


def named_by(key: str, target: Callable[..., Any], arguments: Mapping[str, Any]) -> list[str]:
    """Return the strings among plain arguments that jsonargparse may interpret as import paths.

    These are all strings of an argument, unless its type is known to take plain values only. Any other type,
    such as a class or a callable, is assumed to import.

    Example:
        >>> def loaders(folder: str, share: float, transform: Callable[..., Any] | None = None): ...
        >>> named_by("data", loaders, {"folder": "here", "share": "0.5", "transform": "os.system"})
        ['os.system']
    """
    types = {action.dest: getattr(action, "_typehint", None) for action in _parser(key, target)._actions}
    try:
        return [
            word for name, value in arguments.items() for word in _named_in(types.get(f"{key}.{name}"), value)
        ]
    except RunError as error:
        raise InputError(f"{key}: {error}") from None


def _named_in(kind: Any, value: Any) -> Iterator[str]:
    origin, parts = get_origin(kind), get_args(kind)
    if _is_plain(kind):
        return
    if _is_anything(kind):
        yield from _classes_in(value)
    elif origin in _UNIONS:
        yield from dict.fromkeys(name for part in parts for name in _named_in(part, value))
    elif isinstance(value, Mapping) and origin in _MAPPINGS and len(parts) == 2:
        for item in value.values():
            yield from _named_in(parts[1], item)
    elif isinstance(value, (list, tuple)) and origin in _SEQUENCES and parts:
        for item, part in zip(value, _each(parts, len(value)), strict=False):
            yield from _named_in(part, item)
    else:
        yield from _words(value)


def _is_plain(kind: Any) -> bool:
    """Return whether a type allows only plain values, at any depth."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (*_UNIONS, *_MAPPINGS, *_SEQUENCES):
        return bool(parts) and all(part is ... or _is_plain(part) for part in parts)
    is_named = inspect.isclass(kind) and issubclass(kind, (Enum, PurePath))
    return origin is Literal or is_named or any(kind is plain for plain in _PLAIN)


def _each(parts: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """Return the types of the items of a sequence; None for items beyond the end of a tuple type."""
    whole = len(parts) == 1 or parts[1:] == (...,)
    return parts[:1] * count if whole else (*parts, *[None] * count)


def _is_anything(kind: Any) -> bool:
    """Return whether a type takes any value as it is: Any, a bare list or dict, or no type at all."""
    bare = (Any, object, *_MAPPINGS, *_SEQUENCES)
    return any(kind is one for one in bare) or type(kind).__name__ in ("UntypedType", "UnvalidatedType")


def _classes_in(value: Any) -> Iterator[str]:
    """Yield the strings in mappings with a class_path, which jsonargparse instantiates at any depth."""
    if isinstance(value, str):  # jsonargparse reads strings without a type as YAML
        words = words_of(value)
        yield from (word for word in words if "class_path" in words and word not in _SPELLING)
    elif isinstance(value, Mapping):
        items = value.values()
        yield from _words(value) if "class_path" in value else chain.from_iterable(map(_classes_in, items))
    elif isinstance(value, (list, tuple, set)):
        yield from chain.from_iterable(map(_classes_in, value))


def _words(value: Any) -> Iterator[str]:
    """Yield every string at any depth."""
    if isinstance(value, Mapping):
        yield from chain.from_iterable(map(_words, value.values()))
    elif isinstance(value, (list, tuple, set)):
        yield from chain.from_iterable(map(_words, value))
    elif value is not None and not isinstance(value, (bool, int, float)):
        yield str(value)


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
    except Exception as error:  # ArgumentError, or whatever its YAML parser raises on a malformed scalar
        raise InputError(f"{key}: {path}: {in_one_line(error, 1000)}.") from None
    try:
        checked = _names(parser.instantiate(parsed), key)
    except Exception as error:  # raised by a user's class that is itself an argument
        raise InputError(f"{key}: {path}: an argument of it fails: {blame(error)}.") from error
    # The parser treats an argument without a type as optional.
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
    """Return the names of the arguments whose default does not survive a round trip through YAML."""
    parser = ArgumentParser(exit_on_error=False)
    _add(parser, "of", target, skip=frozenset())
    defaults = _names(parser.get_defaults(skip_validation=True), "of")
    names = frozenset(name for name, default in defaults.items() if default is not None)
    return frozenset(name for name in names if not _holds(target, name, defaults))


def _holds(target: Callable[..., Any], name: str, defaults: Mapping[str, Any]) -> bool:
    parser = ArgumentParser(exit_on_error=False)
    _add(parser, "of", target, skip=defaults.keys() - {name})
    with warnings.catch_warnings():  # jsonargparse warns of values that it cannot serialise
        warnings.simplefilter("ignore")
        plain = _dumped(parser, "of", {name: defaults[name]})
    try:
        again = parser.parse_object({"of": plain})
        same = bool(_names(again, "of")[name] == defaults[name])
        made = _names(parser.instantiate(again), "of")[name]
    except Exception:  # parsing fails, or a comparison has no truth value
        return False
    parameter = inspect.signature(target).parameters.get(name)
    # Some functions come back as strings, their names.
    return same and (parameter is None or callable(made) == callable(parameter.default))


def _dumped(parser: ArgumentParser, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    parsed = Namespace({key: Namespace(values)})  # type: ignore[no-untyped-call]
    text = parser.dump(parsed, skip_unset=False, skip_validation=True)
    return dict((yaml.safe_load(text) or {}).get(key) or {})


def _names(parsed: Namespace, key: str) -> dict[str, Any]:
    part = parsed.get(key)
    return {} if part is None else dict(part.items(branches=True, nested=False))
