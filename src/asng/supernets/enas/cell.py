"""The cell space of ENAS, which the ASNG paper searches for image classifiers."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.supernets.enas.nodes import EnasNode, UnusedNodesConv
from asng.supernets.enas.operations import FactorizedReduce, batch_norm, relu_conv_bn
from asng.supernets.enas.retraining import AuxiliaryHead
from asng.supernets.enas.wiring import (
    CELL_INPUTS,
    check_image_size,
    least_side_after,
    reduction_indices,
    unused_nodes,
)

__all__ = ["EnasCell", "EnasCellNetwork"]


class EnasCell(nn.Module):
    """A small graph of nodes over the outputs of the two cells before it.

    Args:
        kind: "normal", or "reduction", which halves the sides of the image.
        older_channels: Channels of the output of the cell before the previous one.
        newer_channels: Channels of the output of the previous cell.
        channels: Channels of every node and of the output.
        nodes: Number of nodes.
        after_reduction: Whether the previous cell is a reduction, so that the older input is twice as
            large as the newer one, and is reduced first.
        retraining: As in `EnasCellNetwork`.
        drop_path: As in `EnasCellNetwork`.
        recompute: As in `EnasCellNetwork`.
    """

    def __init__(
        self,
        kind: str,
        *,
        older_channels: int,
        newer_channels: int,
        channels: int,
        nodes: int,
        after_reduction: bool,
        retraining: bool,
        drop_path: bool,
        recompute: bool,
    ) -> None:
        super().__init__()
        adapt = partial(relu_conv_bn, retraining=retraining, recompute=recompute)
        adapt_older = partial(FactorizedReduce, retraining=retraining) if after_reduction else adapt
        self.older = adapt_older(older_channels, channels)
        self.newer = adapt(newer_channels, channels)
        build = partial(EnasNode, kind, retraining=retraining, drop_path=drop_path, recompute=recompute)
        self.nodes = nn.ModuleList(build(number, channels=channels) for number in range(1, nodes + 1))
        self.relu = nn.ReLU()
        self.conv = UnusedNodesConv(kind, nodes, channels=channels)
        self.norm = batch_norm(channels, retraining=retraining)

    def sources(self) -> list[str]:
        """Return the names of the inputs of all nodes under the current architecture."""
        return [source for node in self.nodes for source in node.sources()]  # type: ignore[operator]

    def forward(self, older: Tensor | None, newer: Tensor | None) -> Tensor:
        """Return the output of the cell, (batch, channels, n, m); a reduction cell halves n and m.

        Args:
            older: Output of the cell before the previous one, or None if no node reads it.
            newer: Output of the previous cell, or None if no node reads it.
        """
        sources = self.sources()
        outputs: dict[str, Tensor] = {}
        for name, adapt, image in zip(CELL_INPUTS, (self.older, self.newer), (older, newer), strict=True):
            if name in sources:
                outputs[name] = adapt(image)
        for number, node in enumerate(self.nodes, start=1):
            outputs[f"node{number}"] = node(outputs)
        unused = unused_nodes(sources, len(self.nodes))
        joined = torch.cat([outputs[f"node{number}"] for number in unused], dim=1)
        return self.norm(self.conv(self.relu(joined)))  # type: ignore[no-any-return]


class EnasCellNetwork(nn.Module):
    """An image classifier made of cells; all normal cells are alike, and so are all reduction cells.

    Each node of a cell adds the outputs of two operations, each on the output of one of the two previous
    cells or of an earlier node. A 1 x 1 convolution joins the outputs of the nodes that no other node reads.
    By default, two cells reduce the image; each doubles the channels from there on. Cells whose output
    nothing reads are not run.

    Differs: if both sides of a node are the same operation on the same input, it is run once.

    Args:
        in_channels: Channels of the images, at least 1.
        classes: Number of classes, at least 1.
        image_size: Side of the images in pixels, or height and width. Any side that the reductions
            can halve, even or odd.
        cells: Number of cells, at least 1.
        nodes: Nodes of a cell (the paper's B), at least 1.
        channels: Channels of the first cell, at least 1.
        stem_multiplier: Channels after the first convolution, in multiples of `channels`, at least 1.
        reductions: Indices of the reduction cells, from 0. Default: cells // 3 and 2 * cells // 3, or
            none if there are fewer than 3 cells. Kinds of cells that do not occur have no variables.
        retraining: False for the search: batch normalisation uses the statistics of the batch, without
            scale and shift. True to train one architecture from scratch, with running statistics, scale and
            shift: build the network again with True and extract the architecture from its `Supernet`.
        drop_path: Whether operations other than the identity are dropped at random in training, at a
            rate that `set_drop_path` sets. It adds no weights.
        auxiliary: Whether a second classifier for training reads the output of cell 2 * cells // 3, by
            default the second reduction. The network then returns both logits, its own first. The names of
            all other weights stay the same.
        recompute: Whether training in the search stores less for the gradient and recomputes normalisation
            and ReLU before convolutions: the same bits, less memory, more time. Not with `retraining`.

    Raises:
        InputError: An argument is out of its range, the image is too small for the reductions, or
            both `recompute` and `retraining` are True.

    Example:
        >>> import torch
        >>> from random import Random
        >>> from asng.nn import Supernet
        >>> network = EnasCellNetwork(in_channels=1, classes=10, image_size=28, cells=3, nodes=2, channels=4)
        >>> supernet = Supernet(network)
        >>> len(supernet.space)
        16
        >>> a = supernet.space.sample(Random(0))
        >>> supernet(torch.zeros(2, 1, 28, 28), architecture=a).shape
        torch.Size([2, 10])

    References:
        Pham, Guan, Zoph, Le, Dean (2018). Efficient neural architecture search via parameter sharing,
        section 2.4. Akimoto et al. (2019). Adaptive stochastic natural gradient method for one-shot
        neural architecture search, section 5.2.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        image_size: int | tuple[int, int],
        cells: int = 8,
        nodes: int = 5,
        channels: int = 16,
        stem_multiplier: int = 3,
        reductions: Sequence[int] | None = None,
        retraining: bool = False,
        drop_path: bool = False,
        auxiliary: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if recompute and retraining:
            raise InputError(
                "recompute: expected False with retraining=True, because running statistics would count each "
                "batch twice, got True."
            )
        for name, value in (("in_channels", in_channels), ("classes", classes), ("cells", cells)):
            integer_at_least(name, value, 1)
        for name, value in (("nodes", nodes), ("channels", channels), ("stem_multiplier", stem_multiplier)):
            integer_at_least(name, value, 1)
        reducing = reduction_indices(reductions, cells)
        check_image_size(image_size, len(reducing))
        width = channels * stem_multiplier
        # As in the authors' code, the stem's normalisation has scale and shift in the search too.
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel_size=3, padding=1, bias=False),
            batch_norm(width, retraining=retraining, affine=True),
        )
        self.cells = nn.ModuleList()
        widths = []
        older = newer = width
        for index in range(cells):
            channels *= 2 if index in reducing else 1
            cell = EnasCell(
                "reduction" if index in reducing else "normal",
                older_channels=older,
                newer_channels=newer,
                channels=channels,
                nodes=nodes,
                after_reduction=index - 1 in reducing,
                retraining=retraining,
                drop_path=drop_path,
                recompute=recompute,
            )
            self.cells.append(cell)
            widths.append(channels)
            older, newer = newer, channels
        self.head = nn.Linear(channels, classes)
        self.auxiliary: AuxiliaryHead | None = None
        self._auxiliary_cell = 2 * cells // 3
        if auxiliary:  # last, so that the draws of all other weights do not change
            side = least_side_after(image_size, self._auxiliary_cell, reducing)
            self.auxiliary = AuxiliaryHead(widths[self._auxiliary_cell], classes=classes, side=side)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map images (batch, in_channels, height, width) to logits (batch, classes).

        With an auxiliary head, also return its logits, of the same shape, after the network's own.
        """
        older: Tensor | None
        newer: Tensor | None
        older = newer = self.stem(x)
        auxiliary = None
        for index, (cell, needed) in enumerate(zip(self.cells, self._needed(), strict=True)):
            older, newer = newer, cell(older, newer) if needed else None
            if self.auxiliary is not None and index == self._auxiliary_cell:
                auxiliary = self.auxiliary(newer)
        assert newer is not None  # the last cell is always needed
        logits = self.head(newer.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)

    def _needed(self) -> list[bool]:
        """Return for each cell whether a classifier head depends on it."""
        last = len(self.cells) - 1
        read = {last} if self.auxiliary is None else {last, self._auxiliary_cell}
        needed = [index in read for index in range(len(self.cells))]
        for index in range(last, -1, -1):
            if needed[index]:
                sources = self.cells[index].sources()  # type: ignore[operator]
                for distance, name in ((2, "cell-2"), (1, "cell-1")):
                    if name in sources and index >= distance:
                        needed[index - distance] = True
        return needed
