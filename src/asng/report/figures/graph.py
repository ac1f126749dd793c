"""Found cells drawn as graphs, operations on the edges."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from asng.report.figures.layers import lay_out
from asng.report.figures.svg import FAINT, INK, clean, draw
from asng.runs.graphs import Graph

__all__ = ["draw_graph", "colours_of"]

# Okabe and Ito, the yellow darkened to be read as text on white.
_COLOURS = ("#0072b2", "#d55e00", "#00795a", "#a8477f", "#8a6d00", "#2f86b8", "#5b5b5b")
_LONGEST = 22
_NODE_HEIGHT = 22


def colours_of(graphs: Sequence[Graph]) -> dict[str, str]:
    """Give every operation one colour in all graphs of a page, in the order of names."""
    names = sorted({edge.label for graph in graphs for edge in graph.edges if edge.label})
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}


def draw_graph(graph: Graph, colours: Mapping[str, str], *, key: str) -> str:
    """Draw a graph from left to right as an SVG element.

    Args:
        graph: At least one node, no cycle; parallel edges part.
        colours: Label of an edge to colour.
        key: Prefix of ids.

    Raises:
        RunError: The graph has a cycle.
    """
    layout = lay_out(graph, _LONGEST)
    width, height = layout.size

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
            _node(axes, x, y, wide, clean(graph.nodes[name], _LONGEST))

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
