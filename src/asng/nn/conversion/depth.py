"""Find the blocks of a model that can be left out; a row of such blocks becomes one depth variable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import floor
from typing import Any, TypeAlias

import torch
from torch import nn

from asng.errors import InputError
from asng.nn.conversion.blocks import Run, blocks_of, renumbered, shortened
from asng.nn.conversion.numbers import all_roles
from asng.nn.conversion.options import Options
from asng.nn.conversion.passes import Refused, whole_of
from asng.nn.conversion.proof import ChannelCut, cut_of
from asng.nn.conversion.recognition import own_tensors
from asng.nn.conversion.skipping import SkipTrial, replaced
from asng.nn.extraction.copying import deep_copy
from asng.nn.extraction.hooks import is_wrapped
from asng.nn.inputs import Inputs
from asng.space import Integer

__all__ = ["DepthGroup", "Rank", "check_with_widths", "depths_in", "reduced", "with_depths"]


@dataclass(frozen=True)
class DepthGroup:
    """A row of blocks that can be left out.

    Attributes:
        name: Name of the variable, which says how many of them stay.
        container: Path of the list or sequence that they are in.
        blocks: Their names in it, in the order of the model.
        least: Smallest number of blocks that stay.
        in_place: Whether `torch.nn.Identity()` replaces a block that is left out; else later blocks move up.
        movable: Whether each of them can be left out by itself; else only the last ones.
        order: The blocks, from the one that stays longest. Default: the order of the model.
    """

    name: str
    container: str
    blocks: tuple[str, ...]
    least: int
    in_place: bool = False
    movable: bool = True
    order: tuple[str, ...] = ()

    @property
    def variable(self) -> Integer:
        """The variable that says how many blocks stay."""
        return Integer(self.least, len(self.blocks), label=self.name)

    @property
    def run(self) -> Run:
        """The description of the blocks for a searchable container."""
        return Run(self.order or self.blocks, self.variable, self.in_place)

    def gone(self, count: int) -> tuple[str, ...]:
        """Return the names of the blocks that are left out if `count` stay."""
        return self.run.names[count:]

    def paths(self) -> list[str]:
        """Return the paths of the blocks, from the one that stays longest."""
        return [_path(self.container, name) for name in self.run.names]


Rank: TypeAlias = Callable[[DepthGroup], DepthGroup]
"""A function that returns a group with its blocks ordered, from the one that should stay longest."""


def depths_in(
    model: nn.Module, calls: Sequence[Inputs], options: Options, rank: Rank | None = None
) -> tuple[list[DepthGroup], dict[str, str]]:
    """Return the blocks of a model that can be left out, and why others cannot.

    Args:
        model: A copy for proofs, from `shaken`.
        calls: Inputs of calls of the model.
        options: Patterns of what is searched.
        rank: Orders the blocks of groups in which each can be left out by itself. Default: the first ones
            stay longest.

    Returns:
        The groups, and a mapping from the path of each container whose blocks are alike, but none of which
        can be left out, to the reason.
    """
    trial = SkipTrial(model, calls)
    needed: dict[str, str] = {}
    found = _inside(trial, "", options, needed)
    return found if rank is None else [_ranked(trial, group, rank) for group in found], needed


def _inside(trial: SkipTrial, path: str, options: Options, needed: dict[str, str]) -> list[DepthGroup]:
    """Return the outermost groups in a part of a network; for a stage of blocks, those inside it.

    Args:
        trial: The network.
        path: Path of the part.
        options: Patterns of what is searched.
        needed: As in the result of `depths_in`; changed in place.
    """
    part = trial.model.get_submodule(path)
    found = _here(trial, path, options, needed)
    done: set[str] = set()
    for group in list(found):
        stage = len(group.blocks) == 1 and _inside(trial, group.paths()[0], options, needed)
        if stage:
            found[found.index(group) : found.index(group) + 1] = stage
        done |= set(group.blocks)
    for name, child in part.named_children():
        once = trial.paths[child] == _path(path, name)  # a part may be used in several places
        if name not in done and once:
            found += _inside(trial, _path(path, name), options, needed)
    return found


def reduced(model: nn.Module, counts: Mapping[DepthGroup, int]) -> tuple[nn.Module, dict[str, str]]:
    """Return a copy of a model in which `counts` blocks stay, and old paths of modules to new ones."""
    model = deep_copy(model)
    modules = dict(model.named_modules())  # kept alive, so that no id is used again
    old = {id(module): path for path, module in modules.items()}
    places: dict[str, Any] = {group.container: model.get_submodule(group.container) for group in counts}
    for group, count in counts.items():
        place = places[group.container]
        place._modules = shortened(place._modules, group.gone(count), in_place=group.in_place)
    for place in places.values():
        place._modules = renumbered(place._modules)
    paths = {old[id(m)]: path for path, m in model.named_modules() if id(m) in old}
    for before, path in list(paths.items()):
        module = model.get_submodule(path)
        ends = [f".{name}[{dim}]" for name, t in own_tensors(module).items() for dim in range(t.ndim)]
        ends += [f".{name}" for name, value in vars(module).items() if type(value) is int]
        for end in ends:
            paths[f"{before}{end}".lstrip(".")] = f"{path}{end}".lstrip(".")
    return model, paths


def with_depths(model: nn.Module, groups: Sequence[DepthGroup]) -> nn.Module:
    """Replace the containers of groups by searchable ones, and return the model."""
    for path in dict.fromkeys(group.container for group in groups):
        plain = model.get_submodule(path)
        runs = [group.run for group in groups if group.container == path]
        model = replaced(model, plain, blocks_of(plain, runs))
    return model


def check_with_widths(
    model: nn.Module,
    calls: Sequence[Inputs],
    counts: Mapping[DepthGroup, int],
    cuts: Sequence[ChannelCut],
) -> None:
    """Prove that channels can be cut in the same ways without some blocks.

    Args:
        model: A copy for proofs.
        calls: Inputs of calls of the model.
        counts: Number of blocks that stay in each group.
        cuts: The channels that layers keep in the network with all blocks.

    Raises:
        Refused: They cannot be cut, or layers then read other channels.
    """
    small, paths = reduced(model, counts)
    made = [{paths[path]: kept for path, kept in cut.made.items() if path in paths} for cut in cuts]
    if not any(made):
        return
    roles, whole = all_roles(small, calls), whole_of(small, calls)
    for cut, there in zip(cuts, made, strict=True):
        # A layer beside a block, such as a norm in a list of its own, may not run without it.
        expected = {paths[p]: kept for p, kept in cut.read.items() if paths.get(p) in whole.reached}
        got = cut_of(small, calls, roles, there, whole=whole).read
        if got.keys() != expected.keys() or any(not torch.equal(got[path], expected[path]) for path in got):
            raise Refused("without blocks others read other channels")


def _here(trial: SkipTrial, path: str, options: Options, needed: dict[str, str]) -> list[DepthGroup]:
    """Return the groups in a container; none for any other module."""
    container = trial.model.get_submodule(path)
    if not isinstance(container, (nn.ModuleList, nn.Sequential)):
        return []
    reasons: dict[str, str] = {}
    runs = list(_runs(trial, path, container, options, reasons))
    found = []
    for run in runs:
        name = path if len(runs) == 1 else f"{_path(path, run[0])}-{run[-1]}"
        group = DepthGroup(f"{name}.depth".lstrip("."), path, run, _least(path, container, run, options))
        try:
            found.append(_proved(trial, group))
        except Refused as reason:
            reasons |= dict.fromkeys(run, str(reason))
    kinds = [_kind(container._modules[name]) for name in reasons]
    if not found and len(kinds) > len(set(kinds)):
        needed[path] = next(iter(reasons.values()))
    return found


def _runs(
    trial: SkipTrial, path: str, container: nn.Module, options: Options, reasons: dict[str, str]
) -> list[tuple[str, ...]]:
    """Return the rows of blocks that can be left out, each by itself or together with all later ones.

    Args:
        trial: The network.
        path: Path of the container.
        container: The list or sequence.
        options: Patterns of what is searched.
        reasons: Name of each other block to the reason why it cannot be left out; changed in place.
    """
    blocks = container._modules
    if is_wrapped(container) or len(set(map(id, blocks.values()))) < len(blocks):
        return []
    names = list(blocks)
    found: set[str] = set()
    for number in reversed(range(len(names))):
        if not _has_layers(blocks[names[number]]):
            continue
        ways = [(names[number : number + 1], in_place) for in_place in (False, True)]
        if number and found.issuperset(names[number + 1 :]):
            ways.append((names[number:], False))
        try:
            options.refuse([path, _path(path, names[number])])
            _first_that_holds([partial(trial.check, path, tuple(gone), in_place=p) for gone, p in ways])
            found.add(names[number])
        except Refused as reason:
            reasons[names[number]] = str(reason)
    return [tuple(run) for there, run in groupby(names, key=lambda name: name in found) if there]


def _first_that_holds(checks: Sequence[Callable[[], None]]) -> int:
    """Return the index of the first check that does not raise.

    Raises:
        Refused: All checks raise; the error is that of the first.
    """
    reasons = []
    for number, check in enumerate(checks):
        try:
            check()
        except Refused as reason:
            reasons.append(reason)
        else:
            return number
    raise reasons[0]


def _least(path: str, container: nn.Module, names: tuple[str, ...], options: Options) -> int:
    share = options.of_paths(options.least, [path, *(_path(path, name) for name in names)]) or 0.25
    return max(floor(share * len(names)), 0 if len(names) < len(container._modules) else 1)


def _proved(trial: SkipTrial, group: DepthGroup) -> DepthGroup:
    """Return a group in a form that can be proved: with later blocks moving up, or not.

    Raises:
        Refused: Neither form can be proved, or `least` keeps all blocks.
    """
    if group.least == len(group.blocks):
        raise Refused("least= keeps all of it")
    names = list(trial.model.get_submodule(group.container)._modules)
    # After the last block there is nothing whose path could change.
    forms = [replace(group, in_place=names[-1] != group.blocks[-1])]
    forms.append(replace(group, in_place=not forms[0].in_place))
    group = forms[_first_that_holds([partial(_check_counts, trial, form) for form in forms])]
    return replace(group, movable=all(_moves(trial, group, name) for name in group.blocks))


def _ranked(trial: SkipTrial, group: DepthGroup, rank: Rank) -> DepthGroup:
    """Return a group ordered by a rank, or unchanged if that order cannot be proved."""
    if not group.movable:
        return group
    try:
        ranked = rank(group)
        _check_counts(trial, ranked)
    except (
        Refused,
        InputError,
    ):  # InputError: without some blocks, the network does not run on the user's batches
        return group
    return ranked


def _check_counts(trial: SkipTrial, group: DepthGroup) -> None:
    for count in range(len(group.blocks) - 1, group.least - 1, -1):
        trial.check(group.container, group.gone(count), in_place=group.in_place)
        trial.check_supernet(group.container, group.run, count)


def _moves(trial: SkipTrial, group: DepthGroup, name: str) -> bool:
    try:
        trial.check(group.container, (name,), in_place=group.in_place)
    except Refused:
        return False
    return True


def _path(container: str, name: str) -> str:
    return f"{container}.{name}" if container else name


def _kind(block: Any) -> tuple[Any, ...]:
    """Return the class and the weight shapes of a block, which equal blocks have in common."""
    return type(block), *(tuple(p.shape) for p in block.parameters())


def _has_layers(block: nn.Module | None) -> bool:
    """Whether a module is a block: it has submodules and weights of two dimensions or more."""
    if block is None or not block._modules:
        return False
    return any(p.ndim > 1 for p in block.parameters())
