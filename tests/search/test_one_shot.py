"""What a search finds, and what it leaves as it was."""

import math

import numpy as np
import pytest
import torch
from problems import Zero, data, fit, linear_or_zero, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader

from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.optim import ASNG
from asng.search import OneShotSearch, StopRule


def _probabilities(search, name="op"):
    return np.array(search.architecture_optimizer.theta[name])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", ["loss", "minimize", "maximize"])
def test_the_obviously_better_choice_is_found(rule, seed):
    def close(forward, batch):  # a count: no gradient comes through it
        return int(((forward(batch[0]) - batch[1]).abs() < 1.0).sum())

    rules = {"loss": {}, "minimize": {"minimize": lambda f, b: -close(f, b)}, "maximize": {"maximize": close}}
    search = searcher(linear_or_zero(), seed=seed, **rules[rule])
    assert fit(search, epochs=12).architecture["op"] == "linear"
    assert _probabilities(search)[0] > 0.7


def test_maximize_of_the_loss_finds_the_worse_choice():
    assert fit(searcher(linear_or_zero(), maximize=mse), epochs=12).architecture["op"] == "zero"


@pytest.mark.parametrize(("warmup", "first"), [(0.0, 0), (0.5, 12), (0.07, 2), (1.0, 24)])
def test_theta_stays_during_warmup_and_moves_after_it(warmup, first):
    search, seen = searcher(two_layers(), warmup=warmup), []

    def loss(forward, batch):
        theta = search.architecture_optimizer
        if torch.is_grad_enabled():
            seen.append((theta.generation, {name: tuple(p) for name, p in theta.theta.items()}))
        return mse(forward, batch)

    search.loss = loss
    fit(search)
    assert len(seen) == 24
    assert [generation for generation, _ in seen] == [max(0, step - first) for step in range(24)]
    assert all(theta == seen[0][1] for _, theta in seen[: first + 1])
    assert search.architecture_optimizer.generation == 24 - first


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_a_search_learns_where_gradients_are_off(around):
    inside, outside = searcher(two_layers()), searcher(two_layers())
    with around():
        fit(inside)
    fit(outside)
    for weight, same in zip(inside.supernet.parameters(), outside.supernet.parameters(), strict=True):
        assert torch.equal(weight, same)


def test_warmup_is_free_of_rounding():
    search = searcher(warmup=0.07)  # 0.07 * 100 > 7
    search.fit(loader(80, batch_size=8), loader(), epochs=10, progress=False)
    assert search.architecture_optimizer.generation == 93


@pytest.mark.parametrize(("lam_x", "lam_theta"), [(1, 2), (3, 2), (2, 5)])
def test_lambdas_say_how_many_architectures_a_step_runs(lam_x, lam_theta):
    calls = {True: [], False: []}

    def loss(forward, batch):
        calls[torch.is_grad_enabled()].append(batch[0])
        return mse(forward, batch)

    fit(searcher(loss=loss, lam_x=lam_x, lam_theta=lam_theta, warmup=0.5))
    assert len(calls[True]) == 24 * lam_x
    assert len(calls[False]) == 12 * lam_theta
    for inputs, lam in ((calls[True], lam_x), (calls[False], lam_theta)):
        assert all(torch.equal(inputs[i], inputs[i - i % lam]) for i in range(len(inputs)))


def test_weights_of_unused_candidates_are_left_alone():
    torch.manual_seed(0)
    ops = {"used": nn.Linear(3, 1), "unused": nn.Linear(3, 1)}
    supernet = Supernet(Choice(ops, label="op"))
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    made = []

    def sgd(parameters):
        made.append(torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.5))
        return made[0]

    class Always(ASNG):
        def ask(self, n=None):
            return [self.space.candidate([0.0]) for _ in range(n or 1)]

    theta = Always(supernet.space)
    fit(OneShotSearch(supernet, mse, optimizer=sgd, architecture_optimizer=theta))
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, before[name]) == ("unused" in name)
    unused = list(ops["unused"].parameters())
    assert all(p.grad is None and p not in made[0].state for p in unused)
    assert all(p in made[0].state for p in ops["used"].parameters())


