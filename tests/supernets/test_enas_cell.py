from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from asng import Categorical
from asng.errors import InputError
from asng.nn import Supernet
from asng.supernets import EnasCellNetwork
from asng.supernets.enas.wiring import OPERATIONS


def _supernet(**changes):
    torch.manual_seed(0)
    settings = {"in_channels": 1, "classes": 10, "image_size": 14, "cells": 3, "nodes": 3, "channels": 4}
    return Supernet(EnasCellNetwork(**(settings | changes))).eval()


def _architecture(supernet, *, kind="normal", source=None, operation=None, seed=0):
    """A random architecture whose cells of one kind all read `source` by `operation`, where given."""
    a = dict(supernet.space.sample(Random(seed)))
    for name in a:
        if name.startswith(kind):
            chosen = source if ".input" in name else operation
            a[name] = a[name] if chosen is None else chosen
    return a


def _x(side=14, channels=1, batch=3):
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_space_of_the_paper_has_40_variables_and_n_theta_140():
    space = _supernet(in_channels=3, image_size=32, cells=8, nodes=5, channels=2).space
    assert len(space) == 40
    assert sum(len(variable.choices) - 1 for variable in space.values()) == 140
    assert space["normal.node3.input2"] == Categorical(["cell-2", "cell-1", "node1", "node2"])
    assert space["reduction.node5.op1"] == Categorical(OPERATIONS)


def _supernet_parameters(cells, nodes, channels):
    """Count by hand, layer by layer, from the paper's description; batch norms of the search have none."""
    count, width = 3 * 3 * 3 * 3 * channels + 2 * 3 * channels, channels
    older = newer = 3 * channels
    for index in range(cells):
        reducing = index in (cells // 3, 2 * cells // 3)
        width *= 2 if reducing else 1
        edges = sum(2 + earlier for earlier in range(nodes))
        separable = sum(2 * (k * k * width + width * width) for k in (3, 5))
        count += (older + newer) * width  # the two 1 x 1 convolutions, or the factorised reduction
        count += edges * separable + (2 * nodes * width * width if reducing else 0)
        count += nodes * width * width  # over the unused nodes
        older, newer = newer, width
    return count + width * 10 + 10


def test_supernet_of_the_paper_has_the_parameters_counted_by_hand():
    network = EnasCellNetwork(in_channels=3, classes=10, image_size=32, cells=8, nodes=5, channels=16)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == _supernet_parameters(cells=8, nodes=5, channels=16) == 1_863_162


def test_names_come_node_by_node_and_normal_cells_first():
    names = list(_supernet(nodes=1).space)
    assert names == [
        f"{kind}.node1.{slot}"
        for kind in ("normal", "reduction")
        for slot in ("input1", "op1", "input2", "op2")
    ]


@pytest.mark.parametrize(
    ("cells", "reductions", "kinds"),
    [
        (1, None, {"normal"}),
        (2, None, {"normal"}),
        (3, None, {"normal", "reduction"}),
        (3, [], {"normal"}),
        (2, [0, 1], {"reduction"}),
        (1, [0], {"reduction"}),
    ],
)
def test_cells_that_do_not_occur_have_no_variables(cells, reductions, kinds):
    supernet = _supernet(cells=cells, reductions=reductions)
    assert {name.partition(".")[0] for name in supernet.space} == kinds
    assert supernet(_x(), architecture=_architecture(supernet)).shape == (3, 10)


@pytest.mark.parametrize(("cells", "indices"), [(3, [1, 2]), (6, [2, 4]), (8, [2, 5])])
def test_reductions_are_after_a_third_and_two_thirds(cells, indices):
    model = _supernet(cells=cells).model
    kinds = [cell.conv.kind for cell in model.cells]
    assert [i for i, kind in enumerate(kinds) if kind == "reduction"] == indices
    assert [cell.conv.channels for cell in model.cells][-1] == 16


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), nodes=st.integers(1, 4), cells=st.integers(1, 5), retraining=st.booleans())
def test_child_computes_what_the_supernet_computes(seed, nodes, cells, retraining):
    supernet = _supernet(nodes=nodes, cells=cells, retraining=retraining)
    a = supernet.space.sample(Random(seed))
    child = supernet.extract(a)
    assert torch.equal(child(_x()), supernet(_x(), architecture=a))


