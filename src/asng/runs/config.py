"""Write YAML files of plain values, and read them as untrusted input.

The safe loader makes no objects, and yet a small file can keep it, or the reader of its result, busy for
ever. Aliases of aliases stand for a billion values ("billion laughs"), and deep nesting overflows the stack.
Our own files have neither.
"""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from asng.errors import RunError, in_one_line
from asng.runs.files import write_text
from asng.runs.guarded import read_plain

__all__ = ["defaults_of", "read_yaml", "words_of", "write_yaml"]

_LARGEST = 2**17
"""Largest size of a file in bytes. Settings take a few thousand; loading so many takes half a second."""

_DEEPEST = 64
"""How deep values may nest."""

_LONGEST_WHOLE = 300
"""Most letters of an integer, which YAML also takes in bases 2, 8, 16 and 60. Python writes down none of more
than 4300 digits, so that an error or a report could not show it."""

# The parser in C, if PyYAML was built with it, is twenty times as fast, and keeps its stack on the heap.
_LOADER: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})


def _whole(loader: Any, node: Any) -> Any:
    if len(node.value) > _LONGEST_WHOLE:
        raise ValueError(f"an integer of {len(node.value)} letters")
    return loader.construct_yaml_int(node)


_LOADER.add_constructor("tag:yaml.org,2002:int", _whole)


class _Dumper(yaml.SafeDumper):
    """Writes a value in full each time it occurs, and never as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def defaults_of(settings: Any) -> dict[str, Any]:
    """Return the defaults of the dataclass fields that have another value: those that a user has changed.

    A field without a default is left out.

    Example:
        >>> from dataclasses import make_dataclass
        >>> Some = make_dataclass("Some", [("data", str), ("epochs", int, 40), ("peers", int, 4)])
        >>> defaults_of(Some("digits", epochs=5))
        {'epochs': 40}
    """
    known = (
        (f.name, f.default if f.default_factory is MISSING else f.default_factory()) for f in fields(settings)
    )
    return {
        name: default
        for name, default in known
        if default is not MISSING and getattr(settings, name) != default
    }


def write_yaml(path: Path, data: Any) -> Path:
    """Write plain values in their order, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    return write_text(path, yaml.dump(data, Dumper=_Dumper, sort_keys=False))


def read_yaml(path: Path) -> Any:
    r"""Return the values of a YAML file.

    Args:
        path: The file: at most 128 KiB of UTF-8; at most 64 levels, no anchors and no aliases.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: The file is unreadable, too large, not YAML, or holds more than plain values, or integers of
            more than 300 letters.

    Example:
        >>> import tempfile
        >>> file = write_yaml(Path(tempfile.mkdtemp(), "config.yaml"), {"seed": 0, "search": {"lam": 2}})
        >>> read_yaml(file)
        {'seed': 0, 'search': {'lam': 2}}
        >>> _ = file.write_text("a: &a [x, x]\nb: [*a, *a]")
        >>> read_yaml(file)
        Traceback (most recent call last):
            ...
        asng.errors.RunError: ...: expected YAML of plain values, got an anchor or an alias. Write values out.
    """
    content = read_plain(path, _LARGEST)
    try:
        text = content.decode("utf-8")
        fault = _fault(text)
        data = None if fault else yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one  # nosec B506
    except Exception as error:  # wrong scalars under a tag (!!int '') fail in many ways
        raise RunError(
            f"{path}: expected YAML of plain values, got a file that cannot be read: {in_one_line(error)}."
        ) from error
    if fault:
        raise RunError(f"{path}: expected YAML of plain values, got {fault}.")
    return data


def words_of(text: str) -> list[str]:
    """Return all scalars and keys of a text that is a list or mapping in YAML, without converting any.

    Parsers differ in what they convert, and in what they refuse. This holds for all of them.

    Returns:
        The words in their order; none if the text is no YAML, or a single scalar.

    Raises:
        RunError: It holds more than plain values.

    Example:
        >>> words_of("{a: [b, 2001-99-99]}"), words_of("a"), words_of("*.png"), words_of("{a")
        (['a', 'b', '2001-99-99'], [], [], [])
    """
    try:
        events = list(yaml.parse(text, Loader=_LOADER))
        several = any(isinstance(event, yaml.CollectionStartEvent) for event in events)
        fault = _fault(text) if several else ""
    except (yaml.YAMLError, ValueError):  # the latter for halves of surrogate pairs
        return []
    if fault:
        raise RunError(f"expected an argument of plain values, got {fault}.")
    return [event.value for event in events if several and isinstance(event, yaml.ScalarEvent)]


def _fault(text: str) -> str:
    """Return what a text has beside plain values, from parser events: few, whatever they stand for."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if getattr(event, "anchor", None) is not None:  # an alias has one too
            return "an anchor or an alias. Write values out"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return f"more than {_DEEPEST} levels"
    return ""
