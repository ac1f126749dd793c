"""A compression looks for calls that reach every layer, and says which layers none has reached."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import asng
from asng.compression import compress
from asng.errors import InputError

QUICK = {"epochs": 1, "evaluations": 4, "finalists": 1, "progress": False, "budget": 0.6, "teaching": 0.0}
QUICK |= {"train_weights": False, "optimizer": lambda weights: torch.optim.SGD(weights, lr=0.01)}


class Heads(nn.Module):
    """A trunk and one head per task; each batch is of one task."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.heads = nn.ModuleDict({"a": nn.Linear(8, 2), "b": nn.Linear(8, 3)})

    def forward(self, x, task):
        return self.heads[task](self.trunk(x))


def loader(tasks):
    noise = torch.Generator().manual_seed(0)
    batches = [(torch.randn(6, 4, generator=noise), task) for task in tasks]
    return DataLoader(batches, batch_size=None)


def loss(forward, batch):
    return forward(*batch).square().mean()


@pytest.mark.parametrize("tasks", ["ab", "aaaaaaaab"])
def test_a_head_that_only_later_batches_reach_is_not_cut_and_can_be_used(tasks):
    model = Heads()
    made = compress(model, loader(tasks), loader("ab"), loss=loss, **QUICK)
    assert made.conversion.unreached == ()
    assert [made.child(torch.zeros(2, 4), task).shape for task in "ab"] == [(2, 2), (2, 3)]


def test_the_example_is_part_of_the_proof():
    x = torch.randn(4, 4)
    example = [asng.nn.Inputs((x, "a")), asng.nn.Inputs((x, "b"))]
    made = compress(Heads(), loader("a"), loader("a"), loss=loss, example=example, **QUICK)
    assert made.conversion.unreached == ()
    assert made.child(x, "b").shape == (4, 3)


def test_layers_that_no_call_reaches_are_told_before_the_search_and_in_the_result():
    with pytest.warns(UserWarning, match="no call") as told:
        made = compress(Heads(), loader("a"), loader("a"), loss=loss, **QUICK)
    assert "no call reached heads.b" in str(told[0].message)
    assert "example=" in str(told[0].message)
    assert "heads.b" in made.conversion.fixed
    assert any("no call reached heads.b" in note for note in made.notes)


@pytest.mark.filterwarnings("ignore:.*no call")
def test_a_child_that_reaches_a_layer_of_another_width_says_which():
    with pytest.raises(
        InputError, match=r"heads\.b: expected an input of width 8, got a tensor of \(6, \d\).*example="
    ):
        compress(Heads(), loader("a" * 20 + "b"), loader("a"), loss=loss, **QUICK)


class Auxiliary(nn.Module):
    """Its auxiliary head runs in training only."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 16), nn.Linear(16, 2)
        self.aux = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return (self.head(x), self.aux(x)) if self.training else self.head(x)


def test_a_model_with_a_head_in_training_only_is_compressed_with_a_teacher():
    def both(forward, batch):
        outputs = forward(batch[0])
        return sum(out.square().mean() for out in (outputs if isinstance(outputs, tuple) else (outputs,)))

    made = compress(Auxiliary(), loader("a"), loader("a"), loss=both, **{**QUICK, "teaching": 0.5})
    assert [out.shape for out in made.child.train()(torch.zeros(3, 4))] == [(3, 2), (3, 2)]
    assert made.child.eval()(torch.zeros(3, 4)).shape == (3, 2)
