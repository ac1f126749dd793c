"""Looks for a few flags before the parser is made, where what they say decides on its flags or defaults."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from asng.cli.wording import in_our_words
from asng.errors import InputError

__all__ = ["looked_ahead", "settings_in"]


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
