"""A parser that answers a wrong flag by the nearest right one."""

import re
from collections.abc import Set
from typing import NoReturn

from jsonargparse import ArgumentParser

from asng.checks import nearest
from asng.cli.wording import in_our_words

__all__ = ["NearestNames"]


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
