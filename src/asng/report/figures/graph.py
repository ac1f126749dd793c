"""Draw found cells as graphs, operations on the edges: layers from left to right, each edge on its own line.

This is the layered method. A node is in the layer of its longest path from an input, and between two layers
every edge gets a slot of its own for its label. Parallel edges thus separate, labels never meet, and long
edges run round the nodes that they pass.

References:
    K. Sugiyama, S. Tagawa, M. Toda (1981), "Methods for Visual Understanding of Hierarchical System
    Structures", IEEE Trans. SMC 11(2).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TypeAlias

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from asng.errors import RunError
from asng.report.figures.svg import FAINT, INK, clean, draw
from asng.runs.results import Graph, GraphEdge

__all__ = ["Layout", "colours_of", "draw_graph", "drawable", "lay_out"]

# Okabe and Ito's colours, with the yellow darkened so that it is readable as text on white.
_COLOURS = ("#0072b2", "#d55e00", "#00795a", "#a8477f", "#8a6d00", "#2f86b8", "#5b5b5b")
_LONGEST = 22
"""Maximum length of a label, in characters."""
_NODE_HEIGHT = 22
_SWEEPS = 12
_MOST_EDGES = 250
_MOST_SLOTS = 3_000
"""Slots of all graphs of a page, which then take some seconds. A search of ours has some hundred."""
_SLOT = 30.0
_LETTER = 6.6

Spot: TypeAlias = str | tuple[int, int]
"""What takes a place in a layer: a node, by its name, or the slot of an edge, as (number, layer)."""


def colours_of(graphs: Sequence[Graph]) -> dict[str, str]:
    """Return one colour for each operation in all graphs of a page, in the order of names."""
    names = sorted({edge.label for graph in graphs for edge in graph.edges if edge.label})
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}


def drawable(graphs: Sequence[Graph]) -> int:
    """Return how many graphs, from the first on, can be drawn in some seconds.

    Args:
        graphs: Graphs without cycles.

    Raises:
        RunError: One of them has a cycle.
    """
    edges = slots = 0
    for number, graph in enumerate(graphs):
        edges += len(graph.edges) + len(graph.nodes)
        if edges > _MOST_EDGES:
            return number
        layer_of = _layers(graph)
        slots += sum(len(_between(edge, layer_of)) for edge in graph.edges)
        if slots > _MOST_SLOTS:
            return number
    return len(graphs)


def draw_graph(graph: Graph, colours: Mapping[str, str], *, key: str) -> str:
    """Draw a graph from left to right as an SVG element.

    Args:
        graph: A graph with at least one node and no cycle; it may have parallel edges.
        colours: Colours by the label of an edge.
        key: Prefix of ids.

    Raises:
        RunError: The graph has a cycle.
    """
    layout = lay_out(graph)
    shown, (width, height) = graph.labels, layout.size

    def paint(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        for edge, path, label in zip(graph.edges, layout.paths, layout.labels, strict=True):
            colour = colours.get(edge.label, FAINT)
            _arrow(axes, path, colour)
            if edge.label:
                ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                name = clean(edge.label, _LONGEST)
                axes.text(*label, name, color=colour, ha="center", va="center", bbox=ground, zorder=3)
        for name, (x, y, wide) in layout.nodes.items():
            _node(axes, x, y, wide, clean(shown[name], _LONGEST))

    return draw(paint, size=layout.size, margins=(0, 0, 0, 0), key=key, label=graph.title)


def _arrow(axes: Axes, points: Sequence[tuple[float, float]], colour: str) -> None:
    """Draw a line that leaves and enters every point horizontally, with a head at its end."""
    end_x, end_y = points[-1]
    points = [*points[:-1], (end_x - 6, end_y)]
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        PathPatch(Path(vertices, codes), facecolor="none", edgecolor=colour, linewidth=1.6, zorder=1)
    )
    head = [(end_x, end_y), (end_x - 8, end_y - 3.5), (end_x - 8, end_y + 3.5)]
    axes.add_patch(Polygon(head, facecolor=colour, edgecolor="none", zorder=4))


def _node(axes: Axes, x: float, y: float, width: float, label: str) -> None:
    corner = (x - width / 2, y - _NODE_HEIGHT / 2)
    style = "round,pad=0,rounding_size=5"
    box = FancyBboxPatch(
        corner, width, _NODE_HEIGHT, boxstyle=style, facecolor="#eef3f7", edgecolor=INK, zorder=2
    )
    axes.add_patch(box)
    axes.text(x, y, label, ha="center", va="center", zorder=3)


@dataclass(frozen=True)
class Layout:
    """Positions in pixels, with y downwards.

    Attributes:
        size: Width and height of the whole graph.
        nodes: Centre x, centre y and width of each node by its id.
        paths: The path of each edge: start, left and right end of each slot, end.
        labels: The centre of each edge's label.
    """

    size: tuple[float, float]
    nodes: Mapping[str, tuple[float, float, float]]
    paths: Sequence[Sequence[tuple[float, float]]]
    labels: Sequence[tuple[float, float]]


def lay_out(graph: Graph) -> Layout:
    """Place the nodes and edges of a graph without cycles.

    Args:
        graph: The graph; it may have parallel edges.

    Raises:
        RunError: The graph has a cycle.
    """
    shown, layer_of = graph.labels, _layers(graph)
    layers, joined = _spots(graph, layer_of)
    _order(layers, joined)
    heights = _heights(layers, joined)
    columns, width = _columns(graph, layers, layer_of)
    nodes = {
        name: (sum(columns[layer]) / 2, heights[name], _width(shown[name]))
        for name, layer in layer_of.items()
    }
    paths, labels = _route(graph, layer_of, nodes, heights, columns)
    return Layout((width, max(heights.values(), default=0.0) + _SLOT / 2), nodes, paths, labels)


def _layers(graph: Graph) -> dict[str, int]:
    directed = nx.MultiDiGraph()
    directed.add_nodes_from(graph.labels)
    directed.add_edges_from((edge.source, edge.target) for edge in graph.edges)
    try:
        generations = list(nx.topological_generations(directed))
    except nx.NetworkXUnfeasible:
        raise RunError(
            f"graph {graph.title!r:.80}: expected a graph without cycles, got one with a cycle."
        ) from None
    # Odd layers hold the slots of edges.
    return {name: 2 * number for number, names in enumerate(generations) for name in names}


def _spots(graph: Graph, layer_of: Mapping[str, int]) -> tuple[list[list[Spot]], nx.DiGraph]:
    """Return the spots of each layer, and a graph of the joined spots of neighbouring layers."""
    layers: list[list[Spot]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    joined = nx.DiGraph()
    joined.add_nodes_from(graph.labels)
    for name in graph.labels:
        layers[layer_of[name]].append(name)
    for k, edge in enumerate(graph.edges):
        slots = [(k, layer) for layer in _between(edge, layer_of)]
        nx.add_path(joined, [edge.source, *slots, edge.target])
        for slot in slots:
            layers[slot[1]].append(slot)
    return layers, joined


def _between(edge: GraphEdge, layer_of: Mapping[str, int]) -> range:
    """Return the layers in which an edge has a slot, at least one."""
    return range(layer_of[edge.source] + 1, layer_of[edge.target])


def _order(layers: list[list[Spot]], joined: nx.DiGraph) -> None:
    """Sort each layer by the mean place of its neighbours, back and forth; keep the fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, joined)
    for sweep in range(_SWEEPS):
        step, near = (1, joined.pred) if sweep % 2 == 0 else (-1, joined.succ)
        for before, layer in pairwise(layers[::step]):
            # Counted from the middle.
            place = {spot: index - len(before) / 2 for index, spot in enumerate(before)}
            own = {spot: index - len(layer) / 2 for index, spot in enumerate(layer)}
            means = {s: fmean(place[a] for a in near[s]) if near[s] else own[s] for s in layer}
            layer.sort(key=means.__getitem__)
        crossings = _crossings(layers, joined)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: list[list[Spot]], joined: nx.DiGraph) -> int:
    total = 0
    for left, right in pairwise(layers):
        to = {spot: index for index, spot in enumerate(right)}
        above: list[int] = []  # where the lines from upper spots end, in order
        for spot in left:
            ends = [to[b] for b in joined.succ[spot]]
            total += sum(len(above) - bisect_right(above, end) for end in ends)
            above = sorted(above + ends)
    return total