def test_weights_are_the_ones_of_plain_sgd_where_there_is_one_choice():
    supernet, twin = linear_or_zero(), linear_or_zero()
    single = Supernet(nn.Sequential(Choice({"only": supernet.model.candidates["linear"]}, label="op")))
    plain = twin.model.candidates["linear"]
    batches = DataLoader(data(), batch_size=8)
    search = OneShotSearch(single, mse, scheduler=None, clip=None, warmup=1.0)
    search.fit(batches, batches, epochs=2, progress=False)
    optimizer = search.optimizer(plain.parameters())
    for _ in range(2):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.mse_loss(plain(x), y).backward()
            optimizer.step()
    torch.testing.assert_close(single.model[0].candidates["only"].weight, plain.weight, rtol=0, atol=0)


def test_the_mean_over_the_architectures_of_a_step_is_descended():
    weights = []
    for lam_x in (1, 3):
        torch.manual_seed(0)
        supernet = Supernet(Choice({"only": nn.Linear(3, 1)}, label="op"))
        fit(searcher(supernet, lam_x=lam_x, clip=None, warmup=1.0))
        weights.append(supernet.model.candidates["only"].weight)
    torch.testing.assert_close(weights[0], weights[1])


@pytest.mark.parametrize("kind", ["plain", "own generator", "batch sampler"])
def test_the_same_seed_is_the_same_run(kind):
    runs = [searcher(seed=4), searcher(seed=4), searcher(seed=5)]
    for skip, search in enumerate(runs):
        torch.manual_seed(skip)
        fit(search, kind)
    weights = [search.supernet.state_dict() for search in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    states = [search.architecture_optimizer.state_dict() for search in runs]
    assert states[0] == states[1] != states[2]


def test_the_child_does_not_depend_on_the_callers_generator():
    results = [fit(searcher(two_layers(norm=True))) for _ in range(2)]
    children = []
    for seed, result in enumerate(results):
        torch.manual_seed(seed)
        children.append(result.child.state_dict())
    assert all(torch.equal(children[0][name], children[1][name]) for name in children[0])


def test_the_callers_generator_and_modes_are_untouched():
    search = searcher(two_layers(norm=True))
    search.supernet.model[1].eval()
    before, modes = torch.get_rng_state(), [m.training for m in search.supernet.modules()]
    result = fit(search)
    assert result.child is result.child
    assert torch.equal(torch.get_rng_state(), before)
    assert [m.training for m in search.supernet.modules()] == modes


def test_a_missing_valid_loader_is_made_of_the_training_data():
    result = searcher().fit(loader(), epochs=2, progress=False)
    assert result.steps == 6
    assert result.reason == "finished"


def test_an_architecture_without_weights_can_be_trained_on():
    result = fit(searcher(linear_or_zero(), lam_x=2), epochs=1)
    assert all(torch.isfinite(p).all() for p in result.supernet.parameters())


# --- losses and objectives that are none ---------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 5])
@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_one_step_without_a_finite_loss_leaves_the_weights_finite(bad, how):
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        value = mse(forward, batch)
        if calls - 1 == bad and torch.is_grad_enabled():
            # The root has an infinite slope at 0.
            return value * math.nan if how == "loss" else value + (value * 0).sqrt()
        return value

    result = fit(searcher(loss=loss))
    assert result.steps == 24
    assert all(torch.isfinite(p).all() for p in result.supernet.parameters())


@pytest.mark.parametrize("rule", ["minimize", "maximize"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_objective_without_a_finite_value_ranks_worst(rule, bad):
    def objective(forward, batch):
        return bad if not forward(batch[0]).any() else 1.0

    search = searcher(linear_or_zero(), warmup=0.0, **{rule: objective})
    fit(search, epochs=8)
    assert _probabilities(search)[0] > 0.7


@pytest.mark.parametrize("number", [np.float32(1), np.float64(1), np.int64(1), 1, torch.ones(1, 1)])
def test_numbers_of_all_kinds_are_objectives(number):
    fit(searcher(minimize=lambda forward, batch: number), epochs=1)


def test_an_objective_of_two_passes_is_credited_with_all_that_they_read():
    told = []

    class Spy(ASNG):
        def tell(self, candidates, losses):
            told.extend(candidate.active for candidate in candidates)
            super().tell(candidates, losses)

    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (Choice([nn.Linear(3, 1), Zero()], label=name) for name in "ab")

        def forward(self, x, which="a"):
            return getattr(self, which)(x)

    def both(forward, batch):
        return float((forward(batch[0], "a") - forward(batch[0], "b")).mean())

    for objective, expected in ((both, {"a", "b"}), (mse, {"a"}), (lambda f, b: 1.0, None)):
        told.clear()
        supernet = Supernet(Half())
        theta = Spy(supernet.space)
        fit(searcher(supernet, minimize=objective, architecture_optimizer=theta, warmup=0.0), epochs=1)
        assert all(active == expected for active in told)


# --- arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimize": mse, "maximize": mse}, "minimize, maximize: expected at most one"),
        ({"minimize": "accuracy"}, "minimize: expected a function"),
        ({"loss": None}, "loss: expected a function"),
        ({"lam_x": 0}, "lam_x: expected an integer >= 1"),
        ({"lam_theta": 1}, "lam_theta: expected an integer >= 2"),
        ({"warmup": 1.5}, "warmup: expected a number in"),
        ({"clip": 0.0}, "clip: expected a number in"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds: expected a number in"),
        (
            {"architecture_optimizer": ASNG(linear_or_zero().space)},
            "architecture_optimizer: expected one over",
        ),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        searcher(**settings)


def test_a_model_that_is_no_supernet_is_refused():
    with pytest.raises(InputError, match="supernet: expected a Supernet, got Linear"):
        searcher(nn.Linear(3, 1))


def test_a_supernet_without_weights_is_refused():
    with pytest.raises(InputError, match="supernet: expected at least one weight to train"):
        fit(searcher(Supernet(Choice([Zero(), nn.Identity()]))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epochs": 0}, "epochs: expected an integer >= 1"), ({"resume": True}, "resume: expected a run_dir")],
)
def test_arguments_of_fit_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        fit(searcher(), **settings)


# --- stopping early ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "reason"), [(StopRule(entropy=0.9), "entropy"), (StopRule(patience=6), "patience")]
)
def test_a_settled_search_ends_early_and_says_why(rule, reason, tmp_path):
    result = fit(searcher(linear_or_zero(), warmup=0.0, stop=rule), epochs=160, run_dir=tmp_path)
    assert (result.reason, result.steps < 240) == (reason, True)
    assert result.steps % (960 // 150) != 0  # no step at which theta is logged anyway
    log = (tmp_path / "log.jsonl").read_text().splitlines()
    assert f'"reason": "{reason}"' in log[-1]
    assert '"event": "theta"' in log[-2]
    assert f'"step": {result.steps}' in log[-2]


def test_patience_counts_theta_steps_without_a_change():
    result = fit(searcher(linear_or_zero(), warmup=0.5, stop=StopRule(patience=1), minimize=lambda f, b: 0.0))
    assert result.steps == 12 + 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"entropy": -0.1}, "entropy: expected a number"),
        ({"patience": 0}, "patience: expected an integer >= 1"),
    ],
)
def test_stop_rules_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        StopRule(**settings)


def test_losses_of_another_step_are_not_read_again():
    # Weights ripen and batches differ: a loss of the step before says nothing beside one of this step.
    search = searcher(lam_theta=8, warmup=0.0)
    fit(search)
    state = search.architecture_optimizer.state_dict()
    assert "control_variate" in state
    assert "former" not in state
