"""Prove which widths of a model can be narrowed, group by group and for all groups together."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from math import ceil, gcd
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn.conversion.depth import DepthGroup, Rank, check_with_widths, depths_in
from asng.nn.conversion.gathered import TWINS, gathered
from asng.nn.conversion.numbers import heads_of
from asng.nn.conversion.options import Options
from asng.nn.conversion.parameters import Cut, cuts_of
from asng.nn.conversion.passes import Refused, shaken, trained_by, whole_of
from asng.nn.conversion.proof import ChannelCut, check_heard, check_trains, cut_of, left_of, narrow
from asng.nn.conversion.reach import PARTLY, Reach
from asng.nn.conversion.roles import Role, given_to
from asng.nn.conversion.widths import WidthGroup
from asng.nn.layers.sizes import Size
from asng.nn.layers.twin import Twin

__all__ = ["Prover"]

_BLOCKS = (1, 3, 2, 4, 8, 12, 6, 24)
"""Numbers of blocks tried: one; queries, keys and values; gates; heads that each lose some channels.

Numbers of heads that modules store come after these, once, twice and three times: keys and values, or all
three, may be made by one layer.
"""

_MOST_UNITS = 8
"""Largest number of parts of a width, unless a step is given: more cost much and gain little."""


class Prover:
    """Prove which widths can be narrowed, on calls of a model."""

    def __init__(self, model: nn.Module, reach: Reach, roles: Mapping[str, Role]) -> None:
        self.model, self.roles = model, roles
        self._partly = reach.partly
        self._shaken, self._calls = shaken(model, reach.calls)
        self._thresholds: dict[Any, dict[str, Tensor]] = {}
        self._left: dict[Any, dict[str, Tensor]] = {}
        self._whole = whole_of(self._shaken, self._calls)
        self._trained = trained_by(self._shaken, self._calls)
        heads = sorted({many for module in model.modules() for many in heads_of(module).values()})
        self._blocks = tuple(dict.fromkeys([*_BLOCKS, *(n * many for many in heads for n in (1, 2, 3))]))
        owners: dict[Tensor, list[tuple[str, str]]] = {}
        for path, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                owners.setdefault(parameter, []).append((path, name))
        self._tied = [places for places in owners.values() if len(places) > 1]

    def proved(
        self, coupled: Sequence[Sequence[str]], options: Options
    ) -> tuple[list[WidthGroup], dict[str, str]]:
        """Return layers as groups, divided into the finest parts that can be proved, and why others stay.

        A group is proved by itself with most and with fewest parts, and then with the numbers between
        them in cuts of many groups. If that fails, it is proved by itself with all numbers.
        """
        found: dict[str, WidthGroup | Refused] = {}
        for paths in coupled:
            try:
                found[paths[0]] = self._divided(paths, options, self._ends)
            except Refused as reason:
                found[paths[0]] = reason
        self._share([group for group in found.values() if isinstance(group, WidthGroup)])
        groups: list[WidthGroup] = []
        fixed: dict[str, str] = {}
        for paths in coupled:
            try:
                groups.append(self._checked(found[paths[0]], paths, options))
            except Refused as reason:
                fixed |= dict.fromkeys(paths, str(reason))
        return groups, fixed

    def _checked(self, group: WidthGroup | Refused, paths: Sequence[str], options: Options) -> WidthGroup:
        """Return a group that was proved with most and fewest parts if others hold too, or else another one.

        Raises:
            Refused: No division of these layers can be proved.
        """
        if isinstance(group, Refused):
            raise group
        try:
            self.thresholds(group)
        except Refused:
            return self._divided(paths, options, self.thresholds)
        return group

    def _divided(
        self, paths: Sequence[str], options: Options, prove: Callable[[WidthGroup], Any]
    ) -> WidthGroup:
        """Return layers as a group, divided into the finest parts that can be proved by a function.

        Raises:
            Refused: No division can be proved.
        """
        options.refuse(paths)
        self._refuse_partly(paths)
        check_heard(self._shaken, self._calls, self.roles, paths, self._whole)
        sizes = {path: self.roles[path].makes or 0 for path in paths}
        numbers = {path: size for path, size in sizes.items() if self.roles[path].is_number}
        widths = {path: size for path, size in sizes.items() if path not in numbers}
        whole, first = reduce(gcd, sizes.values()), widths[paths[0]]
        per_head = frozenset(size for path, size in numbers.items() if self._counts_heads(path))
        step, share = options.of_paths(options.step, paths), options.of_paths(options.least, paths) or 0.25
        if step is None:
            counts = [n for n in range(min(whole, _MOST_UNITS), 1, -1) if whole % n == 0]
        elif first % step or whole % (first // step):
            raise Refused(f"its {first} channels are not divided by step={step}")
        else:
            counts = [first // step]
        runs, heads = (max(getattr(self.roles[path], name) for path in paths) for name in ("runs", "heads"))
        parts, tried = f"parts in heads of {heads}" if heads else "parts", False
        reason = Refused(f"its number of channels has no {parts}")
        if not counts and whole == first > 1:
            reason = Refused(f"its {first} channels have no 2 to {_MOST_UNITS} equal parts; pass step=1")
        # Several channels for each one of another layer are neighbours, or come in repeated rounds.
        repeats = (0, reduce(gcd, widths.values()), first) if len(set(widths.values())) > 1 else (0,)
        ways = product((n for n in self._blocks if n % runs == 0), dict.fromkeys(repeats))
        for blocks, repeated in ways:
            first_way, found = (blocks, repeated) == (runs, 0), None
            places = reduce(gcd, (n for n in widths.values() if repeated or n not in per_head), 0)
            refused: dict[int, Refused] = {}
            for units in _in_turn(counts, finest_first=first_way):
                # Parts can be proved only if the wider parts can that consist of them.
                if (found and units < found.units) or any(units % wider == 0 for wider in refused):
                    continue
                if places % (blocks * units) or (heads and any(n // units % heads for n in widths.values())):
                    continue
                least = max(1, ceil(share * units))
                group = WidthGroup(
                    paths[0], widths, units, least, blocks, repeated, numbers=numbers, heads=per_head
                )
                if group.least == units:
                    reason = reason if tried else Refused("least= keeps all of it")
                    continue
                tried = True
                try:
                    prove(group)
                except Refused as error:
                    refused[units] = error
                else:
                    found = group
            if found:
                return found
            if first_way and refused:
                reason = refused[min(refused)]
        raise reason

    def sources(self, group: WidthGroup) -> dict[str, Tensor]:
        """Return, for each layer that is given channels of a group, the part of each channel, 0 if of none.

        Each pass removes all parts whose number has a certain binary digit, so that few passes suffice. The
        result is empty if a layer cannot do without these parts all at once.
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
        """Return the groups that can be narrowed at the same time, and by different amounts."""
        return self._joined([], groups, fixed)

    def _joined(
        self, kept: list[WidthGroup], groups: Sequence[WidthGroup], fixed: dict[str, str]
    ) -> list[WidthGroup]:
        """Return groups that can be narrowed together, and those of others that can be narrowed with them."""
        if not groups:
            return kept
        try:
            self._foresee([*kept, *groups])
        except Refused as reason:
            if len(groups) == 1:
                fixed |= dict.fromkeys(groups[0].widths, f"not together with others: {reason}")
                return kept
            half = len(groups) // 2
            return self._joined(self._joined(kept, groups[:half], fixed), groups[half:], fixed)
        return [*kept, *groups]

    def depths(
        self, groups: Sequence[WidthGroup], options: Options, rank: Rank | None = None
    ) -> tuple[list[DepthGroup], dict[str, str]]:
        """Return the result of `depths_in`, restricted to blocks that can be left out at any widths."""
        found, needed = depths_in(self._shaken, self._calls, options, rank)
        cuts = [self._cut(amounts) for amounts in _two_amounts(groups)] if groups else []
        kept: list[DepthGroup] = []
        for depth in found:
            for form in dict.fromkeys((depth, replace(depth, order=()))):
                try:
                    least = {other: other.least for other in [*kept, form]}
                    check_with_widths(self._shaken, self._calls, least, cuts)
                except Refused as reason:
                    needed[depth.container] = f"not together with widths: {reason}"
                else:
                    needed.pop(depth.container, None)
                    kept.append(form)
                    break
        return kept, needed

    def twins(self, groups: Sequence[WidthGroup]) -> tuple[dict[str, nn.Module], dict[str, list[Cut]]]:
        """Return the twins of all layers that make or are given fewer channels, by path.

        The second mapping has the cuts of modules for which the conversion has no twin, by path.
        """
        twins: dict[str, nn.Module] = {}
        cuts: dict[str, list[Cut]] = {}
        cut = self._cut([(group, group.least) for group in groups]) if groups else ChannelCut({}, {})
        makers = {path: group for group in groups for path in (*group.widths, *group.numbers)}
        for path in {**cut.made, **cut.read}:
            maker, role = makers.get(path), self.roles[path]
            given = [
                (group, self.thresholds(group)[path]) for group in groups if path in self.thresholds(group)
            ]
            made = [maker.threshold(maker.parts(path).clamp(min=maker.least))] if maker else []
            read = [group.threshold(parts) for group, parts in given]
            tables = [*(parts for _, parts in given), *(threshold.least for threshold in made)]
            if not role.is_of_torch:
                owner = path if role.owner is None else role.owner
                cuts.setdefault(owner, []).extend(cuts_of(role, made, read))
            elif role.per or role.heads or len(given) > 1 or not all(map(_is_sorted, tables)):
                twins[path] = gathered(self.model.get_submodule(path), made, read)
            else:
                twins[path] = _twin(self.model.get_submodule(path), maker.size(path) if maker else None)
        return twins, cuts

    def tie(self, model: nn.Module) -> None:
        """Mark the twins in a model that share weights, since all of them cut the same parts."""
        for path, _ in (place for places in self._tied for place in places):
            if isinstance(layer := model.get_submodule(path), Twin):
                layer.search_tied = True

    def thresholds(self, group: WidthGroup) -> dict[str, Tensor]:
        """Return how many parts of a group each channel needs, for each layer that is given channels of it.

        Raises:
            Refused: A channel that is present with some parts is absent with more.
        """
        key = _key(group)
        if key not in self._thresholds:
            found: dict[str, Tensor] = {}
            for units in range(group.units - 1, group.least - 1, -1):
                for path, kept in self._left_by(group, units).items():
                    if path not in found:
                        found[path] = torch.full((self._width(path),), group.units)
                    if bool((found[path][kept] > units + 1).any()):
                        raise Refused(f"{path} loses channels that come back when more are removed")
                    found[path][kept] = units
            # What is left with the fewest parts is always present.
            self._thresholds[key] = {p: t.masked_fill(t == group.least, 1) for p, t in found.items()}
        return self._thresholds[key]

    def _left_by(self, group: WidthGroup, units: int) -> dict[str, Tensor]:
        """Return the channels that layers are left if a group has so many parts; prove it, if need be."""
        key = *_key(group), units
        if key not in self._left:
            self._left[key] = self._cut([(group, units)]).read
        return self._left[key]

    def _ends(self, group: WidthGroup) -> None:
        """Prove the largest and the smallest number of parts."""
        self._left_by(group, group.units - 1)
        self._left_by(group, group.least)

    def _share(self, groups: Sequence[WidthGroup]) -> None:
        """Prove numbers of parts between the ends, in cuts of as many groups as can be proved together.

        Such a cut shows as much as cuts of its groups one by one. Its narrowed network has the sizes of each
        group. NaN in more channels are in no fewer places. A wrong cut of one group would have to change
        nothing but channels that another group loses. But readers mix all channels, so that all that they
        make would change; and channels that meet without a reader in between are those of one group.
        """
        groups = [group for group in groups if group.units - group.least > 2]
        if len(groups) < 2:
            return
        try:
            for turn in range(max(group.units - group.least for group in groups) - 2):
                self._share_one(groups, turn)
        except Refused:
            half = len(groups) // 2
            self._share(groups[:half])
            self._share(groups[half:])

    def _share_one(self, groups: Sequence[WidthGroup], turn: int) -> None:
        # Neighbours have different numbers of parts, so that no size fits that of another group by chance.
        between = [range(group.least + 1, group.units - 1) for group in groups]
        amounts = [
            (g, some[(turn + i) % len(some)]) for i, (g, some) in enumerate(zip(groups, between, strict=True))
        ]
        read = self._cut(amounts).read
        gone = {path: self._lost(path, kept) for path, kept in read.items()}
        shares = []
        for group, _ in amounts:
            most = {p: self._lost(p, kept) for p, kept in self._left_by(group, group.least).items()}
            shares.append({path: lost & gone[path] for path, lost in most.items() if path in gone})
        for path, lost in gone.items():
            # Each lost channel must be of exactly one group.
            parts = [share[path] for share in shares if path in share]
            if not parts or not torch.equal(torch.stack(parts).sum(dim=0), lost.long()):
                raise Refused(f"{path} is given channels of several groups in the same places")
        for (group, units), share in zip(amounts, shares, strict=True):
            left = {path: (~lost).nonzero().flatten() for path, lost in share.items() if bool(lost.any())}
            self._left.setdefault((*_key(group), units), left)

    def _lost(self, path: str, kept: Tensor) -> Tensor:
        return torch.ones(self._width(path), dtype=torch.bool).index_fill(0, kept, False)

    def _counts_heads(self, path: str) -> bool:
        """Whether a number that a module stores is one of heads."""
        return path.rpartition(".")[2] in heads_of(self.model.get_submodule(self.roles[path].owner or ""))

    def _width(self, path: str) -> int:
        """Return the number of channels that a layer reads or passes on."""
        return given_to(self.model.get_submodule(path), self.roles[path])

    def _foresee(self, groups: Sequence[WidthGroup]) -> None:
        """Prove two cuts of several groups, and that each layer keeps exactly what all groups leave it."""
        for amounts in _two_amounts(groups):
            cut = self._cut(amounts)
            check_trains(self._shaken, self._trained, self.roles, cut)
            left = self._left_together(amounts)
            for path, kept in cut.read.items():
                if (self.roles[path].per or self.roles[path].heads) and sum(
                    path in self.thresholds(group) for group, _ in amounts
                ) > 1:
                    raise Refused(f"{path} has groups of channels of several widths")
                if path not in left or not torch.equal(left[path], kept):
                    raise Refused(f"all widths together leave {path} other channels than each of them alone")
        for amounts in _apart(groups):
            cut = ChannelCut(self._made(amounts), self._left_together(amounts))
            check_trains(self._shaken, self._trained, self.roles, cut)

    def _left_together(self, amounts: Sequence[tuple[WidthGroup, int]]) -> dict[str, Tensor]:
        """Return the channels that groups together leave to layers, by what each of them leaves."""
        there: dict[str, Tensor] = {}
        for group, units in amounts:
            for path, parts in self.thresholds(group).items():
                there[path] = there.get(path, torch.tensor(True)) & (parts <= units)
        return {path: mask.nonzero().flatten() for path, mask in there.items()}

    def _refuse_partly(self, paths: Collection[str]) -> None:
        """Raise `Refused` if calls reach only some of the layers that are alike, such as routed experts."""
        owners = (self.roles[path].owner for path in paths)
        if not self._partly.isdisjoint(p if o is None else o for p, o in zip(paths, owners, strict=True)):
            raise Refused(PARTLY)

    @staticmethod
    def _made(parts: Sequence[tuple[WidthGroup, int]]) -> dict[str, Tensor]:
        return {path: kept for group, units in parts for path, kept in group.made(units).items()}

    def _cut(self, parts: Sequence[tuple[WidthGroup, int]]) -> ChannelCut:
        cut = cut_of(self._shaken, self._calls, self.roles, self._made(parts), whole=self._whole)
        self._refuse_partly(cut.read)
        with narrow(self._shaken, self.roles, cut):
            for (first, name), *others in self._tied:
                part = getattr(self._shaken.get_submodule(first), name)
                for other, its in others:
                    if not torch.equal(part, getattr(self._shaken.get_submodule(other), its)):
                        raise Refused(f"the weight of {first} is tied to {other}, which needs other parts")
        return cut


