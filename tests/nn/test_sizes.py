"""Sizes tied by arithmetic, twins made from layers, twins of other libraries' layers, values of tables."""

import numpy as np
import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError, SpaceError
from asng.nn import Supernet
from asng.nn.layers import leading, shell
from asng.space import Architecture, Categorical, Integer

X = torch.randn(3, 4)
HEADS, WIDTH = Integer(1, 4, label="heads"), Integer(4, 16, label="w", step=4)


class Grouped(nn.Module):
    """Attention whose keys and values have half of the heads of its queries."""

    def __init__(self):
        super().__init__()
        self.queries, self.keys = snn.Linear(4, 2 * HEADS * 8), snn.Linear(4, HEADS * 8)
        self.out = snn.Linear(64, 4)

    def forward(self, x):
        keys = self.keys(x)
        queries = self.queries(x).view(len(x), keys.shape[1] // 8, 2, 8)
        return self.out((queries * keys.view(len(x), -1, 1, 8)).flatten(1))


def test_sizes_tied_by_arithmetic_follow_one_variable():
    supernet = Supernet(Grouped())
    assert list(supernet.space) == ["heads"]
    child = supernet.extract({"heads": 3}, example=X)
    assert (child.queries.out_features, child.keys.out_features, child.out.in_features) == (48, 24, 48)
    assert torch.equal(child(X), supernet(X, architecture={"heads": 3}))
    assert supernet.active == {"heads"}


def test_sizes_of_all_kinds_may_be_computed():
    half = Integer(1, 2, label="half")
    model = nn.Sequential(
        snn.Conv1d(4, 4 * half, 2 * half + 1, padding="same", groups=2),
        snn.Repeat(lambda _: nn.Identity(), half + 1),
        snn.GroupNorm(2 * half, 8),
    )
    supernet, x = Supernet(model), torch.randn(2, 4, 9)
    for value in (1, 2):
        child = supernet.extract({"half": value}, example=x)
        assert (child[0].out_channels, child[0].kernel_size, len(child[1])) == (
            4 * value,
            (2 * value + 1,),
            value + 1,
        )
        assert torch.equal(child(x), supernet(x, architecture={"half": value}))


def test_expression_that_may_be_too_small_or_does_not_divide_is_refused():
    with pytest.raises(
        SpaceError, match=r"out_features: expected sizes from 1 on, got heads - 1, which may be 0"
    ):
        snn.Linear(4, HEADS - 1)
    with pytest.raises(SpaceError, match=r"out_channels: expected multiples of groups = 4, got 3"):
        snn.Conv1d(8, 3 * HEADS, 1, groups=4)


CASES = {
    "Linear": (nn.Linear(5, 16, dtype=torch.float64), {"out_features": WIDTH}, (torch.randn(2, 5).double(),)),
    "Conv1d": (nn.Conv1d(4, 16, 3, padding="same"), {"out_channels": WIDTH}, (torch.randn(2, 4, 8),)),
    "Conv2d": (
        nn.Conv2d(4, 16, (3, 5), stride=2, padding=(1, 2), groups=2, padding_mode="circular"),
        {"out_channels": WIDTH},
        (torch.randn(2, 4, 8, 8),),
    ),
    "ConvTranspose2d": (
        nn.ConvTranspose2d(4, 16, 3, 2, 1, 1),
        {"out_channels": WIDTH},
        (torch.randn(2, 4, 5, 5),),
    ),
    "LayerNorm": (nn.LayerNorm((3, 8), bias=False, eps=0.1), {}, (torch.randn(2, 3, 8),)),
    "RMSNorm": (nn.RMSNorm(8, eps=0.1), {}, (torch.randn(2, 8),)),
    "GroupNorm": (
        nn.GroupNorm(4, 8),
        {"num_groups": Categorical([1, 4], label="w")},
        (torch.randn(2, 8, 3),),
    ),
    "InstanceNorm1d": (nn.InstanceNorm1d(8, affine=True), {}, (torch.randn(2, 8, 5),)),
    "BatchNorm2d": (nn.BatchNorm2d(8, 0.1, track_running_stats=False), {}, (torch.randn(3, 8, 2, 2),)),
    "PReLU": (nn.PReLU(8), {}, (torch.randn(2, 8),)),
    "Embedding": (nn.Embedding(9, 16, padding_idx=2), {"embedding_dim": WIDTH}, (torch.tensor([1, 2]),)),
    "EmbeddingBag": (nn.EmbeddingBag(9, 16, mode="max"), {"embedding_dim": WIDTH}, (torch.tensor([[1, 2]]),)),
    "Bilinear": (nn.Bilinear(3, 4, 16), {"out_features": WIDTH}, (torch.randn(2, 3), torch.randn(2, 4))),
    "Dropout": (nn.Dropout(0.3), {}, (torch.randn(2, 3),)),
    "LSTM": (
        nn.LSTM(6, 16, 2, bidirectional=True, batch_first=True),
        {"hidden_size": WIDTH},
        (torch.randn(2, 3, 6),),
    ),
    "GRU": (nn.GRU(6, 16, bias=False), {"hidden_size": WIDTH}, (torch.randn(2, 3, 6),)),
    "RNN": (nn.RNN(6, 16, nonlinearity="relu"), {"hidden_size": WIDTH}, (torch.randn(2, 3, 6),)),
    "MultiheadAttention": (
        nn.MultiheadAttention(16, 4, batch_first=True, add_bias_kv=True),
        {"num_heads": Categorical([1, 4], label="w")},
        (torch.randn(2, 3, 16),) * 3,
    ),
    "TransformerEncoderLayer": (
        nn.TransformerEncoderLayer(16, 4, 32, 0.2, "gelu", 0.1, batch_first=True, norm_first=True),
        {"dim_feedforward": Integer(8, 32, label="w")},
        (torch.randn(2, 3, 16),),
    ),
    "TransformerDecoderLayer": (
        nn.TransformerDecoderLayer(16, 4, 32, bias=False),
        {"dim_feedforward": Integer(8, 32, label="w")},
        (torch.randn(2, 3, 16),) * 2,
    ),
}


def _first(output):
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("name", CASES)
def test_twin_of_a_layer_keeps_all_that_it_was_made_with(name):
    layer, arguments, inputs = CASES[name]
    layer.eval().requires_grad_(False)
    state = torch.random.get_rng_state()
    twin = getattr(snn, name).of(layer, **arguments)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(one is other for one, other in zip(twin.parameters(), layer.parameters(), strict=True))
    assert not twin.training
    assert layer.extra_repr() in twin.extra_repr()
    supernet = Supernet(nn.ModuleDict({"twin": twin, "other": snn.Choice([nn.Identity()])}))
    a = {n: getattr(v, "high", None) or v.choices[-1] for n, v in supernet.space.items()}
    with supernet.following(a):
        assert torch.allclose(_first(twin(*inputs)), _first(layer(*inputs)), atol=1e-6)


def test_hooks_and_ties_of_a_layer_are_the_twins():
    layer = nn.Linear(4, 8)
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    twin = snn.Linear.of(layer)
    assert torch.equal(twin(X), layer(X))
    with pytest.raises(SpaceError, match="expected a weight of this layer alone"):
        Supernet(nn.Sequential(layer, snn.Linear.of(layer, out_features=Integer(2, 8))))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: snn.Linear.of(nn.Linear(3, 8), out_features=Integer(2, 9)),
            r"weight of shape \(9, 3\).*\(8, 3\)",
        ),
        (lambda: snn.Linear.of(nn.Conv1d(1, 1, 1)), "expected a torch Linear, got Conv1d"),
        (
            lambda: snn.Linear.of(nn.Linear(3, 8), out_feature=3),
            "no such argument. Did you mean 'out_features'",
        ),
        (lambda: snn.Linear.of(nn.utils.parametrizations.weight_norm(nn.Linear(3, 8))), "parametrisation"),
    ],
)
def test_twin_of_another_layer_is_refused(make, match):
    with pytest.raises(InputError, match=match):
        make()