@settings(max_examples=4)
@given(seed=st.integers(0, 10**6))
def test_child_holds_the_weights_that_get_a_gradient_and_no_other(seed):
    supernet = _supernet(cells=4)
    a = supernet.space.sample(Random(seed))
    supernet(_x(), architecture=a).sum().backward()
    child = supernet.extract(a)
    child(_x()).sum().backward()
    assert all(p.grad is not None for p in child.parameters())
    kept = dict(child.named_parameters())
    for name, parameter in supernet.model.named_parameters():
        assert (parameter.grad is not None) == (name in kept), name
    for name, parameter in kept.items():
        if not name.endswith("conv.weight"):
            assert torch.equal(parameter.grad, supernet.model.get_parameter(name).grad), name


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_child_is_exact_in_both_layouts(layout):
    supernet = _supernet().to(memory_format=layout)
    x = _x().contiguous(memory_format=layout)
    for seed in range(5):
        a = supernet.space.sample(Random(seed))
        assert torch.equal(supernet.extract(a)(x), supernet(x, architecture=a))


def test_child_is_one_graph_of_torch_modules():
    supernet = _supernet()
    child = supernet.extract(_architecture(supernet))
    assert isinstance(child, fx.GraphModule)
    assert {type(m).__module__.partition(".")[0] for m in child.modules()} == {"torch"}
    assert isinstance(child.get_submodule("cells.2.conv"), nn.Conv2d)


def test_child_is_independent_of_the_supernet():
    supernet = _supernet(channels=2)
    before = {name: t.clone() for name, t in supernet.state_dict().items()}
    for seed in range(5):
        with torch.no_grad():
            for parameter in supernet.extract(_architecture(supernet, seed=seed)).parameters():
                parameter.add_(1)
    assert all(torch.equal(t, before[name]) for name, t in supernet.state_dict().items())


def test_retraining_gives_a_fresh_child_with_running_statistics():
    supernet = _supernet(retraining=True).train()
    child = supernet.extract(_architecture(supernet))
    norms = [m for m in child.modules() if isinstance(m, nn.BatchNorm2d)]
    child(_x())
    assert all(norm.affine and norm.num_batches_tracked == 1 for norm in norms)


@pytest.mark.parametrize("side", [7, 14, 28, 32, (14, 9)])
def test_every_image_size_passes_every_operation(side):
    supernet = _supernet(image_size=side, cells=4, nodes=2)
    height, width = side if isinstance(side, tuple) else (side, side)
    for seed in range(8):
        a = supernet.space.sample(Random(seed))
        assert supernet(torch.ones(2, 1, height, width), architecture=a).shape == (2, 10)


def test_cell_that_nothing_reads_is_not_run():
    supernet = _supernet(cells=6)
    ran = []
    for index, cell in enumerate(supernet.model.cells):
        cell.register_forward_hook(lambda *_, index=index: ran.append(index))
    # All read the cell before the previous one: every second cell lies off the path.
    a = _architecture(supernet, source="cell-2") | _reading(supernet, "reduction", "cell-2")
    supernet(_x(), architecture=a)
    assert ran == [1, 3, 5]


def _reading(supernet, kind, source):
    return {n: source for n in supernet.space if n.startswith(kind) and ".input" in n}


def test_cell_input_that_no_node_reads_is_not_computed():
    supernet = _supernet(cells=1)
    child = supernet.extract(_architecture(supernet, source="cell-1"))
    assert not any(name.startswith("cells.0.older") for name in child.state_dict())


