"""A supernet from a model that exists: its own sizes become variables, nothing in it is rewritten."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import reduce
from math import ceil, gcd
from typing import Any

import torch
from torch import Tensor, nn

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.nn.base import Searchable
from asng.nn.conversion.coupling import coupled
from asng.nn.conversion.gathered import TWINS, Threshold, gathered
from asng.nn.conversion.importance import Order, ordered
from asng.nn.conversion.proof import ChannelCut, Refused, cut_of, left_of, outputs_of, shaken
from asng.nn.conversion.roles import Role, roles_in
from asng.nn.inputs import Inputs, calls_of
from asng.nn.layers.sizes import Size
from asng.nn.supernet import Supernet
from asng.space import Integer

__all__ = ["Conversion", "WidthGroup", "searchable"]

_BLOCKS = (1, 3, 2, 4, 8, 12, 6, 24)
"""How many blocks are tried: one; queries, keys and values; gates; heads of which each loses some numbers."""

_MOST_UNITS = 8
"""Into how many parts a width is divided at most, unless a step is given: more tell little and cost much."""


@dataclass(frozen=True)
class WidthGroup:
    """Layers that make channels together, and are searched together.

    Attributes:
        name: That of the variable, the path of the first layer.
        widths: Path of each layer to how many channels it makes at most.
        units: Into how many equal parts these are divided; a child has some of the parts.
        least: How many parts it has at least.
        blocks: Into how many blocks the channels fall, of each of which a child has the first parts: three if
            one layer makes queries, keys and values.
        ranks: Of each grain of a block its rank by importance, the most important has 0. Grains are equal
            runs of neighbouring channels, of which a part has some. None: parts lie one after the other.
    """

    name: str
    widths: Mapping[str, int]
    units: int
    least: int
    blocks: int = 1
    ranks: tuple[int, ...] | None = None

    @property
    def step(self) -> int:
        """How many channels a part has, in the first layer."""
        return self.widths[self.name] // self.units

    def made(self, units: int) -> dict[str, Tensor]:
        """Return the indices of the channels that each layer makes, of so many parts."""
        return {path: (self.parts(path) <= units).nonzero().flatten() for path in self.widths}

    def parts(self, path: str) -> Tensor:
        """Return of each channel that a layer makes which part it is in, from 1 on, shape (channels,)."""
        width, ranks = self.widths[path], torch.tensor(self.ranks or range(self.units))
        block = width // self.blocks
        grain = torch.arange(width) % block // (block // len(ranks))
        return ranks[grain] // (len(ranks) // self.units) + 1

    @property
    def is_counted_in_channels(self) -> bool:
        """Whether the values of the variable are channels: all layers make as many."""
        return len(set(self.widths.values())) == 1

    @property
    def variable(self) -> Integer:
        """The variable."""
        if not self.is_counted_in_channels:
            return Integer(self.least, self.units, label=self.name)
        step = self.step
        return Integer(self.least * step, self.units * step, step=step, label=self.name)

    def size(self, path: str) -> Size:
        """Return what stands for the number of channels of a layer: the variable, or a multiple of it."""
        return (
            self.variable if self.is_counted_in_channels else self.widths[path] // self.units * self.variable
        )

    def threshold(self, parts: Tensor) -> Threshold:
        """Return from which value of the variable on channels are there, for parts that they are in."""
        return Threshold(self.variable, parts * (self.step if self.is_counted_in_channels else 1))


@dataclass(frozen=True)
class Conversion:
    """What of a model can be searched, and what stays.

    Attributes:
        groups: The widths that are searched.
        fixed: Path of each layer whose width stays, to the reason.
    """

    groups: tuple[WidthGroup, ...]
    fixed: Mapping[str, str]

    def __str__(self) -> str:
        """Return it as a table."""
        rows = [("layer", "channels", "searched with, or why not")]
        for group in self.groups:
            width, others = group.widths[group.name], list(group.widths)[1:]
            values = f"{group.least * group.step} to {width} by {group.step}"
            values += "" if group.ranks is None else ", best first"
            rows.append((group.name, values, ", ".join(others)))
        rows += [(path, "stays", why) for path, why in self.fixed.items()]
        wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in rows)


def searchable(
    model: nn.Module,
    example: Any,
    *,
    only: str | Iterable[str] = (),
    skip: str | Iterable[str] = (),
    step: int | Mapping[str, int] | None = None,
    least: float | Mapping[str, float] = 0.25,
    order: Order | None = None,
) -> Supernet:
    """Make a supernet of a trained model: its own widths become variables, its weights are kept.

    Which layers have to be as wide as which others is found by passes without numbers. A width becomes a
    variable only if it is proved on the example that the network can be narrowed there: the network without
    the last channels computes what the whole one does when nobody reads these, at several widths, alone and
    together with others. So the heads of an attention go as a whole, and a width that something mixes stays.
    `supernet.conversion` says what was found, and for each layer that stays why; print it.

    The model is copied, and its class stays. Batch norms normalise by their batch, as in every supernet, and
    a child gets averages of its own (`asng.training.recalibrate`).

    Args:
        model: Any module, trained or not. It has to run on the example in evaluation mode.
        example: Inputs of a call, as of `Supernet.extract`: two items or more.
        only: Patterns of paths, as of a shell: groups without a layer that matches one stay.
        skip: Patterns of paths: groups with a layer that matches one stay.
        step: Channels of a part; or that by pattern of a path, the first that matches. Default: eight parts,
            or as many fewer as the proof allows.
        least: Share of the channels, in (0, 1], that a child has at least; or that by pattern.
        order: Which channels a child keeps: the most important ones, by a kind of importance, an
            `Importance`, or a function of (path, layer) that returns that of each channel which the layer
            makes. What goes as a whole, as heads do, is proved. Default: the first channels. Channels of the
            whole network stay where they are.

    Raises:
        InputError: The model does not run on the example, has searchable parts already, no width of it can be
            searched, or an option is out of its range or matches nothing.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
        >>> supernet = searchable(model, torch.randn(2, 4))
        >>> print(supernet.conversion)
        layer  channels      searched with, or why not
        0      8 to 32 by 4
        2      stays         its channels are part of the output
        >>> supernet.extract({"0": 8}, example=torch.randn(2, 4))
        Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=3, bias=True)
        )
    """
    calls = _checked(model, example)
    options = _Options.of(only, skip, step, least)
    model = copy.deepcopy(model)
    roles = roles_in(model)
    options.check(roles)
    found = coupled(model, calls)
    prover = _Prover(model, calls, roles)
    groups, fixed = [], dict(found.fixed)
    for paths in found.groups:
        try:
            groups.append(prover.proved(paths, options))
        except Refused as reason:
            fixed |= dict.fromkeys(paths, str(reason))
    groups = prover.together(groups, fixed)
    if order is not None:
        first = {group.name: group for group in prover.together(ordered(groups, order, prover, calls), {})}
        groups = prover.together([first.get(group.name, group) for group in groups], fixed)
    if not groups:
        reasons = "; ".join(f"{path}: {why}" for path, why in list(fixed.items())[:8])
        reasons = reasons or "It has no linear layer, embedding or convolution of torch"
        raise InputError(
            f"model: expected a width that can be narrowed, got none in {type(model).__name__}. {reasons}. "
            "Mark by hand what is to be searched: asng.nn.Linear.of(layer, out_features=variable)."
        )
    _convert(model, prover.twins(groups))
    supernet, paths = Supernet(model), list(roles)
    supernet.conversion = Conversion(
        tuple(groups), dict(sorted(fixed.items(), key=lambda item: paths.index(item[0])))
    )
    return supernet


def _checked(model: nn.Module, example: Any) -> list[Inputs]:
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {model!r:.80}.")
    if any(isinstance(module, Searchable) for module in model.modules()):
        raise InputError(
            "model: expected a plain one, got one with searchable parts. Give it to asng.nn.Supernet."
        )
    calls = calls_of(model, example)
    try:
        outputs_of(model, calls)
    except Refused as error:
        raise InputError(
            f"model: expected it to run on the example in evaluation mode, got: {error}. Give example= what "
            "its forward takes: a tuple, a mapping of names, or asng.nn.Inputs."
        ) from error.__cause__
    return calls


@dataclass(frozen=True)
class _Options:
    only: tuple[str, ...]
    skip: tuple[str, ...]
    step: Mapping[str, int]
    least: Mapping[str, float]

    @classmethod
    def of(cls, only: Any, skip: Any, step: Any, least: Any) -> "_Options":
        """Read the options.

        Raises:
            InputError: One is out of its range.
        """
        steps = dict(step) if isinstance(step, Mapping) else {} if step is None else {"*": step}
        leasts = dict(least) if isinstance(least, Mapping) else {"*": least}
        for value in steps.values():
            integer_at_least("step", value, 1)
        for share in leasts.values():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 < share <= 1.0:
                raise InputError(f"least: expected a share of the channels in (0, 1], got {share!r}.")
        only, skip = ((one,) if isinstance(one, str) else tuple(one) for one in (only, skip))
        return cls(only, skip, steps, leasts)

    def check(self, roles: Mapping[str, Role]) -> None:
        """Raise if a pattern matches no layer.

        Raises:
            InputError: One does not.
        """
        for name in ("only", "skip", "step", "least"):
            for pattern in getattr(self, name):
                if pattern != "*" and not any(fnmatchcase(path, pattern) for path in roles):
                    raise InputError(
                        f"{name}: expected patterns that match the path of a layer, got {pattern!r}. Paths "
                        f"are {', '.join(list(roles)[:8])}, ..."
                    )

    def refuse(self, paths: Sequence[str]) -> None:
        """Raise if a group is not to be searched."""
        if self.only and not any(fnmatchcase(path, p) for path in paths for p in self.only):
            raise Refused("only= leaves it out")
        if any(fnmatchcase(path, p) for path in paths for p in self.skip):
            raise Refused("skip= leaves it out")

    def of_paths(self, values: Mapping[str, Any], paths: Sequence[str]) -> Any:
        """Return the value of the first pattern that matches one of some layers, None without any."""
        return next((v for p, v in values.items() if any(fnmatchcase(path, p) for path in paths)), None)


class _Prover:
    """Proves what can be narrowed, on calls of a model."""

    def __init__(self, model: nn.Module, calls: Sequence[Inputs], roles: Mapping[str, Role]) -> None:
        self.model, self.roles = model, roles
        self._shaken, self._calls = shaken(model, calls)
        self._thresholds: dict[Any, dict[str, Tensor]] = {}
        self._whole = outputs_of(self._shaken, self._calls)
        owners: dict[int, str] = {}
        self._tied: dict[str, str] = {}
        for path, module in model.named_modules():
            for parameter in module.parameters(recurse=False):
                first = owners.setdefault(id(parameter), path)
                if first != path:
                    self._tied |= {path: first, first: path}

    def proved(self, paths: Sequence[str], options: _Options) -> WidthGroup:
        """Return layers as a group, in the finest parts that can be proved.

        Raises:
            Refused: None can.
        """
        options.refuse(paths)
        widths = {path: self.roles[path].makes or 0 for path in paths}
        whole, first = reduce(gcd, widths.values()), widths[paths[0]]
        step, share = options.of_paths(options.step, paths), options.of_paths(options.least, paths) or 0.25
        if step is None:
            counts = [n for n in range(min(whole, _MOST_UNITS), 1, -1) if whole % n == 0]
        elif first % step or whole % (first // step):
            raise Refused(f"its {first} channels are not divided by step={step}")
        else:
            counts = [first // step]
        reason = Refused("its number of channels has no parts")
        for blocks in _BLOCKS:
            for units in counts:
                if whole % (blocks * units):
                    continue
                group = WidthGroup(paths[0], widths, units, max(1, ceil(share * units)), blocks)
                if group.least == units:
                    raise Refused("least= keeps all of it")
                try:
                    self.thresholds(group)
                except Refused as error:
                    reason = error if blocks == 1 else reason
                else:
                    return group
        raise reason

    def sources(self, group: WidthGroup) -> dict[str, Tensor]:
        """Return of each layer that is given channels of a group the part of each, from 1 on, 0 for others.

        One pass loses all parts whose number has a certain digit, so a few tell all. None is told if a layer
        cannot do without these all at once.
        """
        numbers: dict[str, Tensor] = {}
        for digit in range(group.units.bit_length()):
            made = {path: (group.parts(path) >> digit & 1 == 0).nonzero().flatten() for path in group.widths}
            try:
                left = left_of(self._shaken, self._calls, self.roles, made)
            except Refused:
                return {}
            for path, kept in left.items():
                lost = torch.ones(self._width(path), dtype=torch.long).index_fill(0, kept, 0)
                numbers[path] = numbers.get(path, 0) + (lost << digit)
        return numbers

    def together(self, groups: Sequence[WidthGroup], fixed: dict[str, str]) -> list[WidthGroup]:
        """Return those groups that can be narrowed at once, and by different amounts."""
        try:
            self._foresee(groups)
        except Refused:
            kept: list[WidthGroup] = []
            for group in groups:
                try:
                    self._foresee([*kept, group])
                except Refused as reason:
                    fixed |= dict.fromkeys(group.widths, f"not together with others: {reason}")
                else:
                    kept.append(group)
            return kept
        return list(groups)

    def twins(self, groups: Sequence[WidthGroup]) -> dict[str, nn.Module]:
        """Return the twins of all layers that lose channels or are given fewer, by path."""
        if not groups:
            return {}
        cut = self._cut([(group, group.least) for group in groups])
        makers = {path: group for group in groups for path in group.widths}
        twins = {}
        for path in {**cut.made, **cut.read}:
            layer, maker = self.model.get_submodule(path), makers.get(path)
            given = [
                (group, self.thresholds(group)[path]) for group in groups if path in self.thresholds(group)
            ]
            made = [maker.threshold(maker.parts(path).clamp(min=maker.least))] if maker else []
            tables = [*(parts for _, parts in given), *(threshold.least for threshold in made)]
            if len(given) > 1 or not all(map(_is_sorted, tables)):
                twins[path] = gathered(layer, made, [group.threshold(parts) for group, parts in given])
            else:
                twins[path] = _twin(layer, maker.size(path) if maker else None)
        return twins

    def thresholds(self, group: WidthGroup) -> dict[str, Tensor]:
        """Return of each layer that is given channels of a group in which part each of these is.

        Raises:
            Refused: A channel that is there with some parts is not with more.
        """
        key = group.name, group.blocks, group.units, group.ranks
        if key not in self._thresholds:
            found: dict[str, Tensor] = {}
            for units in range(group.units - 1, group.least - 1, -1):
                for path, kept in self._cut([(group, units)]).read.items():
                    if path not in found:
                        found[path] = torch.full((self._width(path),), group.units)
                    if bool((found[path][kept] > units + 1).any()):
                        raise Refused(f"{path} loses channels that come back where more are lost")
                    found[path][kept] = units
            # With the fewest parts a child can have, all that is left is there.
            self._thresholds[key] = {p: t.masked_fill(t == group.least, 1) for p, t in found.items()}
        return self._thresholds[key]

    def _width(self, path: str) -> int:
        """Return how many channels a layer reads or passes on."""
        layer: Any = self.model.get_submodule(path)
        names = ("in_features", "in_channels", "num_features", "num_parameters")
        return (
            next((getattr(layer, name) for name in names if hasattr(layer, name)), 0)
            or layer.normalized_shape[0]
        )

    def _foresee(self, groups: Sequence[WidthGroup]) -> None:
        """Prove two cuts of several groups, and that what is left is what each of them leaves."""
        for turn in range(2):
            amounts = [
                (g, g.least if (i + turn) % 2 else max(g.units - 1, g.least)) for i, g in enumerate(groups)
            ]
            for path, kept in self._cut(amounts).read.items():
                there = torch.ones(self._width(path), dtype=torch.bool)
                for group, units in amounts:
                    if path in self.thresholds(group):
                        there &= self.thresholds(group)[path] <= units
                if not torch.equal(there.nonzero().flatten(), kept):
                    raise Refused(f"what is left for {path} is not what each leaves by itself")

    def _cut(self, parts: Sequence[tuple[WidthGroup, int]]) -> ChannelCut:
        made = {path: kept for group, units in parts for path, kept in group.made(units).items()}
        cut = cut_of(self._shaken, self._calls, self.roles, made, whole=self._whole)
        for path in {**cut.made, **cut.read}:
            if path in self._tied:
                raise Refused(f"the weight of {path} is tied to {self._tied[path]}")
        return cut


def _is_sorted(parts: Tensor) -> bool:
    return bool((parts[1:] >= parts[:-1]).all())


def _convert(model: nn.Module, twins: Mapping[str, nn.Module]) -> None:
    """Put twins in the place of layers, wherever these are."""
    new = {id(model.get_submodule(path)): twin for path, twin in twins.items()}
    for module in list(model.modules()):
        for name, part in module._modules.items():
            if id(part) in new:
                module._modules[name] = new[id(part)]


def _twin(layer: nn.Module, size: Size | None) -> nn.Module:
    kind, twin = next((kind, twin) for kind, twin in TWINS.items() if isinstance(layer, kind))
    name = {nn.Linear: "out_features", nn.Embedding: "embedding_dim"}.get(kind, "out_channels")
    return twin.of(layer, **({} if size is None else {name: size}))  # type: ignore[no-any-return]
