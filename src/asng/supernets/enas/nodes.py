"""The searchable parts of an ENAS cell: its nodes, and the convolution over the unused nodes."""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.nn import Searchable
from asng.nn.base import Extraction
from asng.nn.layers.plain import draw_anew
from asng.space import Value, Variable
from asng.supernets.enas.operations import edge_operations
from asng.supernets.enas.retraining import DropPath
from asng.supernets.enas.wiring import CELL_INPUTS, input_names, node_variables, unused_nodes

__all__ = ["EnasNode", "UnusedNodesConv"]


class EnasNode(Searchable):
    """The sum of two operations; the architecture names each operation and the input that it reads.

    An input is one of the cell's two inputs or an earlier node. The weights of an operation belong to the
    edge (node, input, operation). If both sides read the same input by the same operation, they share them.

    Args:
        kind: "normal" or "reduction".
        number: Number of the node in its cell, from 1.
        channels: Channels of inputs and output.
        retraining: As in `operations.batch_norm`.
        drop_path: As in `EnasCellNetwork`.
        recompute: As in `EnasCellNetwork`.
    """

    def __init__(
        self,
        kind: str,
        number: int,
        *,
        channels: int,
        retraining: bool,
        drop_path: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.number = number
        self.drop = DropPath() if drop_path else None
        self.edges = nn.ModuleDict()
        for source in input_names(number):
            stride = 2 if kind == "reduction" and source in CELL_INPUTS else 1
            self.edges[source] = edge_operations(
                channels, stride=stride, retraining=retraining, recompute=recompute
            )

    def variables(self) -> dict[str, Variable]:
        """Return the four variables of the node, shared by all cells of its kind."""
        return {**node_variables(self.kind, self.number)}

    def sources(self) -> tuple[str, str]:
        """Return the names of the two inputs of the node under the current architecture."""
        return str(self.value("input1")), str(self.value("input2"))

    def forward(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return the output of the node, (batch, channels, n, m).

        Args:
            outputs: Maps the names of the cell's inputs and of earlier nodes to their outputs.
        """
        first, second = self.sources()
        edges = [(first, self.value("op1")), (second, self.value("op2"))]
        one = self._run(edges[0], outputs)
        other = one if edges[1] == edges[0] else self._run(edges[1], outputs)
        # Drop each side independently, even if both are the same.
        return self._dropped(one, edges[0]) + self._dropped(other, edges[1])

    def _run(self, edge: tuple[str, Value], outputs: Mapping[str, Tensor]) -> Tensor:
        return self._operation(edge)(outputs[edge[0]])  # type: ignore[no-any-return]

    def _dropped(self, output: Tensor, edge: tuple[str, Value]) -> Tensor:
        if self.drop is None or isinstance(self._operation(edge), nn.Identity):
            return output
        return self.drop(output)  # type: ignore[no-any-return]

    def _operation(self, edge: tuple[str, Value]) -> nn.Module:
        operations: nn.ModuleDict = self.edges[edge[0]]  # type: ignore[assignment]
        return operations[str(edge[1])]


class UnusedNodesConv(Searchable):
    """A 1 x 1 convolution from the outputs of the unused nodes, concatenated, to one node's channels.

    Each node has its own block of input channels in the weight; only the blocks of unused nodes are used.

    Args:
        kind: "normal" or "reduction".
        nodes: Nodes of the cell.
        channels: Channels of a node, and of the output.

    Attributes:
        weight: Shape (channels, nodes * channels, 1, 1).
    """

    def __init__(self, kind: str, nodes: int, *, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.nodes = nodes
        self.channels = channels
        self.weight = nn.Parameter(torch.empty(channels, nodes * channels, 1, 1))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch.nn.Conv2d
        self._slots = tuple(self.variables())

    def variables(self) -> dict[str, Variable]:
        """Return the inputs of all nodes: they determine which nodes are unused."""
        return {
            f"node{node}.{slot}": variable
            for node in range(1, self.nodes + 1)
            for slot, variable in node_variables(self.kind, node).items()
            if slot.startswith("input")
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, unused * channels, n, m) to (batch, channels, n, m)."""
        return functional.conv2d(x, self._used_weight())

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return a plain convolution with the used blocks; a fresh one redraws them if some are unused."""
        weight = self._used_weight().detach().clone()
        # On the meta device no weights are drawn, so that an extraction does not advance the generators.
        twin = nn.Conv2d(weight.shape[1], self.channels, kernel_size=1, bias=False, device="meta")
        twin.weight = nn.Parameter(weight, requires_grad=self.weight.requires_grad)
        if extraction.fresh and weight.shape != self.weight.shape:
            extraction.later(partial(draw_anew, twin))
        return twin.train(self.training)

    def _used_weight(self) -> Tensor:
        unused = unused_nodes([self.value(slot) for slot in self._slots], self.nodes)
        first, last = unused[0], unused[-1]
        if len(unused) == last - first + 1:
            return self._blocks(first, last)  # a view: no copy
        return torch.cat([self._blocks(node, node) for node in unused], dim=1)

    def _blocks(self, first: int, last: int) -> Tensor:
        return self.weight[:, (first - 1) * self.channels : last * self.channels]
