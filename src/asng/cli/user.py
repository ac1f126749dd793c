"""--model, --data and --baseline: the user's own code, whose signatures become flags.

Which flags there are depends on what these name, on the command line or in a YAML file. They are therefore
looked for first, and what they name is imported before the parser is made. A baseline is optional.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames, looked_ahead, settings_in
from asng.errors import InputError
from asng.settings import ClassificationSettings, UserSettings

__all__ = [
    "PARTS",
    "UserCode",
    "add_user_code",
    "find_user_code",
    "mention_user_code",
    "spelled_out",
    "user_code_of",
    "user_settings",
]

_WHAT = {
    "model": "torch.nn.Module class",
    "data": "function that returns loaders",
    "baseline": "plain torch.nn.Module class or a function that returns one, to compare with (optional)",
}
PARTS = tuple(_WHAT)
"""The settings that name the user's own code, which has arguments of its own."""
_OPTIONS = {**{part: [f"--{part}", f"--{part}.import"] for part in PARTS}, "config": ["--config"]}


@dataclass(frozen=True)
class UserCode:
    """The user's model class, a function that returns loaders, and perhaps a baseline."""

    model: type[Any]
    data: Callable[..., Any]
    baseline: Callable[..., Any] | None

    @classmethod
    def imported(cls, paths: Mapping[str, str]) -> "UserCode":
        """Import the user's code from an import path for each part.

        Raises:
            InputError: A path cannot be imported, or names neither a class nor a function.
        """
        from asng.tasks.user.task import import_baseline, import_data, import_model
        from asng.tasks.user.trust import ANYTHING

        baseline = paths.get("baseline")
        return cls(
            import_model(paths["model"], imports=ANYTHING),
            import_data(paths["data"], imports=ANYTHING),
            None if baseline is None else import_baseline(baseline, imports=ANYTHING),
        )

    def parts(self) -> dict[str, Callable[..., Any]]:
        """Return the parts that are given, by name."""
        parts: dict[str, Callable[..., Any]] = {"model": self.model, "data": self.data}
        return parts if self.baseline is None else {**parts, "baseline": self.baseline}

    def add_to(self, parser: NearestNames) -> None:
        """Add the flags of all parts."""
        from asng.tasks.user.signature import add_arguments
        from asng.tasks.user.task import takes_seed

        for key, target in self.parts().items():
            group = parser.add_argument_group(f"{key}: {target.__module__}.{target.__qualname__}")
            group.add_argument(f"--{key}.import", type=str, metavar="PATH", help=f"as --{key}")
            given = {"seed"} if key == "data" and takes_seed(target) else set()
            add_arguments(group, key, target, given=given)
        if self.baseline is None:
            group = parser.add_argument_group("baseline: none")
            _mention(group, "baseline")


def find_user_code(words: Sequence[str]) -> UserCode | None:
    """Return the code that the words of `asng search` name, or None if they name none.

    Raises:
        InputError: They name no model or no data, or something that cannot be imported.
    """
    paths: dict[str, str] = {}
    for flag, value in looked_ahead(words, _OPTIONS):
        paths |= _named_in(value) if flag == "config" else {flag: value}
    if not paths:
        _refuse_alone(words)
        return None
    for part, example in (("model", "Net"), ("data", "loaders")):
        if part not in paths:
            others = " and ".join(f"--{other}" for other in paths)
            raise InputError(
                f"{part}: expected together with {others}, got none. Give --{part} package.module.{example}."
            )
    for flag in (word.partition("=")[0] for word in words):
        if flag.startswith("--baseline.") and "baseline" not in paths:
            raise InputError(
                f"{flag}: expected only with --baseline, got no baseline. Give --baseline "
                "package.module.Network."
            )
    return UserCode.imported(paths)


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return the words with `--model X` spelled as `--model.import X`, its name in a YAML file.

    Example:
        >>> spelled_out(["--model", "pkg.Net", "--model.width", "64", "--data=pkg.loaders"])
        ['--model.import', 'pkg.Net', '--model.width', '64', '--data.import=pkg.loaders']
    """
    short = {f"--{part}" for part in PARTS}
    split = (word.partition("=") for word in words)
    return [
        f"{flag}.import{sign}{value}" if flag in short else flag + sign + value for flag, sign, value in split
    ]


def add_user_code(parser: NearestNames, named: UserCode | None) -> None:
    """Add the flags by which a command reads a run folder that `OneShotSearch.fit` wrote.

    Args:
        parser: Parser of the subcommand.
        named: The code that the words name; None if they name none.
    """
    if named is None:
        mention_user_code(parser, "the model and data of a search in Python, which its folder does not name")
    else:
        named.add_to(parser)
        parser.add_settings(UserSettings, skip=set(PARTS))


def user_code_of(arguments: Namespace) -> UserSettings | None:
    """Return the settings parsed from the flags of `add_user_code`; None if no model is named."""
    if "model" not in arguments:
        return None
    others = {f.name: arguments[f.name] for f in fields(UserSettings) if f.name not in PARTS}
    return user_settings(arguments, others)


def mention_user_code(
    parser: NearestNames, title: str = "your own model and data, instead of the cell space for images"
) -> None:
    """Mention in the help the flags that `find_user_code` handles; this parser is never given them."""
    group = parser.add_argument_group(title)
    for part in PARTS:
        _mention(group, part)


def _mention(group: Any, part: str) -> None:
    words = f"import path of a {_WHAT[part]}; with it, --help lists its arguments"
    group.add_argument(f"--{part}", type=str, metavar="PATH", default=argparse.SUPPRESS, help=words)


def user_settings(arguments: Namespace, others: Mapping[str, Any]) -> UserSettings:
    """Return the settings of the task: the parsed ones of each part, and the others as they are."""
    from asng.tasks.user.signature import plain_arguments

    paths = {part: arguments[f"{part}.import"] for part in PARTS if f"{part}.import" in arguments}
    parts: dict[str, Any] = {
        part: {"import": paths[part], **plain_arguments(part, target, arguments[part])}
        for part, target in UserCode.imported(paths).parts().items()
    }
    return UserSettings(**parts, **others)


def _refuse_alone(words: Sequence[str]) -> None:
    user, images = ({field.name for field in fields(kind)} for kind in (UserSettings, ClassificationSettings))
    flags = {f"--{name.replace('_', '-')}" for name in user - images}
    for word in words:
        flag = word.partition("=")[0]
        if flag in flags or flag.startswith(tuple(f"--{part}." for part in PARTS)):
            raise InputError(
                f"{flag}: expected only with --model and --data, got neither. Give --model package.module.Net"
                " --data package.module.loaders."
            )


def _named_in(config: str) -> dict[str, str]:
    """Return the import paths in a YAML file, or in YAML text, by part."""
    parts = settings_in(config)
    named = {}
    for part in PARTS:
        value = parts.get(part)
        if isinstance(value, str):
            raise InputError(f"{config}: {part}: expected a mapping, got {value!r}. Write import: {value}.")
        if isinstance(value, dict) and isinstance(value.get("import"), str):
            named[part] = value["import"]
    return named
