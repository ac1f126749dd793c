"""The wiring of ENAS cells: variables of the nodes, edges of an architecture, and its graphs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.space import Categorical, Value

__all__ = [
    "CELL_INPUTS",
    "OPERATIONS",
    "Edge",
    "cell_edges",
    "input_names",
    "node_variables",
    "unused_nodes",
    "check_image_size",
    "least_side_after",
    "reduction_indices",
    "cell_graphs",
]

CELL_INPUTS = ("cell-2", "cell-1")
"""The outputs of the cell before the previous one, and of the previous one."""

OPERATIONS = ("identity", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5")
"""The five operations of ENAS, in the order of its paper."""

_LABELS = dict(zip(CELL_INPUTS, ("cell t-2", "cell t-1"), strict=True))


@dataclass(frozen=True)
class Edge:
    """One of the two edges of a node: the input that it reads, and its operation.

    Attributes:
        source: One of `CELL_INPUTS`, or an earlier node.
        operation: One of `OPERATIONS`.
    """

    source: str
    operation: str


def input_names(node: int) -> tuple[str, ...]:
    """Return the inputs that node `node` (from 1) may read: both cell inputs, then the earlier nodes.

    Example:
        >>> input_names(3)
        ('cell-2', 'cell-1', 'node1', 'node2')
    """
    return (*CELL_INPUTS, *(f"node{earlier}" for earlier in range(1, node)))


def node_variables(kind: str, node: int) -> dict[str, Categorical]:
    """Return the four variables of a node in the cells of one kind, by slot.

    Args:
        kind: "normal" or "reduction". It is part of the labels, so that all cells of a kind are alike.
        node: Number of the node, from 1.

    Example:
        >>> [variable.label for variable in node_variables("normal", 2).values()]
        ['normal.node2.input1', 'normal.node2.op1', 'normal.node2.input2', 'normal.node2.op2']
    """
    variables = {}
    for side in (1, 2):
        for slot, choices in ((f"input{side}", input_names(node)), (f"op{side}", OPERATIONS)):
            variables[slot] = Categorical(choices, label=f"{kind}.node{node}.{slot}")
    return variables


def cell_edges(architecture: Mapping[str, Value], kind: str, nodes: int) -> list[tuple[Edge, Edge]]:
    """Return the two edges of each node in the cells of one kind."""
    return [
        (_edge(architecture, f"{kind}.node{node}", 1), _edge(architecture, f"{kind}.node{node}", 2))
        for node in range(1, nodes + 1)
    ]


def unused_nodes(sources: Sequence[Value], nodes: int) -> tuple[int, ...]:
    """Return the numbers (from 1) of the nodes that no other node reads; they form the cell's output.

    The last node is always one of them.

    Args:
        sources: The inputs that the edges of all nodes read.
        nodes: Number of nodes.

    Example:
        >>> unused_nodes(["cell-2", "cell-1", "node1", "cell-1", "cell-1", "node1"], 3)
        (2, 3)
    """
    return tuple(node for node in range(1, nodes + 1) if f"node{node}" not in sources)


def _edge(architecture: Mapping[str, Value], node: str, side: int) -> Edge:
    return Edge(str(architecture[f"{node}.input{side}"]), str(architecture[f"{node}.op{side}"]))


def reduction_indices(reductions: Sequence[int] | None, cells: int) -> frozenset[int]:
    """Return the indices of the reduction cells: as given, or at a third and two thirds of the cells.

    Raises:
        InputError: An index is out of range.
    """
    if reductions is None:
        return frozenset((cells // 3, 2 * cells // 3) if cells >= 3 else ())
    for index in reductions:
        integer_at_least("reductions", index, 0)
        if index >= cells:
            raise InputError(
                f"reductions: expected indices of the {cells} cells, in [0, {cells - 1}], got {index}."
            )
    return frozenset(reductions)


def check_image_size(image_size: int | tuple[int, int], reductions: int) -> None:
    """Refuse images that are too small for a number of reduction cells.

    Raises:
        InputError: A side is too small, or the size is neither one side nor two.
    """
    sides = _sides(image_size)
    if len(sides) != 2:
        raise InputError(f"image_size: expected one side, or height and width, got {image_size!r}.")
    least = 2 ** (reductions - 1) + 1 if reductions else 1
    for side in sides:
        if integer_at_least("image_size", side, 1) < least:
            raise InputError(
                f"image_size: expected sides of at least {least}, which {reductions} reduction cells can "
                f"halve, got {side}. Give larger images, or fewer `reductions`."
            )


def least_side_after(image_size: int | tuple[int, int], cell: int, reducing: Collection[int]) -> int:
    """Return the smaller side of the output of a cell, in pixels.

    Args:
        image_size: Side of the images, or height and width.
        cell: Index of the cell.
        reducing: Indices of the reduction cells.

    Example:
        >>> least_side_after((28, 32), 13, reducing={6, 13})
        7
    """
    side = min(_sides(image_size))
    for _ in range(sum(index <= cell for index in reducing)):
        side = (side + 1) // 2
    return side


def _sides(image_size: int | tuple[int, int]) -> tuple[int, ...]:
    return tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size, image_size)


def cell_graphs(architecture: Mapping[str, Value], nodes: int) -> list[dict[str, Any]]:
    """Return the normal and the reduction cell of an architecture, if it has them, as graphs.

    Args:
        architecture: An architecture of an `EnasCellNetwork`.
        nodes: Nodes of a cell.

    Returns:
        One JSON-serialisable dictionary per cell: "title", "nodes" with "id" and "label", and "edges" with
        "from", "to" and "label". Nodes that no other node reads lead to "output".

    Raises:
        InputError: `architecture` has no variables of such cells.

    Example:
        >>> a = {"normal.node1.input1": "cell-2", "normal.node1.op1": "identity",
        ...      "normal.node1.input2": "cell-1", "normal.node1.op2": "sep_conv_3x3"}
        >>> graph, = cell_graphs(a, nodes=1)
        >>> graph["title"], graph["edges"][1]
        ('normal cell', {'from': 'cell-1', 'to': 'node1', 'label': 'sep_conv_3x3'})
    """
    kinds = [kind for kind in ("normal", "reduction") if f"{kind}.node1.input1" in architecture]
    if not kinds:
        raise InputError(
            "architecture: expected variables such as 'normal.node1.input1', got none. "
            "Give an architecture of an EnasCellNetwork."
        )
    for kind in kinds:
        if f"{kind}.node{nodes}.op2" not in architecture or f"{kind}.node{nodes + 1}.op2" in architecture:
            raise InputError(f"nodes: expected the nodes of the architecture's {kind} cell, got {nodes}.")
    return [_graph(kind, cell_edges(architecture, kind, nodes)) for kind in kinds]


def _graph(kind: str, edges: list[tuple[Edge, Edge]]) -> dict[str, Any]:
    count = len(edges)
    drawn = [
        {"from": edge.source, "to": f"node{node}", "label": edge.operation}
        for node, pair in enumerate(edges, start=1)
        for edge in pair
    ]
    unused = unused_nodes([edge.source for pair in edges for edge in pair], count)
    drawn += [{"from": f"node{node}", "to": "output", "label": ""} for node in unused]
    ids = [*CELL_INPUTS, *(f"node{node}" for node in range(1, count + 1)), "output"]
    # A cell input that nothing reads is left out of the drawing.
    named = {edge["from"] for edge in drawn} | {edge["to"] for edge in drawn}
    shown = [{"id": name, "label": _LABELS.get(name, name)} for name in ids if name in named]
    return {"title": f"{kind} cell", "nodes": shown, "edges": drawn}
