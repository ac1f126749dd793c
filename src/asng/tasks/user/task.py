"""The task of searching the user's own model on the user's own data."""

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from torch import nn

from asng.errors import InputError
from asng.pipeline.task import Loaders, Task
from asng.runs.config import defaults_of
from asng.settings import UserSettings
from asng.tasks.user.importing import import_named, whole_path
from asng.tasks.user.loaders import loaders_from
from asng.tasks.user.scoring import HOMES, loss_of, selection_of
from asng.tasks.user.signature import call, named_by
from asng.tasks.user.trust import ANYTHING, Imports

__all__ = ["import_baseline", "import_data", "import_model", "takes_seed", "user_task"]


def user_task(settings: UserSettings, *, imports: Imports = ANYTHING) -> Task:
    """Return the task of searching a user's model; this imports what the settings name.

    Args:
        settings: The model, the data, the loss and the objective.
        imports: What the settings may import. Default: anything, because they are the user's own.

    Raises:
        RunError: The settings name what may not be imported; nothing was imported.
        InputError: Something cannot be imported, or is of the wrong kind.

    Example:
        >>> model = {"import": "package.module.Net", "width": 64}
        >>> task = user_task(UserSettings(model, data={"import": "package.module.loaders"}))  # doctest: +SKIP
    """
    model, data, baseline = dict(settings.model), dict(settings.data), dict(settings.baseline or {})
    model_path, data_path = model.pop("import"), data.pop("import")
    baseline_path = baseline.pop("import", None)
    paths = [model_path, data_path, *([] if baseline_path is None else [baseline_path])]
    functions = {name: getattr(settings, name) for name in HOMES}
    whole = [whole_path(path, HOMES[name]) for name, path in functions.items() if path is not None]
    imports.check(paths, functions=whole)  # all at once, so that one error names all of them
    net, function = import_model(model_path, imports=imports), import_data(data_path, imports=imports)
    named = [*named_by("model", net, model), *named_by("data", function, data)]
    if baseline_path is not None:
        plain = import_baseline(baseline_path, imports=imports)
        named += named_by("baseline", plain, baseline)
    imports.check(named)
    loss = loss_of(settings.loss, settings.batch_loss, imports=imports)
    selection = selection_of(loss, minimize=settings.minimize, maximize=settings.maximize, imports=imports)

    def loaders(seed: int) -> Loaders:
        given = {"seed": seed} if takes_seed(function) else {}
        returned = call("data", data_path, function, data, given=given, imports=imports)
        try:
            return loaders_from(returned, valid_share=settings.valid_share, seed=seed)
        except InputError as error:
            raise InputError(f"data: {data_path}: {error}") from error

    def build() -> nn.Module:
        made: nn.Module = call("model", model_path, net, model, imports=imports)
        return made

    def build_baseline() -> nn.Module:
        made = call("baseline", baseline_path, plain, baseline, imports=imports)
        if not isinstance(made, nn.Module):
            raise InputError(f"baseline: expected a torch.nn.Module from {baseline_path}, got {_kind(made)}.")
        return made

    return Task(
        name="user",
        data=data_path,
        settings=asdict(settings),
        defaults=defaults_of(settings),
        build=build,
        child=lambda architecture: build(),
        loaders=loaders,
        loss=loss,
        metric=selection.metric,
        score=selection.score,
        higher_is_better=selection.higher_is_better,
        minimize=None if settings.minimize is None else selection.score,
        maximize=None if settings.maximize is None else selection.score,
        baseline=None if baseline_path is None else build_baseline,
    )


def import_model(path: str, *, imports: Imports) -> type[nn.Module]:
    """Import and return a model class by its import path.

    Raises:
        RunError: It may not be imported.
        InputError: It does not exist, or is not a torch.nn.Module class.
    """
    found = import_named("model", path, imports=imports)
    if not inspect.isclass(found) or not issubclass(found, nn.Module):
        raise InputError(f"model: expected {path} to be a torch.nn.Module class, got {_kind(found)}.")
    _check_signature("model", path, found)
    return found


def import_data(path: str, *, imports: Imports) -> Callable[..., Any]:
    """Import and return a data function by its import path.

    Raises:
        RunError: It may not be imported.
        InputError: It does not exist, or is not a function.
    """
    found = import_named("data", path, imports=imports)
    if inspect.isclass(found) or not callable(found):
        raise InputError(f"data: expected {path} to be a function that returns loaders, got {_kind(found)}.")
    _check_signature("data", path, found)
    return found  # type: ignore[no-any-return]


def import_baseline(path: str, *, imports: Imports) -> Callable[..., Any]:
    """Import and return a module class, or a function that returns a module, by its import path.

    Raises:
        RunError: It may not be imported.
        InputError: It does not exist, or is neither.
    """
    found = import_named("baseline", path, imports=imports)
    if not callable(found) or (inspect.isclass(found) and not issubclass(found, nn.Module)):
        raise InputError(
            f"baseline: expected {path} to be a torch.nn.Module class, or a function that returns a module, "
            f"got {_kind(found)}."
        )
    _check_signature("baseline", path, found)
    return found  # type: ignore[no-any-return]


def _check_signature(what: str, path: str, found: Callable[..., Any]) -> None:
    """Refuse a callable without a readable signature, such as a torch function that is written in C."""
    try:
        inspect.signature(found)
    except (ValueError, TypeError):
        raise InputError(
            f"{what}: expected {path} to say which arguments it takes, got {_kind(found)} that "
            "does not. Name a class or a function of your own, written in Python."
        ) from None


def takes_seed(function: Callable[..., Any]) -> bool:
    """Return whether a function has an argument named `seed`."""
    return "seed" in inspect.signature(function).parameters


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else f"a {type(value).__name__}"
