"""A searched number of blocks, one after the other."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from asng.errors import InputError
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.searchable import Extraction, Searchable
from asng.space import Variable

__all__ = ["Repeat"]


class Repeat(Searchable):
    """The first blocks of a sequence, as many as the architecture says.

    The blocks beyond cost nothing, and what is searched in them is inactive.

    Args:
        blocks: The blocks, as many as the greatest depth; or a function that makes block number 0, 1, ...
        depth: How many run. It may be 0: then the input passes.

    Raises:
        InputError: There are more or fewer blocks, or one is no module.
        SpaceError: The depth may be something else than an integer >= 0.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> blocks = Repeat(lambda index: nn.Linear(4, 4), Integer(0, 3, label="depth"))
        >>> supernet = Supernet(blocks)
        >>> supernet(torch.ones(1, 4), architecture={"depth": 0})
        tensor([[1., 1., 1., 1.]])
        >>> len(supernet.extract({"depth": 2}))
        2
    """

    def __init__(self, blocks: Iterable[nn.Module] | Callable[[int], nn.Module], depth: Size) -> None:
        super().__init__()
        most = largest("depth", depth, least=0)
        made = list(blocks) if isinstance(blocks, Iterable) else [blocks(index) for index in range(most)]
        if len(made) != most:
            raise InputError(f"blocks: expected {most}, the greatest depth, got {len(made)}.")
        for index, block in enumerate(made):
            if not isinstance(block, nn.Module):
                raise InputError(f"blocks[{index}]: expected a torch.nn.Module, got {block!r}.")
        self.blocks = nn.ModuleList(made)
        self.depth = depth

    def variables(self) -> dict[str, Variable]:
        """Return slot "depth", or nothing where the depth is fixed."""
        return variables_among(depth=self.depth)

    def chosen(self) -> list[nn.Module]:
        """Return the blocks that run under the current architecture."""
        depth = self.depth if isinstance(self.depth, int) else self.value("depth")
        return list(self.blocks)[: int(depth)]  # type: ignore[arg-type]

    def forward(self, x: Any) -> Any:
        """Run the blocks in turn."""
        for block in self.chosen():
            x = block(x)
        return x

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain forms of the blocks that run, as a torch.nn.Sequential."""
        return nn.Sequential(*map(extraction.child, self.chosen())).train(self.training)
