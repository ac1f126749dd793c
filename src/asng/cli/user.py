"""asng search --model --data: classes of a user, whose signatures become flags.

Which flags there are depends on what `--model` and `--data` name, on the command line or in a YAML file. So
these two are looked for first, and what they name is imported before the parser is made.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames, looked_ahead, settings_in
from asng.errors import InputError
from asng.tasks.classification import ClassificationSettings
from asng.tasks.user import UserSettings
from asng.tasks.user.signature import add_arguments, plain_arguments
from asng.tasks.user.task import import_data, import_model, takes_seed
from asng.tasks.user.trust import ANYTHING

__all__ = ["UserCode", "find_user_code", "mention_user_code", "spelled_out", "user_settings"]

_PARTS = ("model", "data")
_OPTIONS = {**{part: [f"--{part}", f"--{part}.import"] for part in _PARTS}, "config": ["--config"]}


@dataclass(frozen=True)
class UserCode:
    """A class and a function that returns loaders, as the words name them."""

    model: type[Any]
    data: Callable[..., Any]

    @classmethod
    def imported(cls, paths: Mapping[str, str]) -> "UserCode":
        """Return what two import paths name.

        Raises:
            InputError: They cannot be imported, or are no class and no function.
        """
        return cls(
            import_model(paths["model"], imports=ANYTHING), import_data(paths["data"], imports=ANYTHING)
        )

    def add_to(self, parser: NearestNames) -> None:
        """Add the flags for both."""
        given = {"seed"} if takes_seed(self.data) else set()
        for key, target, skip in (("model", self.model, set()), ("data", self.data, given)):
            group = parser.add_argument_group(f"{key}: {target.__module__}.{target.__qualname__}")
            group.add_argument(f"--{key}.import", type=str, metavar="PATH", help=f"as --{key}")
            add_arguments(group, key, target, given=skip)


def find_user_code(words: Sequence[str]) -> UserCode | None:
    """Return what the words of `asng search` name, or None where they name neither.

    Raises:
        InputError: They name one of the two only, or what cannot be imported.
    """
    paths: dict[str, str] = {}
    for flag, value in looked_ahead(words, _OPTIONS):
        paths |= _named_in(value) if flag == "config" else {flag: value}
    if not paths:
        _refuse_alone(words)
        return None
    for part, other, example in (("model", "data", "Net"), ("data", "model", "loaders")):
        if part not in paths:
            raise InputError(
                f"{part}: expected beside --{other}, got none. Give --{part} package.module.{example}."
            )
    return UserCode.imported(paths)


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return the words with `--model X` as `--model.import X`, the name that a YAML file has for it.

    Example:
        >>> spelled_out(["--model", "pkg.Net", "--model.width", "64", "--data=pkg.loaders"])
        ['--model.import', 'pkg.Net', '--model.width', '64', '--data.import=pkg.loaders']
    """
    short = {f"--{part}" for part in _PARTS}
    split = (word.partition("=") for word in words)
    return [
        f"{flag}.import{sign}{value}" if flag in short else flag + sign + value for flag, sign, value in split
    ]


def mention_user_code(parser: NearestNames) -> None:
    """Add to the help what `find_user_code` looks for; it is never there when this parser runs."""
    group = parser.add_argument_group("a model and data of your own, in place of cells for images")
    for part, what in (("model", "torch.nn.Module class"), ("data", "function that returns loaders")):
        words = f"import path of a {what}; with it, --help tells its arguments"
        group.add_argument(f"--{part}", type=str, metavar="PATH", default=argparse.SUPPRESS, help=words)


def user_settings(arguments: Namespace, others: Mapping[str, Any]) -> UserSettings:
    """Return the settings of the task: what was parsed for both, and the others, as they are."""
    paths = {part: arguments[f"{part}.import"] for part in _PARTS}
    found = UserCode.imported(paths)
    model = {"import": paths["model"], **plain_arguments("model", found.model, arguments.model)}
    data = {"import": paths["data"], **plain_arguments("data", found.data, arguments.data)}
    return UserSettings(model=model, data=data, **others)


def _refuse_alone(words: Sequence[str]) -> None:
    user, images = ({field.name for field in fields(kind)} for kind in (UserSettings, ClassificationSettings))
    flags = {f"--{name.replace('_', '-')}" for name in user - images}
    for word in words:
        flag = word.partition("=")[0]
        if flag in flags or flag.startswith(tuple(f"--{part}." for part in _PARTS)):
            raise InputError(
                f"{flag}: expected beside --model and --data, got neither. Give --model package.module.Net"
                " --data package.module.loaders."
            )


def _named_in(config: str) -> dict[str, str]:
    """Return what a YAML file, or YAML itself, names."""
    parts = settings_in(config)
    named = {}
    for part in _PARTS:
        value = parts.get(part)
        if isinstance(value, str):
            raise InputError(f"{config}: {part}: expected a mapping, got {value!r}. Write import: {value}.")
        if isinstance(value, dict) and isinstance(value.get("import"), str):
            named[part] = value["import"]
    return named
