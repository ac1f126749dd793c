"""Make modules of any class use only the channels of their tensors that an architecture keeps.

This is for positions, class tokens, scales, norms and linear layers of other libraries. The module keeps its
class, and all its tensors stay whole. In a pass, reading a tensor by its name gives its channels that the
architecture keeps, and reading a size gives the number that goes with them. A batch norm forgets its running
averages, as twins do (`asng.nn.BatchNorm2d`).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from asng.nn.base import Extraction, Searchable
from asng.nn.conversion.blocks import OfPlain, searched
from asng.nn.conversion.gathered import Threshold, left_by
from asng.nn.conversion.roles import Role, count
from asng.nn.extraction.copying import with_own_graph
from asng.nn.layers.batch_norm import AVERAGES
from asng.nn.layers.plain import asking
from asng.nn.layers.subclasses import plain_class
from asng.nn.selection import current_selection
from asng.space import SizeExpression, Variable

__all__ = ["Cut", "Cuts", "cuts_of", "with_cuts"]


class Cut(NamedTuple):
    """Channels along a dimension of a tensor, or an attribute that counts them.

    Attributes:
        name: Name of the tensor or attribute.
        dim: The dimension; None for an attribute.
        thresholds: The smallest values of variables at which each channel is present.
        per: Number of channels that an attribute counts as one.
    """

    name: str
    dim: int | None
    thresholds: tuple[Threshold, ...]
    per: int = 1


class Cuts(Searchable):
    """The searchable base of a module of any class whose tensors an architecture cuts."""

    search_cuts: tuple[Cut, ...]
    search_sizes: dict[str, Any]
    """Attributes that count channels, with their values in the whole module."""
    value = OfPlain()

    def variables(self) -> dict[str, Variable | SizeExpression]:
        """Return slots "0.0", "0.1", "1.0", ...: number of the cut, then number of its threshold."""
        return {
            f"{number}.{place}": threshold.variable
            for number, cut in enumerate(self.search_cuts)
            for place, threshold in enumerate(cut.thresholds)
        }

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        if isinstance(self, _BatchNorm):
            for name in AVERAGES:
                state.pop(prefix + name, None)
        super()._load_from_state_dict(state, prefix, *args)

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        sizes = own.get("search_sizes", {})
        whole = sizes[name] if name in sizes else super().__getattr__(name)
        if current_selection() is None or not any(cut.name == name for cut in own.get("search_cuts", ())):
            return whole
        return self._left(name, whole)

    def _left(self, name: str, whole: Any) -> Any:
        """Return the part of a tensor that the current architecture keeps, or its value of a size."""
        part, value = whole, super().value
        for number, cut in enumerate(self.search_cuts):
            if cut.name != name:
                continue
            there = left_by(cut.thresholds, [value(f"{number}.{i}") for i in range(len(cut.thresholds))])
            if there is None:
                continue
            if cut.dim is None:
                number_left = count(there, cut.per)
                part = (number_left,) if isinstance(whole, tuple) else number_left
            else:
                part = part.index_select(cut.dim, there.to(part.device))
        return asking(whole, part) if isinstance(part, Tensor) and part is not whole else part

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return a module of the original class, with tensors of its own."""
        own: Any = type(self)
        kind = plain_class(own)
        child: nn.Module = kind.__new__(kind)
        nn.Module.__init__(child)
        cut = {cut.name for cut in self.search_cuts}
        for name, part in self._modules.items():
            child._modules[name] = None if part is None else extraction.child(part)
        for name in [*self._parameters, *self._buffers]:
            table: dict[str, Any] = child._parameters if name in self._parameters else child._buffers
            whole: Any = self._parameters.get(name, self._buffers.get(name))
            part = self._left(name, whole) if name in cut else whole
            if part is whole:
                table[name] = extraction.copy(whole)
            else:
                copied = part.detach().clone()
                trained = whole.requires_grad
                table[name] = nn.Parameter(copied, trained) if name in self._parameters else copied
        vars(child).update({name: self._left(name, whole) for name, whole in self.search_sizes.items()})
        extraction.later(partial(self._fill, child, extraction))
        return child

    def _fill(self, child: nn.Module, extraction: Extraction) -> None:
        """Give a child its attributes, which may be modules or refer to some."""
        made = {"_modules", "_parameters", "_buffers", "_compiled_call_impl", "names", "path"}
        for name, value in vars(self).items():
            if name not in made and not name.startswith("search_"):
                vars(child)[name] = extraction.copy(value)
        with_own_graph(child)


def cuts_of(role: Role, made: Sequence[Threshold], read: Sequence[Threshold]) -> list[Cut]:
    """Return the cuts of a module whose role names its tensors and sizes.

    Args:
        role: The role of the module, or of one of its tensors.
        made: Thresholds of the channels that it makes. If empty, it makes all.
        read: Thresholds of the channels that it reads or passes on. If empty, all.
    """
    gates = [threshold._replace(least=threshold.least.repeat(role.gates)) for threshold in made]
    kept = {"made": tuple(made), "read": tuple(read), "gates": tuple(gates)}
    cuts = [Cut(name, dim, kept[which]) for name, dims in role.tensors.items() for dim, which in dims.items()]
    cuts += [Cut(name, None, kept[which], role.per.get(name, 1)) for name, which in role.sizes.items()]
    return [cut for cut in cuts if cut.thresholds]


def with_cuts(module: nn.Module, cuts: Sequence[Cut]) -> None:
    """Make a module use only the channels of its tensors that an architecture keeps.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> class Shift(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.by = nn.Parameter(torch.arange(4.0))
        ...     def forward(self, x):
        ...         return x + self.by
        >>> shift, odd = Shift(), Threshold(Integer(1, 2, label="parts"), torch.tensor([2, 1, 2, 1]))
        >>> with_cuts(shift, [Cut("by", 0, (odd,))])
        >>> child = Supernet(shift).extract({"parts": 1})
        >>> type(child) is Shift, child(torch.zeros(2)).tolist()
        (True, [1.0, 3.0])
    """
    kind: Any = type(module)
    if isinstance(module, _BatchNorm):
        module.track_running_stats = False
        module._buffers.update(dict.fromkeys(AVERAGES))
        cuts = [cut for cut in cuts if cut.name not in AVERAGES]
    sizes: Mapping[str, Any] = {cut.name: vars(module).pop(cut.name) for cut in cuts if cut.dim is None}
    module.__class__ = searched(Cuts, kind)
    vars(module).update(search_cuts=tuple(cuts), search_sizes=dict(sizes))
