"""The errors of the parsing library, said as ours are: name, expected, got."""

import re
from collections.abc import Iterable

from asng.checks import nearest

__all__ = ["in_our_words"]

_TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a word",
    "bool": "true or false",
    "list": "a list in brackets",
    "tuple": "a list in brackets",
    "dict": "settings by name",
}
_LONGEST = 60  # of a value that is told back, in characters


def in_our_words(text: str, known: Iterable[str] = ()) -> str:
    """Return an error of jsonargparse or argparse, in one line, as our own errors read.

    What is none of the known kinds is returned as it is, but for the way it names the setting.

    Args:
        text: The error.
        known: Names of all settings, for the nearest one to an unknown.

    Example:
        >>> in_our_words("argument --epochs: expected one argument")
        '--epochs: expected a value, got none.'
        >>> in_our_words("Subcommand 'toy' does not accept option 'sed'", ["seed", "seeds"])
        "unknown setting 'sed'. Did you mean 'seed'?"
    """
    text = " ".join(text.split())
    if found := _UNKNOWN.fullmatch(text):
        return f"unknown setting {found[1]!r}.{nearest(found[1], known)}"
    if found := _NO_SETTINGS.fullmatch(text):
        return f"config: expected settings by name, got {_told(found[1])}."
    if found := _OF_A_FLAG.fullmatch(text):
        return f"{found[1]}: {_flag_words(found[2])}"
    if found := _OF_A_KEY.fullmatch(text):
        return f"{found[1]}: {_value_words(found[2])}"
    return text


_UNKNOWN = re.compile(
    r"(?:Subcommand '.*?' does not accept option|Key|Option) '(\S+?)'(?: is not expected)?\.?"
)
_NO_SETTINGS = re.compile(r"Unexpected config: (.*)")
_OF_A_FLAG = re.compile(r"argument (--?[\w.-]+)\S*: (.*)")
_OF_A_KEY = re.compile(r"Parser key \"(\S+)\": (.*)")

_NO_VALUE = re.compile(r"ignored explicit argument '(.*)'")

_ONE_OF = re.compile(r"Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)")
_TYPE = re.compile(r"Expected a <class '(\w+)'>\. Got value: (.*)")
_UNION = re.compile(r".*?Union subtypes Subtypes: \[(.*?)\] Errors: .* Given value: (.*)")
_CLASS = re.compile(r"<class '(\w+)'>")
_NO_FILE = re.compile(r"File does not exist: '(.*)'")


def _flag_words(text: str) -> str:
    if text.startswith("expected one argument"):
        return "expected a value, got none."
    if found := _NO_VALUE.fullmatch(text):
        return f"expected no value, got {_told(found[1])}."
    return text


def _value_words(text: str) -> str:
    if found := _ONE_OF.fullmatch(text):
        hint = nearest(found[2], re.findall(r"'([^']*)'", found[1]))
        return f"expected one of {found[1]}, got {found[2]!r}.{hint}"
    if found := _NO_FILE.fullmatch(text):
        return f"expected a YAML file, got {found[1]!r}, which is not there. Check the path."
    types = []
    if found := _TYPE.fullmatch(text):
        types = [found[1]]
    elif found := _UNION.fullmatch(text):
        types = [name for name in _CLASS.findall(found[1]) if name != "NoneType"]
    if found is None or not types or not all(name in _TYPES for name in types):
        return text
    return f"expected {' or '.join(_TYPES[name] for name in types)}, got {_told(found[2])}."


def _told(value: str) -> str:
    """A value as it is told back: a number or a list bare, a word in quotation marks."""
    value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
    return value if re.match(r"[\d.\[{+-]", value) else repr(value)
