"""Functions of torch between layers: of three tensors or more, that write into tensors, that need numbers."""

import random

import pytest
import torch
from conversions import check_children
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from asng import nn as snn


class Shift(nn.Module):
    """A scale and a shift, as in ResMLP."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(1, 16)), nn.Parameter(torch.zeros(1, 16))

    def forward(self, x):
        return torch.addcmul(self.shift, self.scale, x)


class Stacked(nn.Module):
    """Branches that meet in one function."""

    def __init__(self, meet):
        super().__init__()
        self.branches, self.meet = nn.ModuleList(nn.Linear(3, 16) for _ in range(3)), meet
        self.last = nn.Linear(16, 2)

    def forward(self, x):
        return self.last(self.meet([branch(x) for branch in self.branches]))


MEETINGS = {
    "stack": lambda parts: torch.stack(parts, -1).sum(-1),
    "cat": lambda parts: torch.cat(parts).unflatten(0, (3, -1)).sum(0),
    "where": lambda parts: torch.where(parts[0] > 0, parts[1], parts[2]),
    "lerp": lambda parts: torch.lerp(*parts),
    "block": lambda parts: torch.vstack(parts).unflatten(0, (3, -1)).sum(0),
}


@pytest.mark.parametrize("kind", MEETINGS)
def test_three_tensors_that_meet_share_a_width(kind):
    model, x = Stacked(MEETINGS[kind]).eval(), torch.randn(4, 3)
    supernet = snn.searchable(model, x)
    assert [list(group.widths) for group in supernet.conversion.groups] == [
        [f"branches.{i}" for i in range(3)]
    ]
    check_children(model, x, supernet)


def test_a_scale_and_a_shift_in_one_function_have_the_width_of_their_input():
    model, x = nn.Sequential(nn.Linear(3, 16), Shift(), nn.ReLU(), nn.Linear(16, 2)).eval(), torch.randn(4, 3)
    supernet = snn.searchable(model, x)
    assert [list(group.widths) for group in supernet.conversion.groups] == [["0", "1.scale[1]", "1.shift[1]"]]
    check_children(model, x, supernet)


class Routed(nn.Module):
    """Experts to each of which the data send some items."""

    def __init__(self, route):
        super().__init__()
        self.first, self.last, self.route = nn.Linear(4, 16), nn.Linear(16, 3), route
        self.gate = nn.Parameter(torch.randn(3, 16))
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 8 + 8 * i), nn.ReLU(), nn.Linear(8 + 8 * i, 16)) for i in range(3)
        )

    def forward(self, x):
        x = self.first(x)
        best, expert = nn.functional.linear(x, self.gate).softmax(-1).max(-1)
        return self.last(x + self.route(self.experts, x, expert) * best.unsqueeze(-1))


def _added(experts, x, expert):
    out = torch.zeros_like(x)
    for number, part in enumerate(experts):
        (rows,) = torch.where(expert == number)
        out.index_add_(0, rows, part(x[rows]))
    return out


def _written(experts, x, expert):
    out = torch.zeros_like(x)
    for number, part in enumerate(experts):
        out[expert == number] = part(x[expert == number])
    return out


def _copied(experts, x, expert):
    out = torch.zeros_like(x)
    for number, part in enumerate(experts):
        rows = (expert == number).nonzero(as_tuple=True)[0]
        out.index_copy_(0, rows, part(x[rows]))
    return out


def _sorted(experts, x, expert):
    order = expert.argsort(stable=True)
    counts = torch.bincount(expert, minlength=len(experts)).tolist()
    made = torch.cat([part(rows) for part, rows in zip(experts, x[order].split(counts), strict=True)])
    out = torch.empty_like(made)
    out[order] = made
    return out


@pytest.mark.parametrize("route", [_added, _written, _copied, _sorted])
def test_widths_around_routed_experts_are_searched(route):
    torch.manual_seed(0)
    model, x = Routed(route).eval(), torch.randn(64, 4)
    supernet = snn.searchable(model, x, depth=False)
    widths = {group.name: list(group.widths) for group in supernet.conversion.groups}
    own = {f"experts.{i}.0": [f"experts.{i}.0"] for i in range(3)}
    assert widths == {"first": ["first", "experts.0.2", "experts.1.2", "experts.2.2", "gate[1]"], **own}
    check_children(model, x, supernet)
    child = supernet.extract({"first": 8, "experts.0.0": 4, "experts.1.0": 8, "experts.2.0": 12}, example=x)
    assert child.gate.shape == (3, 8)
    assert [expert[0].weight.shape for expert in child.experts] == [(4, 8), (8, 8), (12, 8)]
    silent = Routed(route).eval()
    silent.load_state_dict(model.state_dict())
    with torch.no_grad():
        for reader in (silent.gate, silent.last.weight, *(part[0].weight for part in silent.experts)):
            reader[:, 8:] = 0.0
        for part, kept in zip(silent.experts, (4, 8, 12), strict=True):
            part[2].weight[:, kept:] = 0.0
        torch.testing.assert_close(child(x), silent(x))


class ByHand(nn.Module):
    """Products with matrices of a module that has several, for all items at once."""

    def __init__(self, product):
        super().__init__()
        self.first, self.last, self.product = nn.Linear(4, 16), nn.Linear(16, 3), product
        self.one, self.other = nn.Parameter(torch.randn(8, 16)), nn.Parameter(torch.randn(8, 16))

    def forward(self, x):
        x = self.first(x)
        keys = torch.softmax(self.product(x, self.one), -1) + self.product(x, self.other)
        return self.last(x) + keys.mean(-1, keepdim=True)


@pytest.mark.parametrize(
    "product", [nn.functional.linear, lambda x, w: x @ w.T, lambda x, w: torch.matmul(x, w.mT)]
)
def test_matrices_of_a_module_lose_the_columns_of_their_input(product):
    model, x = ByHand(product).eval(), torch.randn(2, 5, 4)
    supernet = snn.searchable(model, x)
    assert [list(group.widths) for group in supernet.conversion.groups] == [["first", "one[1]", "other[1]"]]
    check_children(model, x, supernet)


def test_a_norm_beside_a_block_may_go_with_it():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)
            self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16)) for _ in range(3)
            )

        def forward(self, x):
            x = self.first(x)
            for norm, block in zip(self.norms, self.blocks, strict=False):
                x = x + block(norm(x))
            return self.last(x)

    model, x = Net().eval(), torch.randn(5, 4)
    supernet = snn.searchable(model, x)
    assert [depth.name for depth in supernet.conversion.depths] == ["blocks.depth"]
    assert supernet.conversion.groups[0].name == "first"
    supernet.eval()
    for seed in range(5):
        architecture = supernet.space.sample(random.Random(seed))
        child = supernet.extract(architecture, example=x).eval()
        assert torch.equal(child(x), supernet(x, architecture=architecture))
        assert len(child.blocks) == architecture["blocks.depth"]


class Gated(nn.Module):
    """A class token, and layers of a single channel: a gate and the answer."""

    def __init__(self):
        super().__init__()
        self.first, self.gate, self.more = nn.Linear(4, 16), nn.Linear(16, 1), nn.Linear(16, 16)
        self.token, self.last = nn.Parameter(torch.randn(1, 1, 16)), nn.Linear(16, 1)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), self.first(x)], 1)
        return self.last(x + self.more(x) * self.gate(x).sigmoid())[:, 0]


def test_layers_of_a_single_channel_meet_any_width():
    model, x = Gated().eval(), torch.randn(3, 5, 4)
    supernet = snn.searchable(model, x)
    assert [list(group.widths) for group in supernet.conversion.groups] == [["first", "more", "token[2]"]]
    assert supernet.conversion.fixed == dict.fromkeys(("gate", "last"), "it makes a single channel")
    check_children(model, x, supernet)


def test_messages_to_some_nodes_of_a_graph_are_narrowed():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.message, self.update = nn.Linear(4, 16), nn.Linear(20, 3)

        def forward(self, x, edges):
            sent = self.message(x[edges[0]]).relu()
            got = x.new_zeros(len(x), sent.shape[1]).index_add(0, edges[1], sent)
            return self.update(torch.cat([x, got], -1))

    model, calls = Graph().eval(), (torch.randn(6, 4), torch.tensor([[0, 1, 2, 5], [1, 2, 1, 3]]))
    supernet = snn.searchable(model, calls)
    assert [group.name for group in supernet.conversion.groups] == ["message"]
    child = supernet.extract({"message": 8}, example=calls).eval()
    with torch.no_grad():
        model.update.weight[:, 12:] = 0.0
    torch.testing.assert_close(child(*calls), model(*calls))


REASONS = {
    "the model's own code reshapes it to a size of its own": lambda net, x: net.first(x).view(-1, 4).mean(1),
    "the model uses its weight without calling it": lambda net, x: x @ net.first.weight.T,
    "view is given a size of its own": lambda net, x: torch.cat([net.first(x), net.second(x)], 1).view(5, 40),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_width_that_stays_has_the_reason_of_its_own(reason):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = nn.Linear(3, 24), nn.Linear(3, 16), nn.Linear(3, 16)
            self.last = nn.Linear(16, 2)

        def forward(self, x):
            other = REASONS[reason](self, x)
            return self.last(self.third(x).relu()), other.view(len(other), -1).unflatten(-1, (-1, 1))

    conversion = snn.searchable(Net().eval(), torch.randn(5, 3)).conversion
    assert [group.name for group in conversion.groups] == ["third"]
    assert conversion.fixed["first"] == reason


class Headed(nn.Module):
    """As in timm: the number of heads stays, and torch scales by the size that each of them has."""

    def __init__(self, heads):
        super().__init__()
        self.heads, width = heads, 8 * heads
        self.patches, self.qkv = nn.Linear(3, width), nn.Linear(width, 3 * width)
        self.proj, self.head = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x):
        x = self.patches(x)
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        return self.head(x.mean(1))


@pytest.mark.parametrize("heads", [2, 5, 16])
def test_heads_that_torch_scales_by_their_size_lose_channels(heads):
    torch.manual_seed(0)
    model, x = Headed(heads).eval(), torch.randn(3, 5, 3)
    supernet = snn.searchable(model, x)
    (group,) = supernet.conversion.groups
    assert list(group.widths) == ["patches", "qkv", "proj"]
    check_children(model, x, supernet)
    units = group.units // 2
    child = supernet.extract({"patches": units}, example=x)
    with torch.no_grad():
        for path, kept in group.made(units).items():
            layer, gone = model.get_submodule(path), torch.ones(group.widths[path], dtype=torch.bool)
            gone[kept] = False
            layer.weight[gone], layer.bias[gone] = 0.0, 0.0
        model.qkv.weight[: 8 * heads] *= 2**0.5  # the queries: 4 channels of a head are left of 8
        model.qkv.bias[: 8 * heads] *= 2**0.5
        assert torch.allclose(child(x), model(x), atol=1e-6)


@pytest.mark.parametrize("items", [7, 8])
def test_a_number_of_items_is_not_taken_for_a_part_of_a_width(items):
    class Net(nn.Module):
        """The sizes that stand for the biases have a sum that 8 divides, and 7 does not."""

        def __init__(self):
            super().__init__()
            self.first, self.fused, self.last = nn.Linear(3, 8), nn.Linear(8, 24), nn.Linear(24, 2)
            self.biases = nn.ParameterList(torch.randn(8) for _ in range(3))
            self.one, self.other, self.end = nn.Linear(3, 16), nn.Linear(3, 16), nn.Linear(16, 2)

        def forward(self, x):
            x = torch.cat([x[:, :1], x], dim=1)
            y = linear(self.first(x), self.fused.weight, torch.cat(list(self.biases)))
            return self.last(y), self.end(self.one(x) + self.other(x))

    conversion = snn.searchable(Net().eval(), torch.randn(2, items - 1, 3)).conversion
    assert [list(group.widths) for group in conversion.groups] == [
        ["first", "fused.weight[1]"],
        ["one", "other"],
        ["fused.weight[0]", "biases.0[0]", "biases.1[0]", "biases.2[0]"],
    ]


def test_many_layers_without_functions_between_them_are_coupled():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other, self.last = nn.Linear(3, 8), nn.Linear(3, 8), nn.Linear(8, 2)
            self.many = nn.Sequential(*(nn.Conv1d(3, 3, 1) for _ in range(150)))

        def forward(self, x):
            x = self.many(x)
            return self.last(self.one(x) + self.other(x))

    found = snn.searchable(Net().eval(), torch.randn(2, 3, 3), only="o*", depth=False).conversion.groups
    assert [list(group.widths) for group in found] == [["one", "other"]]


class Pairs(nn.Module):
    """A factorisation machine: sums over channels are inner products."""

    def __init__(self, total):
        super().__init__()
        self.embed, self.first, self.last = nn.Embedding(20, 8), nn.Linear(24, 16), nn.Linear(16, 1)
        self.total = total

    def forward(self, ids):
        x = self.embed(ids)
        pairs = self.total(x.sum(1).square() - x.square().sum(1))
        return pairs + self.last(self.first(x.flatten(1)).relu())


class Scored(nn.Module):
    """Each head scores its channels by a vector, as graph attention does."""

    def __init__(self):
        super().__init__()
        self.first, self.scores = nn.Linear(6, 24), nn.Parameter(torch.randn(1, 3, 8))
        self.last = nn.Linear(24, 2)

    def forward(self, x):
        y = self.first(x).view(len(x), 3, -1)
        weights = (y * self.scores).sum(dim=-1, keepdim=True).softmax(0)
        return self.last((weights * y).flatten(1))


SUMMED = {
    "pairs": (lambda: Pairs(lambda x: x.sum(1, keepdim=True)), torch.randint(0, 20, (4, 3)), "embed"),
    "by name": (
        lambda: Pairs(lambda x: torch.sum(x, dim=(1,))[:, None]),
        torch.randint(0, 20, (4, 3)),
        "embed",
    ),
    "scored": (Scored, torch.randn(5, 6), "first"),
}


@pytest.mark.parametrize("name", SUMMED)
def test_a_sum_over_channels_is_over_those_that_are_left(name):
    torch.manual_seed(0)
    make, x, first = SUMMED[name]
    model = make().eval()
    supernet = snn.searchable(model, x)
    assert first in supernet.space
    check_children(model, x, supernet)


@pytest.mark.parametrize("total", [lambda x: x.mean(1, keepdim=True), lambda x: x.amax(1, keepdim=True)])
def test_a_mean_or_a_maximum_over_channels_mixes_them(total):
    torch.manual_seed(0)
    supernet = snn.searchable(Pairs(total).eval(), torch.randint(0, 20, (4, 3)))
    assert [*supernet.space] == ["first"]
    assert "mixes its channels" in supernet.conversion.fixed["embed"]


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("multiply", [torch.mm, torch.spmm, lambda edges, x: edges @ x, torch.sparse.mm])
@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
@pytest.mark.parametrize("of_layers", [True, False])
def test_a_product_with_sparse_edges_loses_nothing_of_them(multiply, make, of_layers):
    class Layers(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, x, edges):
            return multiply(edges, self.last(multiply(edges, self.first(x)).relu()))

    class Tensors(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Parameter(torch.randn(6, 16)), nn.Parameter(torch.randn(16, 3))

        def forward(self, x, edges):
            return multiply(edges, multiply(edges, x @ self.first).relu() @ self.last)

    torch.manual_seed(0)
    model, x = (
        (Layers() if of_layers else Tensors()).eval(),
        snn.Inputs((torch.randn(7, 6), make((torch.rand(7, 7) > 0.6).float()))),
    )
    supernet = snn.searchable(model, x)
    assert [*supernet.space] == ["first" if of_layers else "first[1]"]
    check_children(model, x, supernet)


def test_a_sum_may_be_given_its_input_by_name():
    torch.manual_seed(0)
    supernet = snn.searchable(
        Pairs(lambda x: torch.sum(input=x, dim=1)[:, None]), torch.randint(0, 20, (4, 3))
    )
    assert "first" in supernet.space
