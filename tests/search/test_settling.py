"""When theta moves: an order that is kept lets it, one that is turned around does not."""

import math
from types import SimpleNamespace

import pytest
import torch
from problems import fit, loader, mse, searcher, stopping
from torch import nn

from asng.nn import Choice, Supernet
from asng.search.finalists import plan_of
from asng.search.settling import PROBES, Settling, correlation
from asng.space import Categorical, Space

SPACE = Space({f"v{k}": Categorical(["a", "b", "c"]) for k in range(4)})


class Scores:
    """Scores probes by their place in the order of a look; counts the looks."""

    def __init__(self, *orders, over=lambda architecture: False):
        self.orders, self.asked = iter(orders), []
        self.supernet = SimpleNamespace(space=SPACE)
        self.meter = SimpleNamespace(of=lambda a: SimpleNamespace(excess=float(over(a))))

    def means(self, probes, batches):
        self.asked.append((list(probes), batches))
        order = next(self.orders)
        return [SimpleNamespace(value=order(k)) for k in range(len(probes))]

    @staticmethod
    def worth(value, probe):
        return value if math.isfinite(value) else math.inf


def settled(*orders, **settings):
    settings = {"steps": 100, "warmup": None, "batches": 2, "seed": 0} | settings
    scores = Scores(*orders)
    one = Settling(scores, **settings)
    moved = []
    for step in range(settings["steps"]):
        moved.append(one.moves(step))
        one.look(step + 1)
    return one, moved, scores


def kept(k):
    return 0.1 * k**2


def turned(k):
    return -float(k)


@pytest.mark.parametrize("steps", [100, 101, 4])
def test_theta_moves_after_half_of_the_steps_if_the_order_is_kept(steps):
    one, moved, _ = settled(float, kept, steps=steps)
    assert one.settled
    assert moved == [step >= steps / 2 for step in range(steps)]


@pytest.mark.parametrize("second", [turned, lambda k: 1.0, lambda k: math.nan, lambda k: float(k * 7 % 16)])
def test_theta_stays_where_it_is_if_the_order_is_another(second):
    one, moved, _ = settled(float, second)
    assert not one.settled
    assert not any(moved)


def test_both_looks_are_at_the_same_different_probes_on_the_same_number_of_batches():
    _, _, scores = settled(float, kept)
    (first, batches), second = scores.asked
    assert second == (first, batches)
    assert (len(set(first)), batches) == (PROBES, 2)


def test_probes_are_within_the_budget_and_fewer_if_there_are_no_more():
    scores = Scores(float, float, over=lambda a: (a["v0"], a["v1"], a["v2"]) != ("a", "a", "a"))
    one = Settling(scores, steps=4, warmup=None, batches=1, seed=0)
    for step in (1, 2):
        one.look(step)
    assert all(probe["v2"] == "a" for probe in scores.asked[0][0])
    assert 2 <= len(scores.asked[0][0]) <= 3
    assert one.settled


@pytest.mark.parametrize("warmup", [0.0, 0.07, 1.0])
def test_after_a_given_share_theta_moves_and_nobody_looks(warmup):
    one, moved, scores = settled(warmup=warmup, batches=0)
    assert moved == [step >= round(100 * warmup) for step in range(100)]
    assert scores.asked == []
    assert one.settled


@pytest.mark.parametrize("second", [kept, turned])
def test_what_was_seen_at_the_first_look_goes_through_a_checkpoint(second):
    one = Settling(Scores(float), steps=100, warmup=None, batches=2, seed=0)
    one.look(25)
    again = Settling(Scores(second), steps=100, warmup=None, batches=2, seed=0)
    again.load_state_dict(one.state_dict())
    again.look(50)
    assert again.settled == (second is kept)
    third = Settling(Scores(), steps=100, warmup=None, batches=2, seed=0)
    third.load_state_dict(again.state_dict())
    assert third.moves(50) == again.settled


@pytest.mark.parametrize("finite", [0, 1, 15])
def test_scores_that_are_not_finite_rank_worst(finite):
    before = [float(k) for k in range(16)]
    after = [float(k) if k < finite else math.inf for k in range(16)]
    assert correlation(before, after) == (0.0 if finite == 0 else pytest.approx(correlation(before, after)))
    assert math.isfinite(correlation(before, after))
    assert correlation(before, [min(value, 99.0) for value in after]) == correlation(before, after)


# --- in a search -----------------------------------------------------------------------------------------

EPOCHS = 100  # of 6 training batches: enough for shared weights and looks on all 3 validation batches
SETTINGS = {"warmup": None, "final": 0.5, "finalists": 2}
PLAN = plan_of(600, share=0.5, finalists=2, lam_x=1, warmup=None, lam_theta=2, valid_batches=3)
LOOK = PROBES * PLAN.looked


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def scales():
    """A space of 125 whose outputs differ by a factor alone, whatever the weights."""
    choices = [Choice([Scale(1.1**k) for k in range(5)], label=f"scale{i}") for i in range(3)]
    torch.manual_seed(3)
    return Supernet(nn.Sequential(*choices, nn.Linear(3, 1, bias=False)))


def extent(forward, batch):
    return float(forward(batch[0]).abs().mean())


def counted(calls, turned_after=math.inf):
    def objective(forward, batch):
        calls.append(1)
        return extent(forward, batch) * (1.0 if len(calls) <= turned_after else -1.0)

    return objective


def test_looks_cost_what_the_plan_says_and_no_more():
    calls = []
    search = searcher(scales(), minimize=counted(calls, LOOK), **SETTINGS)
    with search.stepping(loader(), loader(24), epochs=EPOCHS) as loop:
        while loop.state.step < loop.state.steps:
            loop.one_step()
    assert PLAN.looked == 3
    assert loop.state.steps == PLAN.steps
    assert len(calls) == 2 * LOOK  # theta took no step
    assert PLAN.steps * PLAN.each + len(calls) <= 300 * PLAN.each


@pytest.mark.parametrize(("turned_after", "moves"), [(math.inf, True), (LOOK, False)])
def test_theta_of_a_search_moves_if_its_weights_order_as_they_did_and_else_not(turned_after, moves):
    search = searcher(scales(), minimize=counted([], turned_after), **SETTINGS)
    start = search.architecture_optimizer.theta.to_json()
    result = fit(search, epochs=EPOCHS)
    assert (search.architecture_optimizer.theta.to_json() != start) == moves
    assert ("theta" in {finalist.road for finalist in result.finalists}) <= moves
    assert (result.evaluated > 0) == moves


def test_a_search_stopped_between_or_after_its_looks_goes_on_as_if_it_had_not_been(tmp_path):
    def begun(loss=mse, **settings):
        search = searcher(scales(), loss, minimize=extent, **SETTINGS)
        return search, fit(search, epochs=EPOCHS, **settings)

    whole, result = begun()
    assert result.evaluated > 0  # theta moved
    for resume, step in enumerate([PLAN.steps // 2 - 1, 2]):  # the second counts from the first
        with pytest.raises(KeyboardInterrupt):
            begun(stopping(step), run_dir=tmp_path, resume=bool(resume))
    again, parts = begun(run_dir=tmp_path, resume=True)
    assert again.architecture_optimizer.state_dict() == whole.architecture_optimizer.state_dict()
    assert parts.finalists == result.finalists


def test_without_a_final_theta_moves_whatever_the_order():
    search = searcher(scales(), minimize=counted([], 1), warmup=None, final=0.0)
    result = fit(search)
    assert (result.steps, result.evaluated) == (24, 2 * 12)
