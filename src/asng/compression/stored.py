"""Write and read what a compression leaves in its folder: compression.json, and a folder for each child."""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from asng.costs.terms import limit_of
from asng.errors import AsngError
from asng.nn import Inputs
from asng.nn.conversion import roles_in, tensors_in
from asng.runs.files import write_folder
from asng.runs.folder import CHILD, COMPRESSION
from asng.runs.stored import Number, Stored, Whole, plain, read_stored, write_json
from asng.training.compare import TOLERANCE, difference
from asng.training.data.random_state import undisturbed
from asng.training.export import save_onnx

if TYPE_CHECKING:
    from asng.compression.result import Compressed

__all__ = [
    "StoredChild",
    "StoredCompression",
    "StoredNetwork",
    "read_compression",
    "widths_of",
    "write_compression",
]

MOST_POINTS = 2000
"""Scored architectures that a report draws."""
MOST_CONFIGS = 64
"""Configs that are tried for a child."""


class StoredNetwork(Stored, frozen=True):
    """A stored network: its score and its costs.

    Attributes:
        score: Its score.
        costs: By name of measure.
    """

    score: Number = math.nan
    costs: Mapping[str, Number] = {}


class StoredChild(StoredNetwork, frozen=True):
    """A stored child.

    Attributes:
        goal: Its budget, in words.
        limits: Greatest costs by name of measure.
        before: Its score before it was fine-tuned.
        widths: Path of a layer of the model to its number of output channels in the child, and in the model;
            0 for a layer that is gone.
        files: Files and folders in its folder.
    """

    goal: str = ""
    limits: Mapping[str, Number] = {}
    before: Number = math.nan
    widths: Mapping[str, tuple[Whole, Whole]] = {}
    files: tuple[str, ...] = ()


class StoredCompression(Stored, frozen=True):
    """A stored compression.

    Attributes:
        metric: Name of the score.
        higher_is_better: Whether a higher score is better.
        model: The model as it was given.
        children: One per budget.
        measure: The measure of the points' costs.
        scored: How many architectures were scored on the shared weights.
        points: Cost and score of the architectures that were fine-tuned for a few steps.
        seconds: How long each part took.
        notes: Remarks on how it was done.
        fixed: Path of a layer whose width was kept to the reason.
        settings: The arguments of `asng.compress`, and under "defaults" those of what has another value.
    """

    metric: str = "score"
    higher_is_better: bool = False
    model: StoredNetwork = StoredNetwork()
    children: tuple[StoredChild, ...] = ()
    measure: str = ""
    scored: Whole = 0
    points: tuple[tuple[Number, Number], ...] = ()
    seconds: Mapping[str, Number] = {}
    notes: tuple[str, ...] = ()
    fixed: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}


def widths_of(model: nn.Module, child: nn.Module) -> dict[str, tuple[int, int]]:
    """Return the number of output channels of each layer of a model, in a child and in the model.

    Example:
        >>> widths_of(nn.Sequential(nn.Linear(3, 8)), nn.Sequential(nn.Linear(3, 6)))
        {'0': (6, 8)}
    """
    roles, there = roles_in(model), roles_in(child)
    left = {path: role.makes for path, role in (there | tensors_in(child, there)).items()}
    makes = {path: role.makes for path, role in roles.items() if role.makes}
    more = {path: role.makes or 0 for path, role in tensors_in(model, roles).items() if path not in roles}
    makes |= {path: count for path, count in more.items() if left.get(path) != count}
    return {path: (left.get(path) or 0, count) for path, count in makes.items()}


