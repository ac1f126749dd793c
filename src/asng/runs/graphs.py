"""Cells of a found network to draw: graphs.json of one search."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.runs.fields import as_list, as_object, text
from asng.runs.files import read_json

__all__ = ["Graph", "GraphEdge"]


@dataclass(frozen=True)
class GraphEdge:
    """One operation between two nodes; several may join the same two."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Graph:
    """A found cell to draw: node ids with their labels, and edges."""

    title: str
    nodes: Mapping[str, str]
    edges: tuple[GraphEdge, ...]


def read_graphs(path: Path) -> tuple[Graph, ...]:
    if not path.exists():
        return ()
    graphs = as_list(read_json(path), str(path))
    return tuple(_graph(graph, f"{path}, [{index}]") for index, graph in enumerate(graphs))


def _graph(value: Any, where: str) -> Graph:
    data = as_object(value, where)
    nodes = {}
    for index, item in enumerate(as_list(data.get("nodes"), f"{where}, nodes")):
        node = as_object(item, f"{where}, nodes[{index}]")
        name = str(node.get("id"))
        nodes[name] = str(node.get("label", name))
    edges = []
    for index, item in enumerate(as_list(data.get("edges"), f"{where}, edges")):
        edge = as_object(item, f"{where}, edges[{index}]")
        ends = str(edge.get("from")), str(edge.get("to"))
        for end in ends:
            if end not in nodes:
                raise RunError(f"{where}, edges[{index}]: expected the id of a node, got {end!r}.")
        edges.append(GraphEdge(*ends, label=str(edge.get("label") or "")))
    return Graph(text(data, "title", where, "graph"), nodes, tuple(edges))
