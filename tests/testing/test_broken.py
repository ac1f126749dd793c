"""Each suite of `asng.testing` finds what is wrong with a deliberately wrong implementation, and names it."""

import json
import random
import re
from dataclasses import replace

import pytest
import torch
from small_tasks import small_cells
from torch import nn

from asng import nn as snn
from asng.optim import SNG
from asng.space import Categorical, Integer, Real
from asng.tasks.classification import classification
from asng.testing import LayerCase, check_layer, check_optimizer, check_task


def failing(check, subject):
    """Names of the claims that fail."""
    with pytest.raises(AssertionError, match=r"^\d+ of \d+ claims fail:\n") as raised:
        check(subject)
    return set(re.findall(r"^(\w+): ", str(raised.value), flags=re.MULTILINE))


# --- optimisers -------------------------------------------------------------------------------------------


class EditsLosses(SNG):
    """Sorts what it is told."""

    def tell(self, candidates, losses):
        super().tell(candidates, losses)
        losses.sort()


class LosesItsGenerator(SNG):
    """Goes on from a state with the draws of its own seed."""

    def load_state_dict(self, state):
        super().load_state_dict(state | {"generator": self.state_dict()["generator"]})


class KeepsItsState(SNG):
    """Hands out the state that it goes on changing."""

    def state_dict(self):
        self.state = getattr(self, "state", {})
        self.state.update(super().state_dict())
        return self.state


class DrawsFromPython(SNG):
    """Draws from a generator that is not its own."""

    def ask(self, n=None):
        candidates = super().ask(n)
        return [random.choice(candidates) for _ in candidates]


class Unlearning(SNG):
    """Learns the opposite."""

    def tell(self, candidates, losses):
        super().tell(candidates, [-float(loss) for loss in losses])


@pytest.mark.parametrize(
    ("make", "claims"),
    [
        (EditsLosses, {"tell_counts_generations_and_edits_nothing"}),
        (LosesItsGenerator, {"a_restored_search_goes_on_to_the_same_bits"}),
        (KeepsItsState, {"a_saved_state_does_not_change_later"}),
        (DrawsFromPython, {"the_same_seed_gives_the_same_search"}),
        (Unlearning, {"it_finds_a_good_architecture"}),
        (lambda space, **_: SNG(space), {"another_seed_gives_another_search"}),
    ],
)
def test_a_wrong_optimiser_is_found_out(make, claims):
    assert claims <= failing(check_optimizer, make)


def test_a_right_one_passes():
    check_optimizer(SNG)


# --- searchable layers ------------------------------------------------------------------------------------


class Gate(snn.Searchable):
    """Scales its input by a choice; each fault is one that a hand-written `extract` may have."""

    def __init__(self, fault=None):
        super().__init__()
        self.weight, self.fault = nn.Parameter(torch.randn(3)), fault

    def variables(self):
        return {"scale": Categorical([0.5, 2.0], label="scale"), "shift": Real(0.0, 1.0, label="shift")}

    def forward(self, x):
        shift = self.value("shift", note=self.fault != "does not say what it read")
        return x * self.weight * self.value("scale") + shift

    def extract(self, extraction):
        weight = self.weight if self.fault == "shares" else extraction.copy(self.weight)
        scale = self.value("scale") + (1e-6 if self.fault == "differs" else 0.0)
        if self.fault == "draws":
            torch.rand(1)
        return self if self.fault == "keeps" else Gated(weight, scale, self.value("shift"))


class Gated(nn.Module):
    def __init__(self, weight, scale, shift):
        super().__init__()
        self.weight, self.scale, self.shift = weight, scale, shift

    def forward(self, x):
        return x * self.weight * self.scale + self.shift


@pytest.mark.parametrize(
    ("fault", "claim"),
    [
        ("differs", "the_child_computes_the_same_to_the_last_bit"),
        ("keeps", "the_child_holds_nothing_of_asng"),
        ("shares", "the_child_is_independent_of_the_supernet"),
        ("draws", "extraction_draws_no_random_number"),
        ("does not say what it read", "variables_not_read_do_not_matter"),
    ],
)
def test_a_wrong_layer_is_found_out(fault, claim):
    assert claim in failing(check_layer, lambda: LayerCase(Gate(fault), [(torch.randn(2, 3),)]))


def test_a_right_layer_passes():
    check_layer(lambda: LayerCase(Gate(), [(torch.randn(2, 3),)]))


def test_a_twin_of_another_layer_is_found_out():
    def case(width):
        layer = snn.Linear(4, Integer(1, 6, label="out"))
        return LayerCase(layer, [(torch.randn(2, 4),)], largest=nn.Linear(4, width))

    check_layer(lambda: case(6))
    assert "state_dict_and_first_weights_are_those_of_torch" in failing(check_layer, lambda: case(5))


# --- tasks ------------------------------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path):
    return classification(small_cells(tmp_path))


def other_loaders_each_time(task):
    calls = iter(range(1000))
    return replace(task, loaders=lambda seed: task.loaders(next(calls)))


def shuffled_test(task):
    def loaders(seed):
        made = task.loaders(seed)
        return replace(made, test=torch.utils.data.DataLoader(made.test.dataset, 8, shuffle=True))

    return replace(task, loaders=loaders)


def another_child(task):
    child = nn.Sequential(snn.Choice([nn.Flatten(), nn.Identity()], label="unheard of"), nn.Linear(36, 2))
    return replace(task, child=lambda a: child)


@pytest.mark.parametrize(
    ("spoil", "claim"),
    [
        (other_loaders_each_time, "the_same_seed_gives_the_same_loaders"),
        (shuffled_test, "data_that_score_come_again_with_every_pass"),
        (another_child, "a_model_built_again_has_the_same_variables"),
        (lambda t: replace(t, settings={"f": json}), "it_is_described_by_plain_values"),
        (lambda t: replace(t, score=lambda f, b: float("nan")), "loss_and_scores_are_finite_numbers"),
        (lambda t: replace(t, minimize=t.loss, maximize=t.score), "it_selects_by_one_thing"),
    ],
)
def test_a_wrong_task_is_found_out(task, spoil, claim):
    assert claim in failing(check_task, lambda: spoil(task))
