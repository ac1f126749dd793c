from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng.errors import RunError
from asng.report.figures.graph import lay_out
from asng.runs.results import Graph, GraphEdge, GraphNode


@st.composite
def graphs(draw):
    """Graphs without cycles: edges lead from smaller to greater names; parallel ones are common."""
    n = draw(st.integers(1, 8))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1])
    joined = draw(st.lists(pairs, max_size=14)) if n > 1 else []
    names = st.sampled_from(["", "conv", "separable convolution 5x5", "skip"])
    edges = tuple(GraphEdge(str(a), str(b), draw(names)) for a, b in joined)
    nodes = tuple(GraphNode(str(k), draw(st.sampled_from(["x", "a long label"]))) for k in range(n))
    return Graph("any", nodes, edges)


def boxes(graph, layout):
    """Return the rectangles of nodes and labels: left, right, top, bottom."""
    found = [(x - w / 2, x + w / 2, y - 11, y + 11) for x, y, w in layout.nodes.values()]
    for edge, (x, y) in zip(graph.edges, layout.labels, strict=True):
        half = 3.3 * min(len(edge.label), 22)
        found.append((x - half, x + half, y - 8, y + 8))
    return found


@given(graphs())
def test_no_node_and_no_label_covers_another(graph):
    layout = lay_out(graph)
    for (l1, r1, t1, b1), (l2, r2, t2, b2) in combinations(boxes(graph, layout), 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1


@given(graphs())
def test_all_is_inside_and_every_edge_runs_to_the_right(graph):
    layout = lay_out(graph)
    width, height = layout.size
    for left, right, top, bottom in boxes(graph, layout):
        assert left >= 0
        assert right <= width
        assert top >= 0
        assert bottom <= height
    for edge, path in zip(graph.edges, layout.paths, strict=True):
        xs = [x for x, _ in path]
        assert xs == sorted(xs)
        assert xs[0] >= layout.nodes[edge.source][0]
        assert xs[-1] <= layout.nodes[edge.target][0]


@given(graphs())
def test_a_long_edge_runs_round_the_nodes_it_passes(graph):
    layout = lay_out(graph)
    for edge, path in zip(graph.edges, layout.paths, strict=True):
        passed = [node for name, node in layout.nodes.items() if name not in (edge.source, edge.target)]
        for x, y in path[1:-1]:
            assert not any(abs(x - nx) < w / 2 and abs(y - ny) < 11 for nx, ny, w in passed)


def test_parallel_edges_have_lines_and_labels_of_their_own():
    graph = Graph(
        "twice", (GraphNode("a"), GraphNode("b")), (GraphEdge("a", "b", "conv"), GraphEdge("a", "b", "skip"))
    )
    layout = lay_out(graph)
    assert abs(layout.labels[0][1] - layout.labels[1][1]) >= 20
    assert layout.paths[0][1:] != layout.paths[1][1:]


def test_an_order_without_crossings_is_found():
    nodes = tuple(map(GraphNode, "abcxyz"))
    graph = Graph("crossed", nodes, tuple(GraphEdge(*pair, "") for pair in ("az", "by", "cx")))
    layout = lay_out(graph)
    rows = {name: layout.nodes[name][1] for name in "abcxyz"}
    assert [rows["a"], rows["b"], rows["c"]] == pytest.approx([rows["z"], rows["y"], rows["x"]])


def test_a_cycle_is_an_error():
    graph = Graph(
        "round", (GraphNode("a"), GraphNode("b")), (GraphEdge("a", "b", ""), GraphEdge("b", "a", ""))
    )
    with pytest.raises(RunError, match="graph 'round': expected a graph without cycles"):
        lay_out(graph)