@pytest.mark.parametrize("kind", [snn.Embedding, snn.EmbeddingBag])
def test_embedding_of_given_rows_is_searchable(kind):
    rows, tokens = torch.randn(5, 16), torch.tensor([[1, 3]])
    fixed, searched = (
        kind.from_pretrained(rows),
        kind.from_pretrained(rows, freeze=False, embedding_dim=WIDTH),
    )
    assert not fixed.weight.requires_grad
    assert searched.weight.requires_grad
    y = Supernet(searched)(tokens, architecture={"w": 8})
    assert torch.equal(y, fixed(tokens)[..., :8])


class LibraryConv(nn.Module):
    """A layer of another library: x w + b, the weight (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


class Conv1D(snn.Twin, LibraryConv):
    def __init__(self, nf, nx):
        from asng.nn.layers import largest, variables_among

        LibraryConv.__init__(self, largest("nf", nf), nx)
        self.search_variables = variables_among(nf=nf)

    def plain(self, x=None):
        width, out = self.width(x, -1, self.weight.shape[0], "nx"), self.setting("nf")
        weights = {"weight": leading(self.weight, width, out), "bias": leading(self.bias, out)}
        return shell(self, weights, {"nf": out})


@pytest.mark.parametrize("width", [4, 16])
def test_twin_of_a_layer_of_another_library_has_its_child(width):
    supernet = Supernet(nn.Sequential(Conv1D(WIDTH, 4), Conv1D(2, 16)))
    child = supernet.extract({"w": width}, example=X)
    assert [type(layer) for layer in child] == [LibraryConv, LibraryConv]
    assert [tuple(p.shape) for p in child.parameters()] == [(4, width), (width,), (width, 2), (2,)]
    assert torch.equal(child(X), supernet(X, architecture={"w": width}))


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch has a slower way of its own
@pytest.mark.parametrize("layout", [{}, {"bidirectional": True}, {"bias": False, "batch_first": True}])
def test_lstm_with_projections_is_cut_in_all_its_weights(layout):
    lstm = snn.LSTM(6, Integer(4, 8, label="w"), 2, proj_size=3, **layout)
    supernet, x = Supernet(lstm), torch.randn(2, 5, 6)
    for width in (4, 7, 8):
        child = supernet.extract({"w": width}, example=x)
        assert (child.hidden_size, child.proj_size) == (width, 3)
        assert torch.equal(child(x)[0], supernet(x, architecture={"w": width})[0])


def test_instance_norm_takes_an_item_without_a_batch():
    supernet = Supernet(nn.Sequential(snn.Conv2d(3, WIDTH, 1), snn.InstanceNorm2d(16, affine=True)))
    x = torch.randn(3, 5, 5)
    assert torch.equal(supernet.extract({"w": 8}, example=x)(x), supernet(x, architecture={"w": 8}))


@pytest.mark.parametrize("number", [3.0, np.int64(3), np.float32(3.0), np.int8(3)])
def test_numbers_of_tables_are_values(number):
    kernel = Categorical([1, 3], label="k")
    supernet = Supernet(nn.Sequential(snn.Conv1d(4, Integer(1, 8, label="w"), kernel, padding="same")))
    x = torch.randn(2, 4, 9)
    for make in (dict, Architecture):
        a = make({"w": number, "k": number})
        assert supernet(x, architecture=a).shape == (2, 3, 9)
        assert supernet.extract(a, example=x)[0].kernel_size == (3,)


@pytest.mark.parametrize("number", [3.5, np.float64("nan"), True, "3", np.array([3, 3])])
def test_other_numbers_are_refused(number):
    with pytest.raises(SpaceError, match=r"architecture\['w'\]: expected an integer"):
        Supernet(snn.Linear(4, Integer(1, 8, label="w")))(X, architecture={"w": number})


@pytest.mark.parametrize(
    ("options", "inputs"),
    [
        ({"include_last_offset": True}, (torch.arange(9), torch.tensor([0, 2, 2, 9]))),
        ({"mode": "sum"}, (torch.arange(9), torch.tensor([0, 2, 5]), torch.linspace(0.0, 1.0, 9))),
    ],
    ids=["bags of several lengths", "weighted"],
)
def test_bags_by_their_offsets_are_cut_as_others(options, inputs):
    bags = snn.EmbeddingBag(9, WIDTH, **options)
    supernet = Supernet(bags)
    for width in (4, 8, 16):
        child = supernet.extract({"w": width}, example=inputs)
        whole = nn.functional.embedding_bag(
            inputs[0],
            bags.weight,
            inputs[1],
            mode=bags.mode,
            per_sample_weights=inputs[2] if len(inputs) == 3 else None,
            include_last_offset=bags.include_last_offset,
        )
        assert torch.equal(supernet(*inputs, architecture={"w": width}), whole[:, :width])
        assert torch.equal(child(*inputs), whole[:, :width])
