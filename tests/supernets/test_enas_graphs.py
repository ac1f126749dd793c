import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng import Space
from asng.errors import InputError
from asng.supernets import cell_graphs
from asng.supernets.enas.wiring import node_variables


def _space(nodes, kinds=("normal", "reduction")):
    variables = [v for kind in kinds for i in range(nodes) for v in node_variables(kind, i + 1).values()]
    return Space({variable.label: variable for variable in variables})


@given(seed=st.integers(0, 10**6), nodes=st.integers(1, 6))
def test_graphs_are_json_and_every_node_leads_to_the_output(seed, nodes):
    graphs = cell_graphs(_space(nodes).sample(Random(seed)), nodes)
    assert json.loads(json.dumps(graphs)) == graphs
    assert [graph["title"] for graph in graphs] == ["normal cell", "reduction cell"]
    for graph in graphs:
        ids = {node["id"] for node in graph["nodes"]}
        assert ids == {end for edge in graph["edges"] for end in (edge["from"], edge["to"])}
        assert all(sum(e["from"] == f"node{i}" for e in graph["edges"]) >= 1 for i in range(1, nodes + 1))
        assert all(sum(e["to"] == f"node{i}" for e in graph["edges"]) == 2 for i in range(1, nodes + 1))


def test_only_unused_nodes_lead_to_the_output():
    a = dict(_space(2, ["normal"]).sample(Random(0)))
    a |= {"normal.node2.input1": "node1", "normal.node2.input2": "cell-1"}
    (graph,) = cell_graphs(a, 2)
    assert [e for e in graph["edges"] if e["to"] == "output"] == [
        {"from": "node2", "to": "output", "label": ""}
    ]


def test_edges_carry_the_operations():
    a = dict(_space(1, ["reduction"]).sample(Random(0)))
    a |= {"reduction.node1.input1": "cell-2", "reduction.node1.op1": "sep_conv_5x5"}
    (graph,) = cell_graphs(a, 1)
    assert graph["title"] == "reduction cell"
    assert graph["edges"][0] == {"from": "cell-2", "to": "node1", "label": "sep_conv_5x5"}
    assert graph["nodes"][0] == {"id": "cell-2", "label": "cell t-2"}


@pytest.mark.parametrize("nodes", [1, 3])
def test_wrong_number_of_nodes_is_an_error(nodes):
    with pytest.raises(InputError, match=rf"nodes: expected the nodes of the .*normal cell, got {nodes}"):
        cell_graphs(_space(2).sample(Random(0)), nodes)


def test_architecture_of_another_network_is_an_error():
    with pytest.raises(InputError, match=r"architecture: expected variables such as 'normal.node1.input1'"):
        cell_graphs({"op": "skip"}, 2)
