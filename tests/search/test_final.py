"""The final: who comes in, what it costs, what is found, and that it can be taken up again."""

import json
import math
from functools import partial

import pytest
import torch
from problems import (
    data,
    events_without_clocks,
    fit,
    linear_or_zero,
    loader,
    mse,
    searcher,
    stopping,
    two_layers,
)
from torch import nn
from torch.utils.data import DataLoader

from asng.costs import Budget
from asng.errors import InputError, RunError
from asng.nn import Choice, Supernet
from asng.optim import ASNG
from asng.search import StopRule
from asng.search.finalists import FEWEST_STEPS, places_of, plan_of

EPOCHS = 40  # of 6 training and 3 validation batches


def final_searcher(supernet=None, loss=mse, **settings):
    return searcher(supernet, loss, **({"final": 0.5, "finalists": 3} | settings))


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


# --- what it costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 20, 100, 333, 1000, 12_345])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("finalists", [2, 8, 30])
@pytest.mark.parametrize(("lam_x", "moving", "lam_theta"), [(1, 1.0, 2), (1, 0.5, 2), (2, 0.0, 8)])
def test_a_plan_costs_no_more_than_the_search_without_a_final(
    steps, share, finalists, lam_x, moving, lam_theta
):
    for valid_batches in (1, 7, 200):
        rest = {"lam_x": lam_x, "moving": moving, "lam_theta": lam_theta, "valid_batches": valid_batches}
        plan = plan_of(steps, share=share, finalists=finalists, **rest)
        each = 3 * lam_x + moving * lam_theta
        comparing = 4 * plan.finalists * plan.batches
        cost = plan.steps * each + comparing + plan.finalists * (3 * plan.alone + valid_batches)
        assert cost <= steps * each
        assert 1 <= plan.steps <= steps
        assert plan.finalists == 0 or (plan.finalists >= 2 and plan.alone >= FEWEST_STEPS)
        assert (plan.steps == steps) == (plan.finalists == 0)


def test_all_passes_of_a_run_cost_no_more_than_without_a_final():
    cost = {}
    for final in (0.0, 0.5):
        calls = {True: 0, False: 0}

        def loss(forward, batch, calls=calls):
            calls[torch.is_grad_enabled()] += 1
            return mse(forward, batch)

        fit(searcher(loss=loss, final=final), epochs=EPOCHS)
        cost[final] = 3 * calls[True] + calls[False]
    assert 0.85 * cost[0.0] < cost[0.5] <= cost[0.0]


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_search_too_short_for_a_final_is_the_one_without(epochs):
    results = [fit(searcher(final=final), epochs=epochs) for final in (0.0, 0.5)]
    assert [result.steps for result in results] == [6 * epochs] * 2
    assert all(result.finalists == () and result.winner is None for result in results)
    assert same(results[0].supernet.state_dict(), results[1].supernet.state_dict())


# --- who comes in, and who wins ------------------------------------------------------------------------


@pytest.mark.parametrize("finalists", range(2, 40))
def test_all_places_are_dealt_out_and_theta_has_two_at_least(finalists):
    places = places_of(finalists)
    assert sum(places) == finalists
    assert places.likely >= 2
    assert min(places) >= 0
    assert places.likely <= places.anywhere + places.neighbours + 2


def layers(options=5, depth=3):
    """Choices one after another, of matrices that are all different: a space of 125."""
    torch.manual_seed(3)
    choices = [
        Choice([nn.Linear(3, 3) for _ in range(options)], label=f"layer{number}") for number in range(depth)
    ]
    return Supernet(nn.Sequential(*choices, nn.Linear(3, 1)))


def differing(one, other):
    return {name for name in one if one[name] != other[name]}


def test_finalists_are_those_of_theta_then_any_then_neighbours_of_the_best_up_to_then():
    result = fit(searcher(layers(), final=0.5), epochs=80)
    finalists = result.finalists
    roads = [finalist.road for finalist in finalists]
    assert sorted(roads[:5]) == ["theta"] * 3 + ["uniform"] * 2
    assert roads[5:] == ["neighbour"] * 3
    assert len({finalist.architecture for finalist in finalists}) == 8
    shared = [finalist.shared for finalist in finalists[:5]]
    assert shared == sorted(shared)
    for number in range(5, 8):
        best = min(finalists[:number], key=lambda finalist: finalist.alone)
        assert len(differing(best.architecture, finalists[number].architecture)) == 1
    best = min(finalists, key=lambda finalist: finalist.alone)
    assert result.architecture == best.architecture


def test_a_neighbour_is_compared_on_the_shared_weights_and_not_on_those_of_a_finalist():
    result = fit(searcher(layers(), final=0.5), "own generator", epochs=80)
    held = loader(24)  # all of them in one mean, whatever their order
    for finalist in result.finalists:
        with torch.no_grad():
            forward = partial(result.supernet, architecture=finalist.architecture)
            losses = [len(batch[0]) * float(mse(forward, batch)) for batch in held]
        assert finalist.shared == pytest.approx(sum(losses) / 24, rel=1e-5), finalist.road


