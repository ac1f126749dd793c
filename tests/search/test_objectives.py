"""Objectives that are none, and where a NaN comes from."""

import math
import os
import signal
from functools import partial

import pytest
import torch
from problems import Zero, fit, mse, searcher
from torch import nn

from asng.errors import InputError, RunError
from asng.nn import Choice, Supernet
from asng.training import accuracy, supervised
from asng.training.faults import MOST_SKIPPED_STEPS, FiniteWatch, origin
from asng.training.objective import as_number, qualified_name

# --- what is no number ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0.3", "'0.3'"),
        (torch.ones(2), r"a tensor of shape \(2,\)"),
        (None, "None"),
        (True, "True"),
        (torch.tensor(True), "True"),
        ([1.0], r"\[1.0\]"),
        ((1.0, 2.0), r"\(1.0, 2.0\)"),
        (1j, "1j"),
        (torch.ones(1, dtype=torch.complex64), r"\(1\+0j\)"),
    ],
)
@pytest.mark.parametrize("rule", ["minimize", "maximize"])
def test_an_objective_that_is_no_number_is_named(rule, value, told):
    def share_of_hits(forward, batch):
        return value

    search = searcher(warmup=0.0, **{rule: share_of_hits})
    message = (
        rf"{rule}: expected one number from test_objectives\..*share_of_hits, got {told}\. Return a float"
    )
    with pytest.raises(InputError, match=message):
        fit(search, epochs=1)


@pytest.mark.parametrize("rule", ["minimize", "maximize"])
def test_an_objective_that_requires_a_gradient_is_named(rule):
    def with_graph(forward, batch):
        with torch.enable_grad():
            return mse(forward, batch)

    message = rf"{rule}: .*with_graph, got a tensor that requires a gradient\. Return value\.item\(\)"
    with pytest.raises(InputError, match=message):
        fit(searcher(warmup=0.0, **{rule: with_graph}), epochs=1)


def test_a_loss_that_selects_may_take_gradients_of_its_own():
    def loss(forward, batch):
        with torch.enable_grad():  # as a gradient penalty does
            return mse(forward, batch)

    assert fit(searcher(loss=loss)).steps == 24


@pytest.mark.parametrize(("value", "told"), [(1.0, "1.0"), (torch.ones(3), r"shape \(3,\)")])
def test_a_loss_that_is_no_number_is_named(value, told):
    def mine(forward, batch):
        return value

    with pytest.raises(InputError, match=rf"loss: expected a tensor of one number from .*mine, got {told}"):
        fit(searcher(loss=mine), epochs=1)


class Metric:
    def __call__(self, forward, batch):
        return 1.0


def test_functions_are_named_by_where_they_are():
    assert qualified_name(partial(partial(accuracy))) == "asng.training.objective.accuracy"
    assert qualified_name(Metric()) == f"{__name__}.Metric"
    assert qualified_name(Metric().__call__) == f"{__name__}.Metric.__call__"
    named = qualified_name(supervised(nn.functional.mse_loss))
    assert named == "asng.training.objective.supervised(torch.nn.functional.mse_loss)"


def test_numbers_of_torch_and_numpy_become_floats():
    assert as_number(torch.ones(1, 1, requires_grad=True), "loss", mse) == 1.0
    assert math.isnan(as_number(math.nan, "loss", mse))


# --- what is not finite --------------------------------------------------------------------------------


class Broken(nn.Module):
    """Divides by zero."""

    def forward(self, x):
        return x.sum(dim=1, keepdim=True) / 0.0 * 0.0