def _key(group: WidthGroup) -> tuple[Any, ...]:
    return group.name, group.blocks, group.repeated, group.units, group.ranks


def _in_turn(counts: Sequence[int], *, finest_first: bool) -> list[int]:
    """Return numbers of parts in the order in which they are tried, so that few are tried in vain.

    Example:
        >>> _in_turn([8, 6, 4, 3, 2], finest_first=True), _in_turn([8, 6, 4, 3, 2], finest_first=False)
        ([8, 2, 3, 6, 4], [2, 3, 8, 6, 4])
    """
    widest = [n for n in reversed(counts) if all(n == other or n % other for other in counts)]
    return list(dict.fromkeys([*(counts[:1] if finest_first else ()), *widest, *counts]))


def _two_amounts(groups: Sequence[WidthGroup]) -> Iterator[list[tuple[WidthGroup, int]]]:
    """Yield how many parts of each group are left: many and few in turn, then few and many."""
    for turn in range(2):
        yield [(g, g.least if (i + turn) % 2 else max(g.units - 1, g.least)) for i, g in enumerate(groups)]


def _apart(groups: Sequence[WidthGroup]) -> Iterator[list[tuple[WidthGroup, int]]]:
    """Yield amounts so that of any two groups, one is once narrowed without the other."""
    for digit in range((len(groups) - 1).bit_length()):
        yield [(group, group.least) for number, group in enumerate(groups) if number >> digit & 1]


def _is_sorted(parts: Tensor) -> bool:
    return bool((parts[1:] >= parts[:-1]).all())


def _twin(layer: nn.Module, size: Size | None) -> nn.Module:
    kind, twin = next((kind, twin) for kind, twin in TWINS.items() if isinstance(layer, kind))
    names = {nn.Linear: "out_features", nn.Embedding: "embedding_dim"}
    name = "hidden_size" if issubclass(kind, nn.RNNBase) else names.get(kind, "out_channels")
    return twin.of(layer, **({} if size is None else {name: size}))  # type: ignore[no-any-return]