class Settled(ASNG):
    """Draws its mode alone."""

    def ask(self, n=None):
        return [self.space.candidate(self.space.encode(self.best))] * n


def test_places_that_a_settled_theta_leaves_empty_are_for_uniform_draws():
    supernet = layers()
    search = searcher(supernet, architecture_optimizer=Settled(supernet.space), final=0.5, warmup=1.0)
    roads = [finalist.road for finalist in fit(search, epochs=80).finalists]
    assert [roads.count(road) for road in ("theta", "uniform", "neighbour")] == [1, 4, 3]


def test_other_seeds_draw_other_finalists():
    uniform = [
        {f.architecture for f in fit(searcher(layers(), final=0.5, seed=seed), epochs=80).finalists}
        for seed in (0, 1)
    ]
    assert uniform[0] != uniform[1]


@pytest.mark.parametrize("rule", ["minimize", "maximize"])
def test_the_objective_decides_and_not_the_loss(rule):
    def distance(forward, batch):  # least where the loss is least
        return float(mse(forward, batch)) * (1 if rule == "minimize" else -1)

    result = fit(final_searcher(**{rule: distance}), epochs=EPOCHS)
    sign = 1 if rule == "minimize" else -1
    assert result.architecture == min(result.finalists, key=lambda f: sign * f.alone).architecture
    assert [sign * f.shared for f in result.finalists] == sorted(sign * f.shared for f in result.finalists)


def test_every_finalist_begins_with_the_weights_of_the_search_and_sees_the_same_batches():
    search = final_searcher()
    first = {name: value.clone() for name, value in search.supernet.state_dict().items()}
    seen, begun = [], []

    def loss(forward, batch):
        if torch.is_grad_enabled():
            seen.append(batch[0])
            begun.append(same(search.supernet.state_dict(), first))
        return mse(forward, batch)

    search.loss = loss
    result = fit(search, "own generator", epochs=EPOCHS)
    alone = (len(seen) - result.steps) // 3
    assert [i for i, is_first in enumerate(begun) if is_first] == [
        0,
        *(result.steps + k * alone for k in range(3)),
    ]
    for k in range(alone):
        batches = [seen[result.steps + finalist * alone + k] for finalist in range(3)]
        assert torch.equal(batches[0], batches[1])
        assert torch.equal(batches[0], batches[2])
    assert torch.equal(seen[0], seen[result.steps])


def test_the_supernet_keeps_its_shared_weights_and_the_child_has_the_better_ones():
    runs = [
        fit(final_searcher(supernet), epochs=EPOCHS) for supernet in (two_layers(), two_layers(norm=True))
    ]
    for result in runs:
        won = next(f for f in result.finalists if f.architecture == result.architecture)
        assert (result.winner is None) == (won.shared <= won.alone)
        kept = {name: value.clone() for name, value in result.supernet.state_dict().items()}
        child, inherited = result.child.state_dict(), result.inherited().state_dict()
        assert same(child, inherited) == (result.winner is None)
        assert same(result.supernet.state_dict(), kept)
        if result.winner is not None:
            assert not same(result.winner, kept)


def test_architectures_that_differ_only_in_what_is_not_read_come_in_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = Choice([nn.Linear(3, 1), nn.Linear(3, 1, bias=False)], label="used")
            self.unused = Choice([nn.Identity(), nn.Tanh()], label="unused")

        def forward(self, x):
            return self.used(x)

    result = fit(final_searcher(Supernet(Net()), finalists=4), epochs=EPOCHS)
    assert sorted(f.architecture["used"] for f in result.finalists) == [0, 1]


def test_a_space_of_one_has_nobody_to_train_alone():
    supernet = Supernet(Choice({"only": nn.Linear(3, 1)}, label="op"))
    result = fit(final_searcher(supernet), epochs=EPOCHS)
    assert [f.alone for f in result.finalists] == [None]
    assert result.architecture["op"] == "only"
    assert result.winner is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_finalist_without_a_finite_objective_loses(bad):
    def objective(forward, batch):
        return bad if not forward(batch[0]).any() else 1.0

    result = fit(final_searcher(linear_or_zero(), minimize=objective, warmup=1.0), epochs=EPOCHS)
    assert result.architecture["op"] == "linear"


def test_finalists_are_within_the_budget():
    narrow = Choice(
        {"narrow": nn.Linear(3, 1, bias=False), "wide": nn.Sequential(nn.Linear(3, 9), nn.Linear(9, 1))}
    )
    result = fit(final_searcher(Supernet(narrow), cost=Budget("parameters", limit=5)), epochs=EPOCHS)
    assert [list(f.architecture.values()) for f in result.finalists] == [["narrow"]]
    assert result.cost["parameters"] <= 5


