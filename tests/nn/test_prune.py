import pytest
import torch
from plain_blocks import Constant, Switched, WeightReader
from torch import nn

from asng.errors import InputError
from asng.nn import Choice, Supernet

X = torch.ones(2, 4)


def _switched(extra):
    return Supernet(Switched(Choice({"on": Constant(True), "off": Constant(False)}, label="gate"), extra))


def test_module_never_run_is_left_out():
    supernet = _switched(nn.Linear(4, 4))
    child = supernet.extract({"gate": "off"}, example=X)
    assert type(child.extra) is nn.Identity
    assert torch.equal(child(X), X)


def test_module_that_is_run_stays():
    supernet = _switched(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    child = supernet.extract({"gate": "on"}, example=X)
    assert torch.equal(child(X), supernet(X, architecture={"gate": "on"}))


def test_without_an_example_everything_stays():
    assert isinstance(_switched(nn.Linear(4, 4)).extract({"gate": "off"}).extra, nn.Linear)


def test_module_without_weights_stays():
    child = _switched(nn.Dropout()).extract({"gate": "off"}, example=X)
    assert isinstance(child.extra, nn.Dropout)


def test_layer_whose_weight_alone_is_read_stays():
    supernet = Supernet(WeightReader(Choice([nn.ReLU()], label="op"), 4))
    child = supernet.extract({"op": 0}, example=X)
    assert torch.equal(child(X), supernet(X, architecture={"op": 0}))


def test_attention_keeps_the_projection_that_it_never_calls():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Identity()], label="op")
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x):
            x = self.op(x)
            return self.layer(self.attention(x, x, x)[0])

    supernet = Supernet(Attend()).eval()
    child = supernet.extract({"op": 0}, example=X[None])
    assert torch.equal(child(X[None]), supernet(X[None], architecture={"op": 0}))


def test_layer_that_is_called_stays_whatever_it_reads():
    class Doubling(nn.Linear):
        def forward(self, x):
            return 2 * x

    child = _switched(Doubling(4, 4)).extract({"gate": "on"}, example=X)
    assert torch.equal(child(X), 2 * X)


def test_module_with_two_names_goes_from_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Identity()], label="op")
            self.first = self.second = nn.Linear(4, 4)

        def forward(self, x):
            return self.op(x)

    assert not list(Supernet(Twice()).extract({"op": 0}, example=X).parameters())


class _Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = Choice([nn.BatchNorm1d(4)], label="op")
        self.extra = nn.Linear(4, 4)

    def forward(self, x):
        x = self.op(x)
        return (x, self.extra(torch.dropout(x, 0.5, True))) if self.training else x


def test_what_only_training_uses_stays_in_training_mode():
    supernet = Supernet(_Auxiliary())
    state = torch.random.get_rng_state()
    child = supernet.extract({"op": 0}, example=X)
    assert isinstance(child.extra, nn.Linear)
    assert child.op.num_batches_tracked == 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert isinstance(supernet.eval().extract({"op": 0}, example=X).extra, nn.Identity)


def test_child_that_fails_without_an_unused_module_is_an_error():
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Identity()], label="op")
            self.extra = nn.Linear(4, 4)

        def forward(self, x):
            return self.op(x) * self.extra.in_features

    with pytest.raises(InputError, match=r"fails without extra, .*in_features.*without an example to keep"):
        Supernet(Asks()).extract({"op": 0}, example=X)
