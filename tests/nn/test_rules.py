"""What a supernet refuses when it is made, and what it settles."""

import inspect
import threading
import warnings

import pytest
import torch
import torch.nn.utils.prune
from torch import nn
from torch.nn.utils import parametrizations

from asng import nn as snn
from asng.errors import AsngError, InputError, SpaceError
from asng.nn import Supernet
from asng.space import Categorical, Integer, Real

X, TOKENS = torch.randn(3, 4), torch.randn(2, 5, 16)
WIDTH = Integer(2, 8, label="w")
HEADS = Categorical([1, 2, 4], label="heads")
PADDING = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]]).bool()

REPARAMETRISED = {
    "weight norm, old": nn.utils.weight_norm,
    "weight norm": parametrizations.weight_norm,
    "spectral norm, old": nn.utils.spectral_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": lambda layer: torch.nn.utils.prune.l1_unstructured(layer, "weight", 0.5),
}


@pytest.fixture(params=REPARAMETRISED)
def wrap(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch advises the new ones
            yield REPARAMETRISED[request.param]


def test_twin_whose_weight_is_computed_is_refused(wrap):
    for make in (lambda: wrap(snn.Linear(4, WIDTH)), lambda: _part(wrap)):
        with pytest.raises(InputError, match=r"module '0.*weights of its own.*remove_parametrizations"):
            Supernet(nn.Sequential(make(), snn.Linear(8, 2)))


def _part(wrap):
    attention = snn.MultiheadAttention(8, HEADS)
    wrap(attention.out_proj)
    return attention


def test_twin_whose_weight_is_computed_later_is_refused_at_extraction(wrap):
    supernet = Supernet(nn.Sequential(snn.Linear(4, WIDTH)))
    wrap(supernet.model[0])
    with pytest.raises(InputError, match=r"module '0'.*weights of its own"):
        supernet.extract({"w": 3}, example=X)


def test_plain_layer_whose_weight_is_computed_comes_over_apart(wrap):
    model = nn.Sequential(wrap(nn.Linear(4, 4)), snn.Choice([wrap(nn.Linear(4, 4)), nn.Tanh()], label="c"))
    supernet = Supernet(nn.Sequential(model, snn.Linear(4, WIDTH)))
    a = {"c": 0, "w": 3}
    supernet(X, architecture=a).sum().backward()
    child = supernet.eval().extract(a, example=X)
    y = supernet(X, architecture=a)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert torch.equal(child(X), y)


def _encoder_layer(**parts):
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    for name, part in parts.items():
        setattr(layer, name, part)
    return layer


def _feed_forward():
    return {"linear1": snn.Linear(16, Integer(8, 32, label="w")), "linear2": snn.Linear(32, 16)}


STACKS = {
    "layer with a searched hidden width": lambda: _encoder_layer(**_feed_forward()),
    "layer with a searched norm": lambda: _encoder_layer(
        norm1=snn.LayerNorm(16), dropout=snn.Dropout(Real(0, 1))
    ),
    "torch's stack of it": lambda: nn.TransformerEncoder(_encoder_layer(**_feed_forward()), 2),
    "torch's stack of twins": lambda: nn.TransformerEncoder(
        snn.TransformerEncoderLayer(16, HEADS, 32, batch_first=True), 2
    ),
    "stack of twins": lambda: snn.TransformerEncoder(
        snn.TransformerEncoderLayer(16, HEADS, 32, batch_first=True), Integer(1, 2, label="depth")
    ),
    "twin": lambda: snn.TransformerEncoderLayer(16, HEADS, WIDTH, batch_first=True),
}


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", STACKS)
def test_evaluation_without_gradients_follows_the_architecture(name, padded, heads):
    supernet = Supernet(STACKS[name]()).eval()
    low = {n: v.low if hasattr(v, "low") else v.choices[0] for n, v in supernet.space.items()}
    a = {n: heads if v == HEADS else low[n] for n, v in supernet.space.items()}
    inputs = snn.Inputs((TOKENS,), {"src_key_padding_mask": PADDING} if padded else {})
    child, here = supernet.extract(a, example=inputs), ~PADDING if padded else slice(None)
    y = supernet(*inputs, architecture=a, **inputs.named)
    with torch.no_grad():
        still = supernet(*inputs, architecture=a, **inputs.named)
        assert torch.equal(inputs.call(child), still)
    assert torch.allclose(still[here], y[here], atol=1e-5)
    assert torch.equal(inputs.call(child), y)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_with_padding_follows_the_architecture(heads):
    supernet = Supernet(snn.MultiheadAttention(16, HEADS, batch_first=True)).eval()
    inputs = snn.Inputs((TOKENS,) * 3, {"key_padding_mask": PADDING})
    child = supernet.extract({"heads": heads}, example=inputs)
    with torch.no_grad():
        y = supernet(*inputs, architecture={"heads": heads}, **inputs.named)
        assert all(map(torch.equal, inputs.call(child), y))


def _attention_with_a_searched_part():
    attention = nn.MultiheadAttention(16, 4)
    attention.out_proj = snn.Linear(16, 16)
    return attention


def _exchanged():
    layer = snn.TransformerEncoderLayer(16, HEADS, 32)
    layer.linear1 = snn.Linear(16, WIDTH)
    return layer


def _hooked_part():
    layer = snn.TransformerEncoderLayer(16, HEADS, 32)
    layer.linear1.register_forward_hook(lambda *_: None)
    return layer


class _Holds(nn.Module):
    def __init__(self, thing):
        super().__init__()
        self.inner, self.layer = nn.Module(), snn.Linear(4, WIDTH)
        self.inner.thing = thing

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            _attention_with_a_searched_part,
            InputError,
            r"torch\.nn\.MultiheadAttention\): expected plain parts",
        ),
        (
            _exchanged,
            InputError,
            r"module '0\.linear1': expected torch's Linear .*Build the block from layers",
        ),
        (_hooked_part, InputError, r"module '0\.linear1': expected a part .*with a hook"),
        (
            lambda: nn.Conv2d(1, 2, 3, stride=Integer(1, 2)),
            SpaceError,
            r"module '0' \(torch\.nn\.Conv2d\), stride:",
        ),
        (
            lambda: nn.LeakyReLU(Real(0, 1)),
            SpaceError,
            r"\(torch\.nn\.LeakyReLU\), negative_slope: expected a value",
        ),
        (
            lambda: _Holds(threading.Condition()),
            InputError,
            r"module '0\.inner', attribute 'thing': .*Condition",
        ),
        (lambda: _Holds({"a": [threading.Lock()]}), InputError, r"module '0\.inner', attribute 'thing'"),
    ],
)
def test_what_could_not_be_run_or_kept_is_refused(make, error, match):
    model = nn.Sequential(make(), snn.Choice([nn.Identity()]))
    with pytest.raises(error, match=match):
        Supernet(model)


