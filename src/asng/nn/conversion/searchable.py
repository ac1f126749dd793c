"""Make a supernet from an existing model: its sizes become variables, and its code is not rewritten."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.checks import check_flags
from asng.errors import InputError, in_one_line
from asng.nn.base import Searchable
from asng.nn.conversion.block_order import with_order
from asng.nn.conversion.coupling import Coupling
from asng.nn.conversion.depth import DepthGroup, Rank, with_depths
from asng.nn.conversion.importance import Importance, Order, ordered, settled
from asng.nn.conversion.options import Options
from asng.nn.conversion.parameters import with_cuts
from asng.nn.conversion.passes import BARE, Refused, outputs_of
from asng.nn.conversion.prover import Prover
from asng.nn.conversion.reach import NEVER, Reach, bare_in, reach_of
from asng.nn.conversion.recognition import channels_in, roles_in, unrecognised
from asng.nn.conversion.roles import Role
from asng.nn.conversion.trials import coupled_with_heads, most_coupled
from asng.nn.conversion.widths import WidthGroup
from asng.nn.extraction.copying import deep_copy
from asng.nn.extraction.recording import compiled_of, is_script, left_alone
from asng.nn.inputs import Inputs, calls_of, tensors_of
from asng.nn.supernet import Supernet

__all__ = ["Conversion", "python_of", "searchable"]


@dataclass(frozen=True)
class Conversion:
    """The sizes of a model that are searched, and those that stay fixed.

    Attributes:
        groups: The widths that are searched.
        fixed: Path of each layer whose width stays fixed, or that cannot be cut at all, to the reason.
        depths: The blocks that can be left out.
        needed: Path of each list of blocks of which none can be left out, to the reason.
        unreached: Paths of the layers and tensors that no call of the example reaches. They stay as they are.
            If a child reaches one, its input may have a width that it cannot take.
    """

    groups: tuple[WidthGroup, ...]
    fixed: Mapping[str, str]
    depths: tuple[DepthGroup, ...] = ()
    needed: Mapping[str, str] = field(default_factory=dict)
    unreached: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the findings as tables."""
        rows = [("layer", "channels", "searched with, or why not")]
        for group in self.groups:
            width, others = group.widths[group.name], [*group.widths, *group.numbers][1:]
            values = f"{group.least * group.step} to {width} by {group.step}"
            values += "" if group.ranks is None else ", best first"
            rows.append((group.name, values, ", ".join(others)))
        rows += [(path, "stays", why) for path, why in self.fixed.items()]
        tables = [rows] if len(rows) > 1 else []
        if self.depths or self.needed:
            blocks = [(d.name, f"{d.least} to {len(d.blocks)}", ", ".join(d.paths())) for d in self.depths]
            needed = [(path, "stay", why) for path, why in self.needed.items()]
            tables.append([("depth", "blocks", "which, or why not"), *blocks, *needed])
        return "\n\n".join(map(_in_columns, tables))


