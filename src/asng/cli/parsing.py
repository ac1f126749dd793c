"""A parser that answers a wrong flag by the nearest right one."""

import argparse
import re
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser

from asng.checks import nearest
from asng.cli.wording import in_our_words
from asng.errors import InputError

__all__ = ["NearestNames", "looked_ahead", "settings_in"]


class NearestNames(ArgumentParser):
    """jsonargparse's parser, whose errors are one line and name the nearest right flag."""

    def add_settings(self, settings: type, *, skip: Set[str] = frozenset()) -> None:
        """Add a flag for each field of a dataclass, with hyphens as on other command lines.

        The name with underscores, as in a YAML file, is understood too.

        Args:
            settings: The dataclass.
            skip: Fields that get no flag.
        """
        before = len(self._actions)
        self.add_class_arguments(settings, skip=set(skip))
        for action in self._actions[before:]:
            for flag in [flag for flag in action.option_strings if "_" in flag and "print_" not in flag]:
                hyphened = flag.replace("_", "-")
                action.option_strings = [hyphened, *action.option_strings]
                self._option_string_actions[hyphened] = action

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong on standard error, and exit with 2."""
        if not self.exit_on_error:  # of an inner class, for which jsonargparse makes a parser like this one
            super().error(message, ex)
        name, about = self._about(message)
        program = about.prog.replace(" [options]", "")
        text = in_our_words(message, [action.dest for action in about._actions])
        text = re.sub(r"(?<=required: ).*", lambda found: _as_typed(found[0], name, about), text)
        hint = ""
        if wrong := re.search(r"unrecognized arguments: --?([\w.-]+)", text):
            flags = [flag for action in about._actions for flag in action.option_strings[:1]]
            hint = nearest("--" + wrong[1].replace("_", "-"), flags)
        end = "" if text.endswith((".", "?")) else "."
        self.exit(2, f"{program}: {text}{end}{hint}\nTry: {program} --help\n")

    def _about(self, text: str) -> tuple[str, ArgumentParser]:
        """Return which parser a message is about: that of all tells of its parts by their names."""
        for action in self._actions:
            for name, part in action.choices.items() if isinstance(action.choices, dict) else ():
                if f"Subcommand '{name}'" in text or f"required: {name}." in text:
                    return name, part
        return "", self


def _as_typed(names: str, subcommand: str, parser: ArgumentParser) -> str:
    typed = {action.dest: [*action.option_strings, action.dest][0] for action in parser._actions}
    plain = [name.removeprefix(f"{subcommand}.") for name in names.split(", ")]
    return ", ".join(typed.get(name, name) for name in plain)


# Looks for a few flags before the parser is made, where what they say decides on its flags or defaults.


def looked_ahead(words: Sequence[str], options: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return those of the flags that the words give, in their order, with their values.

    Args:
        words: Of the command line.
        options: How each flag is spelled, by the name it is returned by.

    Raises:
        InputError: One of them has no value.

    Example:
        >>> looked_ahead(["--cells", "3", "--preset=small"], {"preset": ["--preset"]})
        [('preset', 'small')]
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, flags in options.items():
        parser.add_argument(*flags, dest="found", action="append", default=[], type=partial(_pair, name))
    try:
        found: list[tuple[str, str]] = parser.parse_known_args(words)[0].found
    except argparse.ArgumentError as error:  # a flag without a value
        raise InputError(in_our_words(str(error))) from None
    return found


def settings_in(config: str) -> Mapping[str, Any]:
    """Return what a YAML file, or YAML itself, holds; whatever is wrong with it the parser will say."""
    try:
        text = Path(config).read_text(encoding="utf-8")
    except (OSError, ValueError):  # no file, or none of text
        text = config
    try:
        settings = yaml.safe_load(text)
    except Exception:  # wrong scalars under a tag (!!int '') and deep nests fail in many ways
        return {}
    return settings if isinstance(settings, dict) else {}


def _pair(name: str, value: str) -> tuple[str, str]:
    return name, value