@pytest.mark.parametrize(
    "thing", [threading.Lock(), threading.RLock(), torch.Generator()], ids=lambda t: str(type(t))
)
def test_locks_and_generators_are_new_in_the_child(thing):
    child = Supernet(_Holds(thing)).extract({"w": 3}, example=X)
    assert type(child.inner.thing) is type(thing)
    assert child.inner.thing is not thing


class _Keeping(nn.Module):
    """Keeps the tensor of its last pass, in one way or another."""

    def __init__(self, kept):
        super().__init__()
        self.layer, self.kept = snn.Linear(4, WIDTH), kept

    def forward(self, x):
        y = self.layer(x)
        if isinstance(self.kept, list):
            self.kept.append(y)
        elif isinstance(self.kept, dict):
            self.kept["last"] = {"output": y}
        else:
            self.kept = y
        return y


@pytest.mark.parametrize("kept", [None, [], {}], ids=["attribute", "list", "dict"])
def test_module_that_keeps_the_tensor_of_its_last_pass_is_extracted(kept):
    supernet = Supernet(nn.Sequential(_Keeping(kept)))
    supernet(X, architecture={"w": 3}).sum().backward()
    y = supernet(X, architecture={"w": 3})
    assert torch.equal(supernet.extract({"w": 3}, example=X)(X), y)


SIZES = {
    "num_embeddings": 9,
    "embedding_dim": 8,
    "kernel_size": 3,
    "normalized_shape": 8,
    "num_groups": 2,
    "encoder_layer": nn.TransformerEncoderLayer(8, 2),
    "decoder_layer": nn.TransformerDecoderLayer(8, 2),
}
READ = {
    "kernel_size",
    "p",
    "dropout",
    "num_layers",
    "groups",
    "num_groups",
    "activation",
    "dim_feedforward",
    "nhead",
}
READ |= {"num_heads", "hidden_size", "embedding_dim", "out_features", "out_channels"}
FOLLOWS = {
    "in_features",
    "in_channels",
    "num_features",
    "normalized_shape",
    "num_channels",
    "embed_dim",
    "kdim",
}
FOLLOWS |= {"vdim", "d_model", "input_size", "num_parameters", "in1_features", "in2_features"}
TWINS = [
    kind
    for name in snn.__all__
    if isinstance(kind := getattr(snn, name), type) and issubclass(kind, snn.Twin) and kind is not snn.Twin
]
ARGUMENTS = [
    (kind, name)
    for kind in TWINS
    for name in list(inspect.signature(kind.__init__).parameters)[1:]
    if name not in READ | FOLLOWS | {"encoder_layer", "decoder_layer", "norm", "process_group"}
]


@pytest.mark.parametrize(("kind", "argument"), ARGUMENTS, ids=lambda value: getattr(value, "__name__", value))
def test_variable_where_none_is_read_is_an_error_that_names_the_argument(kind, argument):
    parameters = inspect.signature(kind.__init__).parameters
    given = {n: SIZES.get(n, 8) for n, p in list(parameters.items())[1:] if p.default is p.empty}
    kind(**given)
    for variable in (Categorical([True, False], label="v"), Integer(1, 2, label="v"), (1, Integer(1, 2))):
        with pytest.raises(AsngError, match=rf"^{argument}: expected"):
            kind(**given | {argument: variable})