def _heights(layers: list[list[Spot]], joined: nx.DiGraph) -> dict[Spot, float]:
    """Pull each spot towards its neighbours, in its order and a slot apart, so that lines run straight."""
    heights = {s: _SLOT * (i - (len(layer) - 1) / 2) for layer in layers for i, s in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            near = {spot: [heights[a] for a in nx.all_neighbors(joined, spot)] for spot in layer}
            wanted = [fmean(near[spot]) if near[spot] else heights[spot] for spot in layer]
            heights |= zip(layer, _apart(wanted), strict=True)
    top = min(heights.values(), default=0.0) - _SLOT / 2
    return {spot: y - top for spot, y in heights.items()}


def _apart(wanted: list[float]) -> list[float]:
    """Return heights at least a slot apart, in the given order and with the same mean."""
    placed: list[float] = []
    for y in wanted:
        placed.append(max(y, placed[-1] + _SLOT) if placed else y)
    shift = fmean(a - b for a, b in zip(wanted, placed, strict=True)) if placed else 0.0
    return [y + shift for y in placed]


def _width(label: str) -> float:
    return 20 + _LETTER * min(max(len(label), 2), _LONGEST)


def _columns(
    graph: Graph, layers: list[list[Spot]], layer_of: Mapping[str, int]
) -> tuple[list[tuple[float, float]], float]:
    """Return left and right end of each layer's column, and the total width."""
    shown, columns, x = graph.labels, [], 4.0
    for layer, spots in enumerate(layers):
        widths = [_width(shown[spot]) for spot in spots if isinstance(spot, str)]
        # The label is in the last slot, beside the node that receives the operation's output.
        ends = [graph.edges[spot[0]] for spot in spots if not isinstance(spot, str)]
        widths += [_width(e.label) - 8 for e in ends if layer_of[e.target] == layer + 1]
        gap = 26.0 if layer else 0.0
        columns.append((x + gap, x + gap + max(widths, default=0.0)))
        x = columns[-1][1]
    return columns, x + 4


def _route(
    graph: Graph,
    layer_of: Mapping[str, int],
    nodes: Mapping[str, tuple[float, float, float]],
    heights: Mapping[Spot, float],
    columns: list[tuple[float, float]],
) -> tuple[list[list[tuple[float, float]]], list[tuple[float, float]]]:
    """Return the path of each edge and the position of its label."""
    paths, labels = [], []
    last = [(k, _between(edge, layer_of)[-1]) for k, edge in enumerate(graph.edges)]
    into: dict[str, list[tuple[int, int]]] = {}
    for slot, edge in zip(last, graph.edges, strict=True):
        into.setdefault(edge.target, []).append(slot)
    arriving = {
        slot: (place, len(slots))
        for slots in into.values()
        for place, slot in enumerate(sorted(slots, key=heights.__getitem__))
    }
    for k, edge in enumerate(graph.edges):
        x, y, width = nodes[edge.source]
        path = [(x + width / 2, y)]
        for layer in _between(edge, layer_of):
            y = heights[k, layer]
            path += [(columns[layer][0], y), (columns[layer][1], y)]
        labels.append((sum(columns[last[k][1]]) / 2, y))
        x, y, width = nodes[edge.target]
        # Edges arrive apart, so that arrows do not cover each other.
        place, number = arriving[last[k]]
        step = min(8.0, 18.0 / number)
        path.append((x - width / 2, y + step * (place - (number - 1) / 2)))
        paths.append(path)
    return paths, labels