def never_finite():
    """A supernet both of whose choices break, the first in a submodule."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(3, 3), Broken())
    return Supernet(nn.Sequential(nn.Identity(), Choice({"inner": inner, "plain": Broken()}, label="op")))


def test_a_first_theta_step_without_a_finite_value_names_the_module():
    calls = []

    def score(forward, batch):
        calls.append(1)
        return forward(batch[0]).mean().item()

    message = (
        r"maximize: expected a finite number from test_objectives\..*score, got nan, nan in the first theta "
        r"step, at step 12\. The first output that is not finite is that of the module "
        r"'1\.candidates\.(inner\.1|plain)' \(Broken\)"
    )
    with pytest.raises(RunError, match=message):
        fit(
            searcher(
                never_finite(), loss=lambda forward, batch: forward.architecture and _one(), maximize=score
            )
        )
    assert len(calls) == 5  # two candidates, of each a second pass, and a third of the first


def _one():
    return torch.ones((), requires_grad=True)


@pytest.mark.parametrize("rule", ["minimize", "maximize"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_objective_that_makes_it_itself_is_named(rule, bad):
    def mine(forward, batch):
        return forward(batch[0]).sum().item() * 0.0 + bad

    message = (
        f"got {bad}, {bad} in the first .* The outputs of all modules are finite: .*mine itself causes it"
    )
    with pytest.raises(RunError, match=message):
        fit(searcher(warmup=0.0, **{rule: mine}))


def test_inputs_that_are_not_finite_are_named():
    def mine(forward, batch):
        return forward(batch[0] * math.inf).sum().item()

    with pytest.raises(RunError, match="The inputs of the network are already not finite"):
        fit(searcher(warmup=0.0, minimize=mine))


def test_once_a_value_was_finite_many_steps_without_one_are_borne():
    calls = []

    def mine(forward, batch):
        calls.append(1)
        return 1.0 if len(calls) == 2 else math.nan

    search = searcher(warmup=0.0, minimize=mine)
    with pytest.raises(RunError, match=f"in {MOST_SKIPPED_STEPS} theta steps in a row, the last at step 100"):
        fit(search, epochs=40)
    # A step passes over all three batches, and runs each candidate a second time to see where a NaN is from.
    assert len(calls) == 2 + 1 + 3 * 4 * MOST_SKIPPED_STEPS + 1


def test_many_steps_without_a_finite_loss_end_the_run_and_name_the_module():
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += 1
        return mse(forward, batch)

    message = (
        rf"got none in {MOST_SKIPPED_STEPS} steps in a row \(step 99\)\. The first output that is not finite "
        r"is that of the module '1\.candidates\.(inner\.1|plain)' \(Broken\)\. Lower the"
    )
    with pytest.raises(RunError, match=message):
        fit(searcher(never_finite(), loss=loss, warmup=1.0), epochs=30)
    assert calls == MOST_SKIPPED_STEPS + 2  # the first: what evaluation computes; the last: where it is from


def test_a_gradient_that_is_not_finite_is_told_apart():
    def loss(forward, batch):
        value = mse(forward, batch)
        return value + (value * 0).sqrt()  # the root has an infinite slope at 0

    with pytest.raises(RunError, match="In a second pass everything was finite: the cause is the gradient"):
        fit(searcher(loss=loss, warmup=1.0), epochs=30)


@pytest.mark.parametrize("itself", [True, False])
def test_of_a_step_of_many_architectures_the_one_that_breaks_is_found(itself):
    def loss(forward, batch):
        return mse(forward, batch) * (math.nan if itself and forward.architecture["op"] == 5 else 1.0)

    candidates = [nn.Linear(3, 1) for _ in range(8)]
    if not itself:
        candidates[5] = nn.Sequential(nn.Linear(3, 1), Broken())
    # Stratified draws: each candidate comes up once in every step.
    search = searcher(Supernet(Choice(candidates, label="op")), loss=loss, lam_x=8, warmup=1.0, seed=1)
    where = (
        r"The outputs .* finite: .*loss itself causes it" if itself else r"the module 'candidates\.5\.1' \(Br"
    )
    with pytest.raises(RunError, match=where):
        fit(search, epochs=30)


def test_the_place_is_found_with_hooks_that_do_not_stay():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), Broken()), nn.Tanh())
    before = torch.get_rng_state()
    sentence = origin(net, lambda: net(torch.rand(3, 2)).sum().item(), "mine")
    assert sentence == "The first output that is not finite is that of the module '1.1' (Broken)."
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_the_place_is_found_in_outputs_of_all_shapes():
    class Parts(nn.Module):
        def forward(self, x):
            return {"a": [x], "b": (1, torch.tensor([math.inf]))}

    net = Parts()
    sentence = origin(net, lambda: float(net(torch.ones(1))["b"][1]), "mine")
    assert sentence == "The first output that is not finite is that of the model itself (Parts)."


def test_counts_of_steps_without_a_finite_value_go_on_from_a_checkpoint():
    watch, twin = FiniteWatch(), FiniteWatch()
    watch.scored([1.0, math.nan], 0, "mine", str)
    for step in range(1, 40):
        watch.scored([math.nan, math.inf], step, "mine", str)
        watch.trained(math.nan, step, str)
    watch.scored([], 40, "mine", str)  # all were over a budget: that says nothing
    twin.load_state_dict(watch.state_dict())
    assert (twin.skipped, twin.blind, twin.seen) == (39, 39, True)
    twin.scored([2.0, math.nan], 41, "mine", str)
    twin.trained(0.5, 41, str)
    assert (twin.skipped, twin.blind) == (0, 0)


def test_a_resumed_run_counts_on(tmp_path):
    calls = []

    def mine(forward, batch):
        calls.append(1)
        if len(calls) == 81:
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0 if len(calls) == 1 else math.nan

    with pytest.raises(KeyboardInterrupt):
        fit(searcher(warmup=0.0, minimize=mine), epochs=40, run_dir=tmp_path)
    with pytest.raises(RunError, match=f"{MOST_SKIPPED_STEPS} theta steps in a row, the last at step 100"):
        fit(searcher(warmup=0.0, minimize=mine), epochs=40, run_dir=tmp_path, resume=True)


def test_a_nan_among_finite_values_still_ranks_worst():
    def objective(forward, batch):
        return math.nan if not forward(batch[0]).any() else 1.0

    supernet = Supernet(Choice({"linear": nn.Linear(3, 1), "zero": Zero()}, label="op"))
    search = searcher(supernet, warmup=0.0, lam_theta=4, minimize=objective)
    fit(search, epochs=8)
    assert search.architecture_optimizer.theta["op"][0] > 0.7
