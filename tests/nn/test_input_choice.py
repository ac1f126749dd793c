from itertools import product

import pytest
import torch
from torch import nn

from asng import Categorical
from asng.errors import InputError
from asng.nn import InputChoice, Supernet
from asng.nn.selection import following

INPUTS = [torch.full((2, 3), float(i)) for i in range(3)]


@pytest.mark.parametrize("i", range(3))
def test_one_chosen_input_is_passed_on_untouched(i):
    assert Supernet(InputChoice(3))(INPUTS, architecture={"input": i}) is INPUTS[i]


@pytest.mark.parametrize(
    ("reduce", "joined"),
    [
        ("sum", lambda a, b: a + b),
        ("mean", lambda a, b: (a + b) / 2),
        ("concat", lambda a, b: torch.cat([a, b], dim=1)),
    ],
)
def test_two_chosen_inputs_are_reduced(reduce, joined):
    supernet = Supernet(InputChoice(3, 2, reduce=reduce, label="in"))
    for i, j in product(range(3), repeat=2):
        y = supernet(INPUTS, architecture={"in.input1": i, "in.input2": j})
        assert torch.equal(y, joined(INPUTS[i], INPUTS[j]))


def test_one_chosen_input_is_one_variable():
    assert dict(Supernet(InputChoice(3, label="in")).space) == {"in": Categorical([0, 1, 2])}


def test_several_chosen_inputs_are_a_variable_each():
    model = nn.ModuleDict({"mix": InputChoice(2, 2)})
    assert list(Supernet(model).space) == ["mix.input1", "mix.input2"]


def test_chosen_tells_the_indices():
    choice = InputChoice(4, 2, label="in")
    Supernet(choice)
    with following({"in.input1": 3, "in.input2": 1}):
        assert choice.chosen() == (3, 1)


def test_wrong_number_of_inputs_is_an_error():
    with pytest.raises(InputError, match=r"inputs: expected n_inputs = 3 tensors, got 2"):
        Supernet(InputChoice(3))(INPUTS[:2], architecture={"input": 0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_inputs": 0}, r"n_inputs: expected an integer >= 1, got 0"),
        ({"n_inputs": 2, "n_chosen": 0}, r"n_chosen: expected an integer >= 1, got 0"),
        ({"n_inputs": 2, "reduce": "summ"}, r"reduce: expected one of 'sum'.* Did you mean 'sum'"),
    ],
)
def test_arguments_out_of_range_are_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        InputChoice(**arguments)