def _in_columns(rows: Sequence[tuple[str, str, str]]) -> str:
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
    depth: bool = True,
    order: Order | None = None,
) -> Supernet:
    """Make a supernet from a trained model: its widths and depths become variables, its weights are kept.

    Passes on shapes alone find which layers must have the same width. A width becomes a variable only if the
    example proves that the network can be narrowed there. That is: without the last channels, the network
    computes what the whole one computes if no layer reads these channels. This is tried at several widths,
    each alone and together with others. So heads of an attention are removed as a whole, and a width whose
    channels something mixes stays fixed. Print `supernet.conversion` to see what was found, and why each
    other layer stays fixed.

    The model is copied, and its class stays; `torch.compile` around it is taken off. Batch norms normalise by
    their batch, as in every supernet, and `asng.training.recalibrate` gives a child running averages of its
    own.

    Args:
        model: Any module, trained or not. It must run on the example in evaluation mode.
        example: Inputs of a call, as in `Supernet.extract`, with two items or more; or a list of several
            `asng.nn.Inputs`. Together they must reach every layer that children are to use. Branches that run
            in training mode only are reached too. Layers that no call reaches stay as they are, and the
            table names them. If calls reach only some of several like layers, such as routed experts, all
            widths around them stay.
        only: Shell-style patterns of paths. Groups without a layer that matches one stay fixed.
        skip: Patterns of paths. Groups with a layer that matches one stay fixed.
        step: Channels per part; or a mapping from patterns of paths, of which the first match counts.
            Default: eight parts, or the largest smaller number that can be proved.
        least: Smallest share of the channels, in (0, 1], that a child keeps, and of the blocks, rounded down;
            or a mapping from patterns of paths.
        depth: Whether to search depth too: how many stay of each row of blocks that can be left out.
        order: Which channels a child keeps: the most important ones by a kind of importance, by an
            `Importance`, or by a function of (path, layer) that returns the importance of each channel that
            the layer makes. The proof finds which channels, such as those of a head, go together. With a kind
            or an `Importance`, a child also keeps the most important blocks. The channels of the whole
            network keep their places. Default: the first channels and blocks.

    Raises:
        InputError: The model does not run on the example, already has searchable parts, or is a script or a
            program of torch. Nothing in it can be searched, or an option is out of its range or matches
            nothing.

    Example:
        >>> import torch
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
    check_flags(depth=depth)
    model = python_of(model)
    calls = _checked(model, example)
    options = Options.of(only, skip, step, least)
    model = deep_copy(model)
    bare = bare_in(model, calls)
    roles = roles_in(model, bare)
    more = channels_in(model, roles, bare)
    options.check([*roles, *more, *(path for path, _ in model.named_modules())])
    reach = reach_of(model, calls)
    roles, more = (
        {path: role for path, role in some.items() if not reach.misses(path, role.owner)}
        for some in (roles, more)
    )
    unknown = unrecognised(model, roles) | dict.fromkeys(reach.never, NEVER)
    found, roles = most_coupled(model, reach.calls, roles, more)
    prover, groups, fixed = _proved(model, reach, found, roles, options)
    with_heads = coupled_with_heads(model, reach.calls, found, roles, fixed.keys() - found.fixed.keys())
    if with_heads is not None:
        again = _proved(model, reach, *with_heads, options)
        if len(roles.keys() & again[-1].keys()) < len(roles.keys() & fixed.keys()):
            (prover, groups, fixed), roles = again, with_heads[-1]
    rank: Rank | None = None
    if order is not None:
        order = settled(order)
        if isinstance(order, Importance):
            rank = partial(with_order, order=order, model=prover.model, calls=calls)
        first = {group.name: group for group in prover.together(ordered(groups, order, prover, calls), {})}
        groups = prover.together([first.get(group.name, group) for group in groups], fixed)
    depths, needed = prover.depths(groups, options, rank) if depth else ([], {})
    if not groups and not depths:
        reasons = "; ".join(f"{path or 'It'}: {why}" for path, why in list((fixed | unknown).items())[:8])
        reasons = reasons or "It has no linear layer, embedding or convolution of torch"
        raise InputError(
            f"model: expected a width that can be narrowed, got none in {type(model).__name__}. {reasons}. "
            "Mark by hand what is to be searched: asng.nn.Linear.of(layer, out_features=variable)."
        )
    twins, cuts = prover.twins(groups)
    _convert(model, twins)
    prover.tie(model)
    for path, cut in cuts.items():
        with_cuts(model.get_submodule(path), cut)
    supernet = Supernet(with_depths(model, depths))
    fixed = {path: fixed[path] for path, role in roles.items() if path in fixed and role.owner is None}
    cut_in = {roles[path].owner for group in groups for path in group.widths}
    fixed |= dict.fromkeys(sorted(bare - roles.keys() - cut_in), BARE)
    fixed |= {path: why for path, why in unknown.items() if path not in cut_in}
    supernet.conversion = Conversion(tuple(groups), fixed, tuple(depths), needed, reach.never)
    return supernet


def _proved(
    model: nn.Module, reach: Reach, found: Coupling, roles: dict[str, Role], options: Options
) -> tuple[Prover, list[WidthGroup], dict[str, str]]:
    """Return the groups that can be proved, and the reason of each other layer."""
    prover = Prover(model, reach, roles)
    groups, stay = prover.proved(found.groups, options)
    fixed = {**found.fixed, **stay}
    return prover, prover.together(groups, fixed), fixed


def python_of(model: nn.Module) -> nn.Module:
    """Return a model whose layers can be looked at: the one given, or that within `torch.compile(model)`.

    Raises:
        InputError: It is no module, a script or a program, or has weights on the meta device.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {model!r:.80}.")
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise InputError(
            "model: expected weights with numbers, got some on the meta device, on which nothing can be "
            "proved. Make room for them by model.to_empty(device='cpu'), and load them by load_state_dict."
        )
    try:
        with left_alone(model):
            model.eval()
        reason = "it is a script" if is_script(model) else ""
    except Exception as error:  # of programs of torch.export, for instance
        reason = in_one_line(error)
    if reason:
        raise InputError(
            f"model: expected one whose layers are modules in Python, got a {type(model).__name__}: {reason}."
            " Give the model that it was made from."
        )
    return compiled_of(model) or model


def _checked(model: nn.Module, example: Any) -> list[Inputs]:
    if any(isinstance(module, Searchable) for module in model.modules()):
        raise InputError(
            "model: expected a plain one, got one with searchable parts. Give it to asng.nn.Supernet."
        )
    calls = calls_of(model, example)
    try:
        outputs = outputs_of(model, calls)
    except Refused as error:
        raise InputError(
            f"model: expected it to run on the example in evaluation mode, got: {error}. The example has "
            f"tensors of {_shapes(calls)}. Give example= what the forward of {type(model).__name__} takes: a "
            "tuple, a mapping of names, or asng.nn.Inputs."
        ) from error.__cause__
    if not all(outputs):
        with left_alone(model), torch.no_grad():
            got = calls[outputs.index([])].call(model)
        raise InputError(
            f"model: expected it to return tensors, got {type(got).__name__}. A proof compares outputs: let "
            "forward return what it computes."
        )
    return calls


def _shapes(calls: Sequence[Inputs]) -> str:
    """Return the shapes of the tensors in calls."""
    given = [tensors_of([tuple(call), dict(call.named)]) for call in calls]
    shapes = [", ".join(str(tuple(tensor.shape)) for tensor in tensors) for tensors in given]
    return "; ".join(dict.fromkeys(shapes)) or "no shape"


def _convert(model: nn.Module, twins: Mapping[str, nn.Module]) -> None:
    """Turn layers into their twins, which are then in every list, function or object that holds a layer."""
    for path, twin in twins.items():
        layer = model.get_submodule(path)
        layer.__class__ = type(twin)
        vars(layer).clear()
        vars(layer).update(vars(twin))
