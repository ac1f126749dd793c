"""A searched number of blocks, run one after the other."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

from torch import fx, nn

from asng.errors import InputError
from asng.nn.base import Call, Extraction, Searchable
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.selection import current_selection
from asng.space import SizeExpression, Variable

__all__ = ["Repeat"]


class Repeat(Searchable):
    """Run the first blocks of a sequence, as many as the architecture says.

    Call it, and it passes further arguments to every block. Or put it in place of a list of blocks that the
    model loops over: in a pass it contains the blocks that run, outside of a pass all of them. The remaining
    blocks cost nothing, and their variables are inactive.

    Args:
        blocks: As many blocks as the largest depth; a function that makes block number 0, 1, ...; or one
            module, which is copied for the others. A `torch.nn.Sequential` is a list of blocks. To repeat it
            as a whole, pass a function that makes one.
        depth: Number of blocks that run. If it is 0, the input is returned.

    Raises:
        InputError: The number of blocks is not the largest depth, one is not a module, or a fixed depth is
            not an integer >= 0.
        SpaceError: A variable depth may be something other than an integer >= 0.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> blocks = Repeat(lambda index: nn.Linear(4, 4), Integer(0, 3, label="depth"))
        >>> supernet = Supernet(blocks)
        >>> supernet(torch.ones(1, 4), architecture={"depth": 0})
        tensor([[1., 1., 1., 1.]])
        >>> len(supernet.extract({"depth": 2})), len(blocks)
        (2, 3)
    """

    def __init__(
        self, blocks: nn.Module | Iterable[nn.Module] | Callable[[int], nn.Module], depth: Size
    ) -> None:
        super().__init__()
        most = largest("depth", depth, least=0)
        made: list[Any]
        if isinstance(blocks, Iterable):
            made = list(blocks)
        elif isinstance(blocks, nn.Module):
            made = [blocks, *(copy.deepcopy(blocks) for _ in range(most - 1))][:most]
        else:
            made = [blocks(index) for index in range(most)]
        if len(made) != most:
            kind, hint = type(blocks).__name__, ""
            if isinstance(blocks, nn.Sequential):
                hint = (
                    f" in a {kind}, which is taken as the list of blocks. To repeat it as a whole, pass a "
                    f"function that makes one: Repeat(lambda index: {kind}(...), depth)"
                )
            raise InputError(f"blocks: expected {most}, the greatest depth, got {len(made)}{hint}.")
        for index, block in enumerate(made):
            if not isinstance(block, nn.Module):
                raise InputError(f"blocks[{index}]: expected a torch.nn.Module, got {block!r}.")
        self.blocks = nn.ModuleList(made)
        self.depth = depth

    def variables(self) -> dict[str, Variable | SizeExpression]:
        """Return slot "depth", or nothing if the depth is fixed."""
        return variables_among(depth=self.depth)

    def chosen(self) -> list[nn.Module]:
        """Return the blocks that run under the current architecture."""
        depth = self.depth if isinstance(self.depth, int) else self.value("depth")
        return list(self.blocks)[: int(depth)]  # type: ignore[arg-type]

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the blocks in turn: each on the output of the one before, and on the further arguments."""
        for block in self.chosen():
            x = block(x, *args, **kwargs)
        return x

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._blocks())

    def __len__(self) -> int:
        return len(self._blocks())

    def __bool__(self) -> bool:
        return True  # even at depth 0, because the module is there

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...

    @overload
    def __getitem__(self, index: slice) -> list[nn.Module]: ...

    def __getitem__(self, index: int | slice) -> nn.Module | list[nn.Module]:
        return self._blocks()[index]

    def _blocks(self) -> list[nn.Module]:
        """Return the blocks that run in the current pass, or all of them outside of a pass."""
        return list(self.blocks) if current_selection() is None else self.chosen()

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain forms of the blocks that run, as a torch.nn.Sequential.

        If calls of the example have further arguments, which a Sequential does not take, return a
        torch.fx.GraphModule.
        """
        blocks = [extraction.child(block) for block in self.chosen()]
        calls = extraction.calls(self) if extraction.has_calls else []
        if all(len(args) == 1 and not kwargs for args, kwargs in calls):
            return nn.Sequential(*blocks).train(self.training)
        return _with_arguments(self.described(), blocks, calls).train(self.training)


def _with_arguments(described: str, blocks: list[nn.Module], calls: list[Call]) -> nn.Module:
    """Return a module that runs blocks in turn, each with the further arguments of the calls.

    Raises:
        InputError: The calls differ in their arguments.
    """
    forms = {(len(args), tuple(kwargs)) for args, kwargs in calls}
    if len(forms) > 1:
        raise InputError(
            f"{described}: expected calls with the same arguments, by position and by name, got "
            f"{sorted(forms)}. One plain module cannot serve both: call it in the same way each time."
        )
    count, names = forms.pop()
    graph = fx.Graph()
    x, *further = [graph.placeholder(f"input{index}" if index else "x") for index in range(count)]
    named = {name: graph.placeholder(name) for name in names}
    for index in range(len(blocks)):
        x = graph.call_module(str(index), (x, *further), named)  # type: ignore[arg-type]
    graph.output(x)
    return fx.GraphModule({str(i): block for i, block in enumerate(blocks)}, graph, class_name="Blocks")
