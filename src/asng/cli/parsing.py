"""The parser of all subcommands, and functions that look at the command line before it is made."""

import argparse
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

import yaml
from jsonargparse import ArgumentParser, Namespace

from asng.checks import nearest
from asng.errors import InputError, in_one_line

__all__ = ["NearestNames", "looked_ahead", "settings_in"]

_REQUIRED = "the following arguments are required: "
"""How jsonargparse begins an error about missing arguments, which it names with their subcommand."""
_INVALID, _GIVEN = 'Parser key "', " value: "
"""How jsonargparse begins an error about a value, and what it puts before the value, at the end."""
_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
    dict: "a mapping such as {a: 1}",
}
_LONGEST = 500
"""Maximum length of an error in characters, since a value in it may be as long as a file."""


class NearestNames(ArgumentParser):
    """A jsonargparse parser whose errors are one line, with the nearest valid flag if one is unknown."""

    _typed: Sequence[str] = ()

    def add_settings(self, settings: type, *, skip: Set[str] = frozenset()) -> None:
        """Add a flag for each field of a dataclass, with hyphens as on other command lines.

        The name with underscores, as in a YAML file, works too. A boolean flag needs no value.

        Args:
            settings: The dataclass.
            skip: Fields that get no flag.
        """
        before = len(self._actions)
        self.add_class_arguments(settings, skip=set(skip))
        for action in self._actions[before:]:
            if getattr(action, "_typehint", None) is bool:  # --flag alone is --flag true
                action.nargs, action.const = "?", True
            for flag in [flag for flag in action.option_strings if "_" in flag and "print_" not in flag]:
                hyphened = flag.replace("_", "-")
                action.option_strings = [hyphened, *action.option_strings]
                self._option_string_actions[hyphened] = action

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str], *more: Any, **named: Any
    ) -> Namespace:
        """Parse as jsonargparse does, and keep the arguments for the hint of an error."""
        self._typed = args
        return super().parse_args(args, *more, **named)

    def _check_value_key(self, action: Any, value: Any, *more: Any, **named: Any) -> Any:
        """Check a value; a YAML file may give a flag of several words a single one, or numbers."""
        if value is not None and action.nargs in ("*", "+"):
            values = value if isinstance(value, list) else [value]
            value = [str(one) for one in values] if getattr(action, "_typehint", None) is str else values
        return super()._check_value_key(action, value, *more, **named)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the error on standard error, and exit with 2."""
        if not self.exit_on_error:  # jsonargparse makes a parser like this one for a nested class
            super().error(message, ex)
        about: ArgumentParser = getattr(ex, "subcommand_parser", None) or self
        if message.startswith(_REQUIRED) and (action := self._subcommands_action) is not None:
            names = message.removeprefix(_REQUIRED).split(", ")
            about = action.choices[names[0].partition(".")[0]]
            flags = map(partial(_flag_of, about), names)
            message = f"expected a value for {', '.join(flags)}, got none"
        if message.startswith(_INVALID) and _GIVEN in message:
            message = _in_words(about, message)
        program = about.prog.replace(" [options]", "")
        # jsonargparse passes no exception if all settings are valid but arguments are left over.
        hint = self._nearest_flag() if ex is None else ""
        self.exit(2, f"{program}: {in_one_line(message, _LONGEST)}.{hint}\nTry: {program} --help\n")

    def _nearest_flag(self) -> str:
        """Return a hint with the valid flag nearest to the first unknown one."""
        known = self._option_string_actions
        typed = (word.partition("=")[0] for word in self._typed if word.startswith("--"))
        unknown = next((flag for flag in typed if flag not in known), None)
        return "" if unknown is None else nearest(unknown.replace("_", "-"), known)


def _in_words(parser: ArgumentParser, message: str) -> str:
    """Return an error about a value with the flag and what it expects, if its type is a simple one."""
    name = message.removeprefix(_INVALID).partition('"')[0]
    action = next((one for one in parser._actions if one.dest in (name, name.partition(".")[2])), None)
    expected = _expected(getattr(action, "_typehint", None))
    if action is None or expected is None:
        return message
    flag = next((flag for flag in action.option_strings if flag.startswith("--")), action.dest)
    return f"{flag}: expected {expected}, got {message.partition(_GIVEN)[2]}"


def _expected(hint: Any) -> str | None:
    """Return a type in words, or None if it is not a simple one."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if get_origin(hint) in (Union, UnionType):
        parts = [_expected(one) for one in get_args(hint)]
        return None if None in parts else " or ".join(map(str, parts))
    if get_origin(hint) in (list, tuple):
        item = _expected(get_args(hint)[0])
        return item and "a list such as [a, b]" + (f", each {item}" if item != _WORDS[str] else "")
    return _WORDS.get(get_origin(hint) or hint)


def looked_ahead(words: Sequence[str], options: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the flags that occur among the words, in order, with their values.

    Args:
        words: Words of the command line.
        options: The spellings of each flag, by the name under which it is returned.

    Raises:
        InputError: A flag has no value.

    Example:
        >>> looked_ahead(["--cells", "3", "--preset=small"], {"preset": ["--preset"]})
        [('preset', 'small')]
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, flags in options.items():
        parser.add_argument(*flags, dest="found", action="append", default=[], type=partial(_pair, name))
    try:
        found: list[tuple[str, str]] = parser.parse_known_args(words)[0].found
    except argparse.ArgumentError as error:
        flag = (error.argument_name or "").partition("/")[0]
        raise InputError(f"{flag}: expected a value, got none.") from None
    return found


def settings_in(config: str) -> Mapping[str, Any]:
    """Return the settings of a YAML file or of YAML text; none if it is invalid, which the parser reports."""
    try:
        text = Path(config).read_text(encoding="utf-8")
    except (OSError, ValueError):  # not a file, or not a text file
        text = config
    try:
        settings = yaml.safe_load(text)
    except Exception:  # invalid tagged scalars (!!int '') and deep nesting fail in many ways
        return {}
    return settings if isinstance(settings, dict) else {}


def _pair(name: str, value: str) -> tuple[str, str]:
    return name, value


def _flag_of(parser: ArgumentParser, name: str) -> str:
    """Return how an argument, named with its subcommand, is given on the command line."""
    inner = name.partition(".")[2]
    return f"--{inner}" if f"--{inner}" in parser._option_string_actions else inner
