"""The cells of an architecture as graphs to draw."""

from collections.abc import Mapping
from typing import Any

from asng.errors import InputError
from asng.space import Value
from asng.supernets.enas.wiring import CELL_INPUTS, Edge, cell_edges, unused_nodes

__all__ = ["cell_graphs"]

_LABELS = dict(zip(CELL_INPUTS, ("cell t-2", "cell t-1"), strict=True))


def cell_graphs(architecture: Mapping[str, Value], nodes: int) -> list[dict[str, Any]]:
    """Return the normal and the reduction cell of an architecture, as far as it has them, as graphs.

    Args:
        architecture: Of the space of an `EnasCellNetwork`.
        nodes: Nodes of a cell.

    Returns:
        One dictionary a cell, which JSON can hold: "title", "nodes" with "id" and "label", and "edges"
        with "from", "to" and "label". Nodes that no other node reads lead to "output".

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