def write_compression(compressed: "Compressed", *, onnx: bool = True) -> "Compressed":
    """Write a compression into its folder, and return it with notes of what could not be written.

    Args:
        compressed: The compression.
        onnx: Whether to write an ONNX program of each child too.
    """
    folder, notes = compressed.folder, list(compressed.notes)
    assert folder is not None
    children = []
    for child in compressed.children:
        home = folder / child.goal.name
        files = [CHILD]
        try:
            if onnx:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    save_onnx(home / "child.onnx", child.network, compressed.example[0])
                files.append("child.onnx")
        except AsngError as error:
            if isinstance(error.__cause__, OSError):  # the disk is to blame, not the program
                raise
            notes.append(f"{child.goal.name}: no ONNX program: {error}")
        files += _pretrained(compressed.model.network, child.network, compressed.example[0], home, notes)
        children.append(
            StoredChild(
                score=child.score,
                costs=child.costs,
                goal=child.goal.name,
                limits={budget.name: limit_of(budget) for budget in child.goal.budgets},
                before=child.before,
                widths=widths_of(compressed.model.network, child.network),
                files=tuple(files),
            )
        )
    measure = compressed.children[0].goal.budgets[0].name
    tried = [one for child in compressed.children for one in child.tried]
    stored = StoredCompression(
        metric=compressed.metric,
        higher_is_better=compressed.higher_is_better,
        model=StoredNetwork(score=compressed.model.score, costs=compressed.model.costs),
        children=tuple(children),
        measure=measure,
        scored=len(compressed.frontier.scored),
        points=tuple((one.costs[measure], one.score) for one in tried[:MOST_POINTS]),
        seconds=compressed.seconds,
        notes=tuple(notes),
        fixed=compressed.conversion.fixed,
        settings=compressed.settings,
    )
    write_json(folder / COMPRESSION, plain(stored))
    return replace(compressed, notes=tuple(notes))


def read_compression(folder: Path) -> StoredCompression | None:
    """Return what `write_compression` wrote; None if the compression is not finished.

    Raises:
        RunError: The file is damaged.
    """
    return read_stored(folder / COMPRESSION, StoredCompression)


def _pretrained(model: nn.Module, child: nn.Module, call: Inputs, home: Path, notes: list[str]) -> list[str]:
    """Save a model of transformers by its own method, if its config can describe the child's sizes."""
    save: Any = getattr(child, "save_pretrained", None)
    if save is None or not hasattr(child, "config"):
        return []
    for config in islice(configs_of(model, child), MOST_CONFIGS):
        try:
            said: Any = type(child)(config)
            said.load_state_dict(child.state_dict())
            with undisturbed(), torch.no_grad():
                same = difference(call.call(said.eval()), call.call(child), tolerance=TOLERANCE) is None
        except Exception:  # whatever a model raises whose config says other sizes
            same = False
        if same:
            write_folder(home / "pretrained", said.save_pretrained)
            return ["pretrained"]
    notes.append(
        f"{home.name}: a config cannot express the sizes of this child, so only {CHILD} was written."
    )
    return []


def configs_of(model: nn.Module, child: nn.Module) -> Iterator[Any]:
    """Yield copies of a model's config with possible sizes of a child.

    An integer in the config that is the size of layers, or of lists of blocks, in the model becomes their
    size in the child. A number of heads shrinks with the widths of the layers that make queries, one of
    key-value heads with those that make keys or values. If layers of one size got several, each is tried.
    """
    widths, lists, choices = widths_of(model, child), _lists_of(model, child), {}
    for name, value in vars(child.config).items():
        if type(value) is not int or value < 2:
            continue
        found = {now: None for now, full in (*widths.values(), *lists) if full == value and now}
        if "head" in name:
            kinds = ("k", "key", "v", "value") if "key_value" in name or "kv" in name else ("q", "query")
            found = {
                value * now // full: None
                for path, (now, full) in widths.items()
                if path.rpartition(".")[2].partition("_")[0] in kinds and now and value * now % full == 0
            }
        if found:
            choices[name] = sorted(found)
    for sizes in product(*choices.values()):
        config: Any = copy.deepcopy(child.config)
        for name, size in zip(choices, sizes, strict=True):
            setattr(config, name, size)
        yield config


def _lists_of(model: nn.Module, child: nn.Module) -> list[tuple[int, int]]:
    """Return the length of each list of modules, in a child and in the model."""
    left = dict(child.named_modules())
    return [
        (len(left[path]), len(module))
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and isinstance(left.get(path), nn.ModuleList)
    ]
