"""A parser that answers a wrong flag by the nearest right one."""

import re
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from asng.checks import nearest

__all__ = ["NearestNames"]


class NearestNames(ArgumentParser):
    """jsonargparse's parser, whose errors are one line and name the nearest right flag."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(exit_on_error=True, **settings)

    def add_settings(self, settings: type) -> None:
        """Add a flag for each field of a dataclass, with hyphens as on other command lines.

        The name with underscores, as in a YAML file, is understood too.
        """
        self.add_class_arguments(settings)
        for action in self._actions:
            for flag in [flag for flag in action.option_strings if "_" in flag and "print_" not in flag]:
                hyphened = flag.replace("_", "-")
                action.option_strings = [hyphened, *action.option_strings]
                self._option_string_actions[hyphened] = action

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong on standard error, and exit with 2."""
        program = self.prog.replace(" [options]", "")
        wrong = re.search(r"(?:[Uu]nrecognized arguments?|[Kk]ey)[: ]+'?(-{0,2}[\w.-]+)", message)
        hint = ""
        if wrong:
            flags = [flag for action in self._actions for flag in action.option_strings[:1]]
            hint = nearest("--" + wrong.group(1).lstrip("-").replace("_", "-"), flags)
        text = " ".join(message.split())
        self.exit(2, f"{program}: {text}.{hint}\nTry: {program} --help\n")