def test_where_none_is_within_the_budget_there_is_no_final_and_a_larger_limit_ends_the_run(tmp_path):
    with pytest.raises(RunError, match="parameters"):
        fit(final_searcher(cost=Budget("parameters", limit=1)), epochs=EPOCHS, run_dir=tmp_path)
    larger = final_searcher(cost=Budget("parameters", limit=1000))
    result = fit(larger, epochs=EPOCHS, run_dir=tmp_path, resume=True)
    assert result.finalists == ()


def test_a_search_that_settles_early_has_its_final():
    settled = {"stop": StopRule(entropy=0.9), "warmup": 0.0}
    trained = 0

    def loss(forward, batch):
        nonlocal trained
        trained += torch.is_grad_enabled()
        return mse(forward, batch)

    result = fit(final_searcher(linear_or_zero(), loss, **settled), epochs=160)
    trained -= result.steps  # those of the finalists
    assert result.reason == "entropy"
    whole = plan_of(960, share=0.5, finalists=3, lam_x=1, moving=1.0, lam_theta=2, valid_batches=3)
    assert trained == 2 * max(FEWEST_STEPS, whole.alone * 3 // 2 * result.steps // whole.steps)
    assert all(finalist.alone is not None for finalist in result.finalists)
    assert len(result.finalists) == 2


def test_a_loader_that_cannot_be_rewound_still_has_its_final():
    class Endless:
        """Yields other data in every pass, from a generator that nobody knows of."""

        def __init__(self):
            self.passes = 0

        def __len__(self):
            return 6

        def __iter__(self):
            self.passes += 1
            return iter(DataLoader(data(seed=self.passes), batch_size=8))

    result = final_searcher().fit(Endless(), loader(24), epochs=EPOCHS, progress=False)
    assert len(result.finalists) == 3


# --- stopped and taken up again ------------------------------------------------------------------------


def _whole(folder):
    search = final_searcher(two_layers(norm=True))
    return search, fit(search, "own generator", epochs=EPOCHS, run_dir=folder)


@pytest.mark.parametrize("back", [1, 2, 40, 41, 79, 80, 81, 120])
def test_a_run_interrupted_in_the_final_goes_on_as_if_it_had_not_been(back, tmp_path):
    search, result = _whole(tmp_path / "whole")
    start = json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[0])
    calls = result.steps + start["final"]["steps"] * start["final"]["finalists"]
    interrupted = final_searcher(two_layers(norm=True), loss=stopping(calls - back))
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, "own generator", epochs=EPOCHS, run_dir=tmp_path / "parts")
    torch.manual_seed(back)
    again = final_searcher(two_layers(norm=True))
    parts = fit(again, "own generator", epochs=EPOCHS, run_dir=tmp_path / "parts", resume=True)
    assert same(parts.supernet.state_dict(), result.supernet.state_dict())
    assert parts.finalists == result.finalists
    assert (parts.winner is None) == (result.winner is None)
    assert result.winner is None or same(parts.winner, result.winner)
    assert again.architecture_optimizer.state_dict() == search.architecture_optimizer.state_dict()
    assert events_without_clocks(tmp_path / "parts") == events_without_clocks(tmp_path / "whole")
    names = "architecture.json"
    assert (tmp_path / "parts" / names).read_text() == (tmp_path / "whole" / names).read_text()


def test_an_ended_run_is_read_back_with_its_finalists_and_its_winner(tmp_path):
    _, result = _whole(tmp_path)
    again = fit(
        final_searcher(two_layers(norm=True)), "own generator", epochs=EPOCHS, run_dir=tmp_path, resume=True
    )
    assert again.finalists == result.finalists
    assert same(again.child.state_dict(), result.child.state_dict())


def test_a_run_with_another_final_is_not_gone_on_with(tmp_path):
    _whole(tmp_path)
    for other in ({"finalists": 2}, {"final": 0.4}):
        with pytest.raises(RunError, match=r"its final is of 3 finalists|expected a run of"):
            fit(final_searcher(two_layers(norm=True), **other), epochs=EPOCHS, run_dir=tmp_path, resume=True)


def test_a_warmup_changed_between_two_parts_leaves_the_lengths_as_they_were_begun(tmp_path):
    whole = final_searcher(two_layers(norm=True), loss=stopping(100))
    with pytest.raises(KeyboardInterrupt):
        fit(whole, "own generator", epochs=EPOCHS, run_dir=tmp_path)
    begun = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])["final"]["steps"]
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        return mse(forward, batch)

    again = final_searcher(two_layers(norm=True), loss=loss, warmup=0.0)
    result = fit(again, "own generator", epochs=EPOCHS, run_dir=tmp_path, resume=True)
    assert 100 + calls == result.steps + 3 * begun


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"final": -0.1}, "final: expected a number in"),
        ({"final": 0.95}, "final: expected a number in"),
        ({"finalists": 1}, "finalists: expected an integer >= 2"),
    ],
)
def test_settings_of_the_final_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        searcher(**settings)
