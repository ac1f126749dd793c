"""Lists and sequences of blocks from which an architecture leaves some out."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from torch import nn

from asng.nn.base import Extraction, Searchable
from asng.nn.layers.subclasses import plain_class
from asng.nn.selection import current_selection
from asng.space import Integer, SizeExpression, Variable

__all__ = ["Blocks", "OfPlain", "Run", "blocks_of", "renumbered", "searched", "shortened"]


class Run(NamedTuple):
    """Blocks of one container, of which a variable says how many stay.

    Attributes:
        names: Their names in the container, from the one that stays longest.
        depth: The variable with the number of blocks that stay.
        in_place: Whether `torch.nn.Identity()` replaces a block that is left out; else later blocks move up.
    """

    names: tuple[str, ...]
    depth: Integer
    in_place: bool


class OfPlain:
    """Makes `value` what it is in the plain class: an attribute or a part, as in the attention of BERT.

    The searchable class itself calls `super().value`.
    """

    def __get__(self, module: Any, kind: Any = None) -> Any:
        # If the plain class has none, Python goes on to `__getattr__`, which finds a part of that name.
        return super(Searchable, kind if module is None else module).value  # type: ignore[misc]


class Blocks(Searchable):
    """A `torch.nn.ModuleList` or `Sequential` that in a pass contains only the blocks that run.

    Attributes:
        search_runs: Its blocks that can be left out.
    """

    search_runs: tuple[Run, ...] = ()
    value = OfPlain()

    def variables(self) -> dict[str, Variable | SizeExpression]:
        """Return slots "depths[0]", "depths[1]", ..., one per run."""
        return {f"depths[{number}]": run.depth for number, run in enumerate(self.search_runs)}

    def chosen(self) -> dict[str, Any]:
        """Return the blocks that run under the current architecture, by name in the plain container."""
        left, value = dict(self._modules), super().value
        for number, run in enumerate(self.search_runs):
            count: Any = value(f"depths[{number}]")
            left = shortened(left, run.names[count:], in_place=run.in_place)
        return renumbered(left)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._there().values())

    def __len__(self) -> int:
        return len(self._there())

    def __bool__(self) -> bool:
        return True  # even without blocks, because the container is there

    def __getitem__(self, index: Any) -> Any:
        view: Any = nn.Sequential() if isinstance(self, nn.Sequential) else nn.ModuleList()
        view._modules.update(self._there())
        return view[index]

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return a plain container with the plain forms of the blocks that run."""
        own: Any = type(self)
        kind = plain_class(own)
        child: nn.Module = kind.__new__(kind)
        nn.Module.__init__(child)
        tables = {*vars(child), "names", "path"}

        def fill() -> None:
            for name, value in vars(self).items():
                if name not in tables and not name.startswith("search_"):
                    vars(child)[name] = extraction.copy(value)

        extraction.later(fill)  # an attribute may refer to the container
        child._modules.update({name: extraction.child(block) for name, block in self.chosen().items()})
        vars(child)["training"] = self.training
        return child

    def _there(self) -> Mapping[str, Any]:
        """Return the blocks of the current pass, or all of them outside of a pass."""
        return self._modules if current_selection() is None else self.chosen()


def shortened(
    blocks: Mapping[str, nn.Module | None], gone: Iterable[str], *, in_place: bool
) -> dict[str, nn.Module | None]:
    """Return blocks without those in `gone`, under their old names.

    Example:
        >>> list(shortened({"0": nn.ReLU(), "1": nn.Tanh()}, ["0"], in_place=False))
        ['1']
        >>> shortened({"0": nn.ReLU(), "1": nn.Tanh()}, ["0"], in_place=True)
        {'0': Identity(), '1': Tanh()}
    """
    out = set(gone)
    if in_place:
        return {name: nn.Identity() if name in out else block for name, block in blocks.items()}
    return {name: block for name, block in blocks.items() if name not in out}


def renumbered(blocks: Mapping[str, nn.Module | None]) -> dict[str, nn.Module | None]:
    """Return blocks renumbered from 0 if all their names are numbers, as in a list.

    Example:
        >>> list(renumbered({"0": nn.ReLU(), "2": nn.Tanh()})), list(renumbered({"first": None, "1": None}))
        (['0', '1'], ['first', '1'])
    """
    if not all(name.isdigit() for name in blocks):
        return dict(blocks)
    return {str(number): block for number, block in enumerate(blocks.values())}


def searched(kind: Any, plain: Any) -> Any:
    """Return a class that derives from a searchable kind and from a plain class.

    Example:
        >>> issubclass(searched(Blocks, nn.ModuleList), nn.ModuleList)
        True
    """
    return _searched(kind, plain)


@cache
def _searched(kind: Any, plain: Any) -> Any:
    own = {
        "__module__": __name__,
        "__reduce_ex__": lambda self, _: (_empty, (kind, plain), dict(vars(self))),
    }
    made = type(f"Searched{plain.__name__}", (kind, plain), own)
    # Removes what a base adds to its subclasses (`__init_subclass__`), such as a wrapped forward: the plain
    # class already has it.
    for name in vars(made).keys() - own.keys() - vars(type("Empty", (), {})).keys():
        if hasattr(plain, name):
            delattr(made, name)
    return made


def _empty(kind: Any, plain: Any) -> Any:
    """Return an empty instance of a searched class, which `pickle` cannot find by name."""
    made = searched(kind, plain)
    return made.__new__(made)


def blocks_of(container: nn.Module, runs: Iterable[Run]) -> Blocks:
    """Return a searchable container with the blocks of a plain one, which are not copied.

    Example:
        >>> from asng.nn import Supernet
        >>> run = Run(("0", "1"), Integer(0, 2, label="depth"), in_place=False)
        >>> supernet = Supernet(blocks_of(nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Flatten()), [run]))
        >>> supernet.extract({"depth": 1})
        Sequential(
          (0): ReLU()
          (1): Flatten(start_dim=1, end_dim=-1)
        )
    """
    kind = searched(Blocks, type(container))
    made: Blocks = kind.__new__(kind)
    vars(made).update(vars(container))
    made.search_runs = tuple(runs)
    return made
