"""Widths that tensors of a model make, and no layer of torch: they are searched as those of layers are."""

import copy

import pytest
import torch
from conversions import check_children, outputs
from torch import nn
from torch.nn import functional

from asng import nn as snn
from asng.compression.stored import widths_of
from asng.errors import InputError
from asng.nn.inputs import Inputs, tensors_of


def weight(*shape):
    return nn.Parameter(torch.randn(shape) / shape[-2] ** 0.5 if len(shape) > 1 else torch.randn(shape))


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.b1, self.w2 = weight(8, 16), weight(16), weight(16, 3)

    def forward(self, x):
        return (x @ self.w1 + self.b1).relu() @ self.w2


class BeforeALayer(nn.Module):
    """One tensor alone makes what a layer reads."""

    def __init__(self):
        super().__init__()
        self.up, self.last = weight(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.last((x @ self.up).relu())


class BehindALayer(nn.Module):
    """A layer makes what a tensor reads."""

    def __init__(self):
        super().__init__()
        self.first, self.up, self.last = nn.Linear(8, 16), weight(16, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.last((self.first(x).relu() @ self.up).relu())


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.ParameterList([weight(8, 16), weight(16, 12), weight(12, 3)])
        self.b = nn.ParameterDict({"one": weight(16), "two": weight(12)})

    def forward(self, x):
        x = (x @ self.w[0] + self.b["one"]).relu()
        return (x @ self.w[1] + self.b["two"]).relu() @ self.w[2]


class Convolved(nn.Module):
    """As large as the kernel is the number of colours."""

    def __init__(self):
        super().__init__()
        self.one, self.two = weight(16, 3, 3, 3), weight(12, 16, 3, 3)
        self.last = nn.Linear(12, 2)

    def forward(self, x):
        x = functional.conv2d(x, self.one, padding=1).relu()
        return self.last(functional.conv2d(x, self.two).mean((2, 3)))


class Experts(nn.Module):
    """A stack of gated units, whose gates lie between their values or behind them."""

    def __init__(self, *, between, number=4, hidden_size=24, inner=16):
        super().__init__()
        self.between, self.num_experts, self.hidden_size = between, number, hidden_size
        self.gate_up, self.gate_up_bias = weight(number, hidden_size, 2 * inner), weight(number, 2 * inner)
        self.down = weight(number, inner, hidden_size)

    def forward(self, x, shares):
        x = x.repeat(self.num_experts, 1).view(self.num_experts, -1, self.hidden_size)
        y = torch.bmm(x, self.gate_up) + self.gate_up_bias[:, None]
        gate, up = (y[..., ::2], y[..., 1::2]) if self.between else y.chunk(2, dim=-1)
        return (torch.bmm(up * functional.silu(gate), self.down) * shares.T[..., None]).sum(0)


class Sorted(Experts):
    """Each row meets the matrix of its expert alone."""

    def __init__(self):
        super().__init__(between=False, hidden_size=32, inner=24)

    def forward(self, x, shares):
        rows, chosen = shares.nonzero(as_tuple=True)
        order = chosen.argsort(stable=True)
        rows, chosen = rows[order], chosen[order]
        ends = torch.bincount(chosen, minlength=self.num_experts).cumsum(0, dtype=torch.int32)
        gate, up = functional.grouped_mm(x[rows], self.gate_up, offs=ends).chunk(2, dim=-1)
        y = functional.grouped_mm(up * functional.silu(gate), self.down, offs=ends)
        return torch.zeros_like(x).index_add_(0, rows, y * shares[rows, chosen][:, None])


class Routed(nn.Module):
    def __init__(self, experts, width=24):
        super().__init__()
        self.first, self.router = nn.Linear(8, width), nn.Linear(width, 4)
        self.experts, self.last = experts, nn.Linear(width, 3)

    def forward(self, x):
        x = self.first(x)
        scores = self.router(x)
        values, best = scores.topk(2, dim=-1)
        shares = torch.zeros_like(scores).scatter_(1, best, values.softmax(-1))
        return self.last(x + self.experts(x, shares))


class Splines(nn.Module):
    """A layer of a Kolmogorov-Arnold network, which checks the size of its input."""

    def __init__(self, in_features, out_features, number=6):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("grid", torch.linspace(-1, 1, number).expand(in_features, -1).contiguous())
        self.base, self.splines = weight(out_features, in_features), weight(out_features, in_features, number)
        self.scales = weight(out_features, in_features)

    def forward(self, x):
        assert x.size(-1) == self.in_features
        bases = torch.exp(-((x[..., None] - self.grid) ** 2)).view(x.size(0), -1)
        splines = (self.splines * self.scales[..., None]).view(self.out_features, -1)
        return functional.linear(functional.silu(x), self.base) + functional.linear(bases, splines)


class Polynomials(nn.Module):
    def __init__(self, inputdim, outdim, degree=4):
        super().__init__()
        self.inputdim, self.outdim, self.degree = inputdim, outdim, degree
        self.factors = weight(inputdim, outdim, degree)

    def forward(self, x):
        x = x.tanh().view(-1, self.inputdim, 1).expand(-1, -1, self.degree)
        x = (x.acos() * torch.arange(1, self.degree + 1)).cos()
        return torch.einsum("bid,iod->bo", x, self.factors).view(-1, self.outdim)


class Propagation(nn.Module):
    def __init__(self, given, made):
        super().__init__()
        self.weight, self.bias = weight(given, made), weight(made)

    def forward(self, x, edges):
        return torch.mm(edges, torch.mm(x, self.weight)) + self.bias


class Attending(nn.Module):
    """One vector holds the weights of both ends of an edge."""

    def __init__(self, given, made):
        super().__init__()
        self.weight, self.ends = weight(given, made), weight(2 * made, 1)

    def forward(self, x, edges):
        x = x @ self.weight
        one, other = x @ self.ends[: x.shape[1]], x @ self.ends[x.shape[1] :]
        scores = functional.leaky_relu(one + other.T).masked_fill(edges < 0.3, -1e9)
        return functional.elu(scores.softmax(dim=1) @ x)


class Graph(nn.Module):
    def __init__(self, kind, heads):
        super().__init__()
        self.heads = nn.ModuleList([kind(6, 8) for _ in range(heads)])
        self.last = kind(8 * heads, 3)

    def forward(self, x, edges):
        return self.last(torch.cat([head(x, edges) for head in self.heads], dim=1), edges)


class Memory(nn.Module):
    """A long short-term memory of tensors, whose first state is as wide as a number that it stores."""

    def __init__(self, hidden_size=12):
        super().__init__()
        self.hidden_size = hidden_size
        self.given, self.kept, self.bias = weight(4, 48), weight(12, 48), weight(48)
        self.last = nn.Linear(hidden_size, 2)

    def forward(self, x):
        n = self.hidden_size
        state = cell = torch.zeros(len(x), n)
        for step in x.unbind(1):
            y = step @ self.given + state @ self.kept + self.bias
            i, f, o = (y[:, k * n : (k + 1) * n].sigmoid() for k in range(3))
            cell = f * cell + i * y[:, 3 * n :].tanh()
            state = o * cell.tanh()
        return self.last(state)


class Radial(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres, self.scales, self.last = weight(16, 8), weight(16), weight(16, 3)

    def forward(self, x):
        return torch.exp(-self.scales.abs() * torch.cdist(x, self.centres) ** 2) @ self.last


def outputs_with_gradients(function, *args, **kwargs):
    return list(tensors_of(function(*args, **kwargs)))


GRAPH = (torch.randn(7, 6), torch.rand(7, 7))
MODELS = {
    "by hand": (ByHand, torch.randn(4, 8), ["w1[1]"]),
    "before a layer": (BeforeALayer, torch.randn(4, 8), ["up[1]"]),
    "listed": (Listed, torch.randn(4, 8), ["w.0[1]", "w.1[1]"]),
    "convolved": (Convolved, torch.randn(2, 3, 6, 6), ["one[0]", "two[0]"]),
    "gates between": (
        lambda: Routed(Experts(between=True)),
        torch.randn(6, 8),
        ["first", "experts.gate_up[2]"],
    ),
    "gates behind": (
        lambda: Routed(Experts(between=False)),
        torch.randn(6, 8),
        ["first", "experts.gate_up[2]"],
    ),
    "splines": (
        lambda: nn.Sequential(Splines(8, 16), Splines(16, 16), Splines(16, 3)),
        torch.randn(7, 8),
        # The numbers of bases are widths too.
        ["0.base[0]", "0.splines[2]", "1.base[0]", "1.splines[2]", "2.splines[2]"],
    ),
    "polynomials": (
        lambda: nn.Sequential(Polynomials(8, 16), nn.LayerNorm(16), Polynomials(16, 3)),
        torch.randn(7, 8),
        ["0.factors[1]"],
    ),
    "graph": (lambda: Graph(Propagation, 1), GRAPH, ["heads.0.weight[1]"]),
    "graph, attending": (lambda: Graph(Attending, 3), GRAPH, ["heads.0.weight[1]"]),
    "memory": (Memory, torch.randn(2, 5, 4), ["given[1]"]),
    "radial": (Radial, torch.randn(4, 8), ["centres[0]"]),
}
if hasattr(functional, "grouped_mm"):  # of torch 2.10
    MODELS["sorted"] = (lambda: Routed(Sorted(), 32), torch.randn(6, 8), ["first", "experts.gate_up[2]"])
every_model = pytest.mark.parametrize("name", MODELS)


def converted(name, **options):
    make, x, _ = MODELS[name]
    torch.manual_seed(0)
    model, x = make().eval(), Inputs(x) if isinstance(x, tuple) else Inputs((x,))
    return model, x, snn.searchable(model, x, depth=False, **options)


@every_model
def test_a_width_that_tensors_make_is_searched(name):
    model, x, supernet = converted(name)
    assert [group.name for group in supernet.conversion.groups] == MODELS[name][-1]
    check_children(model, x, supernet)


WITHOUT_NORMS = [name for name in MODELS if name != "polynomials"]
"""A norm counts channels that are nought."""


@pytest.mark.parametrize("name", WITHOUT_NORMS)
def test_a_child_is_the_whole_network_with_nought_in_place_of_what_is_lost(name):
    model, x, supernet = converted(name)
    for group in supernet.conversion.groups:
        for units in range(group.least, group.units):
            whole = copy.deepcopy(model)
            for path, kept in group.made(units).items():
                if path in group.numbers:
                    continue
                gone = [i for i in range(group.widths[path]) if i not in kept]
                tensor, _, dim = path.rstrip("]").partition("[")
                owner, _, last = tensor.rpartition(".")
                if dim:
                    tensors = [(getattr(whole.get_submodule(owner), last), int(dim))]
                else:
                    tensors = [(parameter, 0) for parameter in whole.get_submodule(path).parameters()]
                for part, dim in tensors:
                    part.detach().index_fill_(dim, torch.tensor(gone), 0.0)
            full = {key: variable.high for key, variable in supernet.space.items()}
            full[group.name] = units * group.step if group.is_counted_in_channels else units
            child = supernet.extract(full, example=x).eval()
            torch.testing.assert_close(outputs(child, *x), outputs(whole, *x), atol=1e-5, rtol=1e-5)


def test_a_batch_as_large_as_a_width_is_not_taken_for_it():
    """The code that checks a size has a tensor whose first side is as large, and whose last is meant."""
    torch.manual_seed(0)
    make, _, names = MODELS["splines"]
    supernet = snn.searchable(make().eval(), torch.randn(16, 8), depth=False)
    assert [group.name for group in supernet.conversion.groups] == names


@every_model
def test_gradients_reach_what_is_there_and_nothing_else(name):
    _, x, supernet = converted(name)
    least = {key: variable.low for key, variable in supernet.space.items()}
    child = supernet.extract(least, example=x)
    sum(output.square().sum() for output in outputs_with_gradients(child, *x)).backward()
    sum(
        output.square().sum() for output in outputs_with_gradients(supernet, *x, architecture=least)
    ).backward()
    ours = {name: p.grad for name, p in supernet.model.named_parameters() if p.grad is not None}
    theirs = {name: p.grad for name, p in child.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    for key, grad in theirs.items():
        assert torch.equal(ours[key][ours[key] != 0.0].sort().values, grad[grad != 0.0].sort().values)


@pytest.mark.parametrize("kind", ["outputs", "activation", "magnitude", "taylor"])
def test_a_narrow_child_keeps_the_channels_of_tensors_that_matter(kind):
    torch.manual_seed(0)
    model, batches = ByHand(), [torch.randn(16, 8) for _ in range(2)]
    gone = torch.tensor([0, 2, 3, 6, 8, 9, 12, 15])
    with torch.no_grad():
        model.w1[:, gone], model.b1[gone], model.w2[gone] = 0.0, 0.0, 0.0
    loss = (lambda forward, x: forward(x).square().mean()) if kind == "taylor" else None
    order = snn.Importance(kind, batches=batches, loss=loss)
    supernet = snn.searchable(model, batches[0], order=order)
    child = supernet.extract({"w1[1]": 8}, example=batches[0])
    torch.testing.assert_close(child(batches[0]), model(batches[0]))
    assert torch.equal(child.w2, model.w2[~torch.isin(torch.arange(16), gone)])


def test_a_function_that_orders_layers_leaves_channels_of_tensors_as_they_are():
    torch.manual_seed(0)
    model, x = BehindALayer(), torch.randn(4, 8)
    supernet = snn.searchable(model, x, order=lambda path, layer: layer.weight.abs().sum(1))
    child = supernet.extract({"first": 8, "up[1]": 8}, example=x)
    assert torch.equal(child.up, model.up[supernet.conversion.groups[0].made(4)["first"]][:, :8])


def test_the_name_of_a_tensor_is_a_pattern():
    x = torch.randn(4, 8)
    assert [*snn.searchable(Listed(), x, only="w.1[1]").space] == ["w.1[1]"]
    supernet = snn.searchable(Listed(), x, skip="w.1[1]", step={"w.0[1]": 4}, least={"w.0[1]": 0.5})
    assert [(v.low, v.high) for v in supernet.space.values()] == [(8, 16)]


def test_a_stack_too_large_for_shapes_of_its_own_leaves_the_layers_searched():
    """The three sides of such a tensor, each times a prime, are more numbers than torch can count."""
    torch.manual_seed(0)
    model = Routed(Experts(between=False, hidden_size=512, inner=1024), 512)
    supernet = snn.searchable(model.eval(), torch.randn(6, 8))
    assert [*supernet.space] == ["first"]


def test_what_the_model_mixes_itself_stays():
    """A softmax over keys changes if some of them go."""

    class Keys(ByHand):
        def forward(self, x):
            return (x @ self.w1).softmax(-1) @ self.w2

    with pytest.raises(InputError, match=r"got none in Keys\. w1\[0\]: .*; w1\[1\]: .*; It: Keys is not cut"):
        snn.searchable(Keys(), torch.randn(4, 8))


def test_the_widths_of_a_child_include_those_of_its_tensors():
    model, x, supernet = converted("by hand")
    child = supernet.extract({"w1[1]": 6}, example=x)
    assert widths_of(model, child) == {"w1[1]": (6, 16), "b1[0]": (6, 16), "w2[0]": (6, 16)}
    assert widths_of(model, model) == {}