def test_same_edge_twice_is_run_once_and_counted_twice():
    supernet = _supernet(cells=1, nodes=1)
    node = supernet.model.cells[0].nodes[0]
    ran = []
    node.edges["cell-1"]["avg_pool_3x3"].register_forward_hook(lambda _, x, y: ran.append(y))
    node.register_forward_hook(lambda _, x, y: ran.append(y))
    supernet(_x(), architecture=_architecture(supernet, source="cell-1", operation="avg_pool_3x3"))
    assert len(ran) == 2
    assert torch.equal(ran[1], 2 * ran[0])


def test_cell_is_the_sum_and_the_join_written_out():
    supernet = _supernet(cells=1, nodes=3, channels=4)
    cell = supernet.model.cells[0]
    a = {f"normal.node{i}.op{j}": op for i, j, op in _EDGES} | {
        f"normal.node{i}.input{j}": source for (i, j), source in _SOURCES.items()
    }
    stem = supernet.model.stem(_x())
    h = {"cell-2": cell.older(stem), "cell-1": cell.newer(stem)}
    for i in (1, 2, 3):
        parts = [
            cell.nodes[i - 1].edges[_SOURCES[i, j]][a[f"normal.node{i}.op{j}"]](h[_SOURCES[i, j]])
            for j in (1, 2)
        ]
        h[f"node{i}"] = parts[0] + parts[1]
    # Nodes 1 and 3 are unused: blocks 0 and 2 of the weight, which are no contiguous slice.
    weight = torch.cat([cell.conv.weight[:, 0:4], cell.conv.weight[:, 8:12]], dim=1)
    joined = torch.relu(torch.cat([h["node1"], h["node3"]], dim=1))
    features = cell.norm(torch.nn.functional.conv2d(joined, weight)).mean((2, 3))
    assert torch.equal(supernet(_x(), architecture=a), supernet.model.head(features))


_SOURCES = {
    (1, 1): "cell-2",
    (1, 2): "cell-1",
    (2, 1): "cell-1",
    (2, 2): "cell-1",
    (3, 1): "node2",
    (3, 2): "cell-2",
}
_EDGES = [
    (1, 1, "identity"),
    (1, 2, "sep_conv_3x3"),
    (2, 1, "max_pool_3x3"),
    (2, 2, "sep_conv_5x5"),
    (3, 1, "avg_pool_3x3"),
    (3, 2, "sep_conv_3x3"),
]


def test_every_variable_of_a_run_cell_is_active():
    supernet = _supernet()
    supernet(_x(), architecture=_architecture(supernet, kind="reduction", source="cell-1"))
    assert supernet.active == set(supernet.space)


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        (2, {}, r"sides of at least 3, which 2 reduction cells can halve, got 2\. Give larger"),
        ((9, 2), {}, r"sides of at least 3, .* got 2"),
        (1, {"cells": 1, "reductions": [0]}, r"sides of at least 2, which 1 reduction cells .* got 1"),
        (0, {"cells": 1}, r"an integer >= 1, got 0"),
    ],
)
def test_image_too_small_for_the_reductions_is_an_error(size, arguments, message):
    with pytest.raises(InputError, match=f"image_size: expected {message}"):
        _supernet(image_size=size, **arguments)


def test_smallest_image_passes():
    supernet = _supernet(image_size=3)
    assert supernet(_x(3), architecture=_architecture(supernet)).shape == (3, 10)


@pytest.mark.parametrize("name", ["in_channels", "classes", "cells", "nodes", "channels", "stem_multiplier"])
def test_numbers_below_one_are_errors(name):
    with pytest.raises(InputError, match=rf"{name}: expected an integer >= 1, got 0"):
        _supernet(**{name: 0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reductions": [3]}, r"reductions: expected indices of the 3 cells, in \[0, 2\], got 3"),
        ({"reductions": [-1]}, r"reductions: expected an integer >= 0, got -1"),
        ({"image_size": (1, 2, 3)}, r"image_size: expected one side, or height and width, got \(1, 2, 3\)"),
    ],
)
def test_other_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        _supernet(**arguments)
