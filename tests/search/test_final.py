"""The final: what it costs, what is found, and that it can be taken up again at every piece of work."""

import functools
import json
import math
from functools import partial

import pytest
import torch
from problems import (
    data,
    events_without_clocks,
    fit,
    layers,
    linear_or_zero,
    loader,
    mse,
    searcher,
    stopping,
    two_layers,
)
from torch import nn
from torch.utils.data import DataLoader

import asng
from asng import Integer, Real
from asng.costs import Budget
from asng.errors import InputError, RunError
from asng.nn import Choice, Supernet
from asng.report import write_report
from asng.search import StopRule
from asng.search.finalists import FEWEST_STEPS, final_plan, plan_of
from asng.search.loop import Loop

EPOCHS = 40
"""Of 6 training and 3 validation batches: a final of the whole cost, without shared weights."""
MORE = 90
"""Enough for shared weights as well, on which candidates are compared."""


def final_searcher(supernet=None, loss=mse, **settings):
    return searcher(supernet, loss, **({"final": 0.5, "finalists": 3} | settings))


def plan(epochs, finalists=3):
    """The plan of such a search, and of its final."""
    rest = {"finalists": finalists, "valid_batches": 3}
    whole = plan_of(6 * epochs, share=0.5, lam_x=1, warmup=0.5, lam_theta=2, **rest)
    return whole, final_plan(whole.cost, **rest, compare=whole.steps > 0)


def enough_for(finalists, *, shared):
    """Return epochs that are enough for so many finalists, with or without shared weights."""
    plans = ((epochs, *plan(epochs, finalists)) for epochs in range(10, 1000, 10))
    return next(
        epochs
        for epochs, whole, final in plans
        if final.finalists == finalists and (whole.steps > 0) == shared
    )


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


def counted(calls):
    """A loss that counts its passes: True for training, False for scoring; outputs known before cost none."""

    @functools.wraps(mse)
    def loss(forward, batch):
        if not getattr(forward, "known", False):
            calls.append(torch.is_grad_enabled())
        return mse(forward, batch)

    return loss


def last_of(result):
    return [finalist for finalist in result.finalists if finalist.longer is not None]


# --- what it costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "warmup"), [(EPOCHS, 0.5), (MORE, 0.5), (MORE, None)])
def test_all_passes_of_a_run_cost_no_more_than_without_a_final(epochs, warmup):
    cost = {}
    for final in (0.0, 0.5):
        calls = []
        search = final_searcher(layers(), counted(calls), final=final, warmup=warmup)
        result = fit(search, epochs=epochs)
        cost[final] = 3 * calls.count(True) + calls.count(False)
        assert (result.steps > 0) == (final == 0.0 or epochs == MORE)
    if warmup is not None:  # theta is in the first round if it has moved
        assert ("theta" in {finalist.road for finalist in result.finalists}) == (epochs == MORE)
    if warmup is None:  # theta moves if the order has settled; else it costs nothing
        assert 0.6 * cost[0.0] < cost[0.5] <= cost[0.0]
    else:
        assert 0.85 * cost[0.0] < cost[0.5] <= cost[0.0]


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_search_too_short_for_a_final_is_the_one_without(epochs):
    results = [fit(searcher(final=final), epochs=epochs) for final in (0.0, 0.5)]
    assert [result.steps for result in results] == [6 * epochs] * 2
    assert all(result.finalists == () and result.winner is None for result in results)
    assert same(results[0].supernet.state_dict(), results[1].supernet.state_dict())


# --- who comes in, and who wins ------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_good_finalists_are_trained_for_longer_and_one_of_them_is_found(shared):
    """All are of one size, of which nothing is thus believed."""
    search = searcher(layers(), final=0.5, finalists=10)
    result = fit(search, epochs=enough_for(10, shared=shared))
    assert len({finalist.architecture for finalist in result.finalists}) == len(result.finalists) == 10
    assert all(math.isfinite(finalist.alone) for finalist in result.finalists)
    assert all((finalist.shared is not None) == shared for finalist in result.finalists)
    two = last_of(result)
    assert len(two) == 2
    assert result.architecture in [finalist.architecture for finalist in two]
    ranks = sorted(result.finalists, key=lambda finalist: finalist.alone)
    assert max(map(ranks.index, two)) < len(ranks) / 2  # believed to be good, of whom a training says so


def test_of_few_finalists_only_the_best_is_trained_for_longer_and_found():
    result = fit(searcher(layers(), final=0.5, finalists=8), epochs=EPOCHS)
    (best,) = last_of(result)
    assert len(result.finalists) == 8
    assert result.architecture == best.architecture


def test_a_first_round_has_no_theta_that_has_not_moved():
    roads = [f.road for f in fit(final_searcher(layers(), warmup=1.0), epochs=MORE).finalists]
    assert "theta" not in roads


def test_a_score_is_of_the_shared_weights_and_has_the_sign_of_the_objective():
    """Also that of a neighbour, for which the shared weights come back between two rounds."""

    def accuracy(forward, batch):
        return -float(mse(forward, batch))

    held = DataLoader(data(24), batch_size=24)
    search = searcher(layers(), maximize=accuracy, final=0.5, finalists=8)
    result = search.fit(loader(), held, epochs=MORE, progress=False)
    (batch,) = held
    assert len(result.finalists) > 4
    for finalist in result.finalists:
        with torch.no_grad():
            expected = accuracy(partial(result.supernet, architecture=finalist.architecture), batch)
        assert finalist.shared == pytest.approx(expected, rel=1e-5), finalist.road
        assert finalist.alone < 0.0


@pytest.mark.parametrize(
    ("rule", "sign", "epochs"), [("minimize", 1, EPOCHS), ("maximize", -1, EPOCHS), ("maximize", -1, MORE)]
)
def test_the_objective_decides_by_its_own_sign(rule, sign, epochs):
    def distance(forward, batch):
        return sign * float(mse(forward, batch))

    result = fit(final_searcher(linear_or_zero(), **{rule: distance}), epochs=epochs)
    assert result.architecture["op"] == "linear"


def test_the_objective_decides_and_not_the_loss():
    """It is best where the loss is worst."""

    def distance(forward, batch):
        return float(mse(forward, batch))

    result = fit(final_searcher(linear_or_zero(), maximize=distance), epochs=EPOCHS)
    assert result.architecture["op"] == "zero"


class Level(nn.Module):
    """Gives a number, whatever the weights before it."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value + 0.0 * x


@pytest.mark.parametrize(("first", "second"), [(2, 7), (7, 2)])
def test_what_comes_of_the_longer_training_outweighs_the_shorter_one(first, second):
    supernet = Supernet(nn.Sequential(nn.Linear(3, 1), Choice([Level(k) for k in range(10)], label="level")))
    epochs = enough_for(10, shared=False)
    calls, alone = [], plan(epochs, finalists=10)[1].alone

    def objective(forward, batch):
        level = int(forward(batch[0])[0])
        if calls.count(True) <= 10 * alone:
            return {first: 0.5, second: 0.6}.get(level, 1.0 + 0.01 * level)
        return {first: 2.0, second: 0.1}[level]  # the last two

    search = final_searcher(supernet, counted(calls), minimize=objective, finalists=10)
    assert fit(search, epochs=epochs).architecture["level"] == second


@pytest.mark.parametrize("epochs", [EPOCHS, MORE])
def test_every_finalist_begins_with_the_weights_of_the_search_and_sees_the_same_batches(epochs):
    search = final_searcher()
    first = {name: value.clone() for name, value in search.supernet.state_dict().items()}
    seen, begun = [], []

    def loss(forward, batch):
        if torch.is_grad_enabled() and search.supernet.training:
            seen.append(batch[0])
            begun.append(same(search.supernet.state_dict(), first))
        return mse(forward, batch)

    search.loss = loss
    result = fit(search, "own generator", epochs=epochs)
    _, final = plan(epochs)
    lengths = [final.alone] * 3 + [final.longer] * final.last
    starts = [result.steps + sum(lengths[:k]) for k in range(len(lengths))]
    assert len(seen) == starts[-1] + lengths[-1]
    assert [i for i, is_first in enumerate(begun) if is_first] == ([0] if result.steps else []) + starts
    for start, length in zip(starts, lengths, strict=True):
        assert all(torch.equal(seen[start + k], seen[starts[-1] + k]) for k in range(length))
    assert torch.equal(seen[0], seen[starts[0]])


@pytest.mark.parametrize(
    ("rate", "share", "epochs", "shared_are_better"), [(0.025, 0.5, MORE, False), (0.001, 0.2, 220, True)]
)
def test_the_supernet_keeps_its_shared_weights_and_the_child_has_the_better_ones(
    rate, share, epochs, shared_are_better
):
    """At a small rate those are further on that were trained for longer."""
    optimizer = partial(torch.optim.SGD, lr=rate)
    search = final_searcher(layers(2), optimizer=optimizer, scheduler=None, final=share)
    result = fit(search, epochs=epochs)
    (best,) = last_of(result)
    (batch,) = loader(24, batch_size=24)
    with torch.no_grad():
        shared = float(mse(partial(result.supernet, architecture=best.architecture), batch))
    assert (shared < best.longer) == (result.winner is None) == shared_are_better
    kept = {name: value.clone() for name, value in result.supernet.state_dict().items()}
    child, inherited = result.child.state_dict(), result.inherited().state_dict()
    assert same(child, inherited) == shared_are_better
    assert same(result.supernet.state_dict(), kept)
    assert result.winner is None or not same(result.winner, kept)


def test_without_shared_weights_the_child_is_the_one_that_was_trained_alone():
    first = two_layers().state_dict()
    result = fit(final_searcher(), epochs=EPOCHS)
    assert result.steps == 0
    assert same(result.supernet.state_dict(), first)
    assert result.winner is not None
    won = next(f for f in result.finalists if f.architecture == result.architecture)
    whole = loader(24, batch_size=24)
    with torch.no_grad():
        (batch,) = whole
        assert float(mse(result.child, batch)) == pytest.approx(won.longer, rel=0.5)
        assert float(mse(result.inherited(), batch)) > 2 * won.longer


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


@pytest.mark.parametrize("epochs", [EPOCHS, MORE])
def test_a_space_of_one_has_it_trained_either_way(epochs):
    calls = []
    supernet = Supernet(Choice({"only": nn.Linear(3, 1)}, label="op"))
    result = fit(final_searcher(supernet, counted(calls)), epochs=epochs)
    (only,) = result.finalists
    assert result.architecture == only.architecture
    if epochs == MORE:  # it has the shared weights for itself
        assert (only.alone, result.winner) == (None, None)
    else:
        assert only.longer is not None
        assert calls.count(True) > 0.9 * 6 * EPOCHS
    (batch,) = loader(24, batch_size=24)
    with torch.no_grad():
        assert float(mse(result.child, batch)) < 0.1


def test_numbers_that_are_searched_come_in_within_their_bounds_and_the_budget():
    width, rate = Integer(2, 12, log=True), Real(0.0, 0.5)
    net = nn.Sequential(asng.nn.Linear(3, width), nn.ReLU(), asng.nn.Dropout(rate), asng.nn.Linear(width, 1))
    supernet = Supernet(net)
    search = final_searcher(supernet, cost=Budget("parameters", limit=41), finalists=6)
    result = fit(search, epochs=EPOCHS)
    assert len(result.finalists) == 6
    for finalist in result.finalists:
        supernet.space.check(finalist.architecture)
    widths = [value for f in result.finalists for value in f.architecture.values() if type(value) is int]
    assert max(widths) == 8  # the largest within the budget: of w are 5 w + 1 parameters
    assert result.cost["parameters"] <= 41


@pytest.mark.parametrize(
    ("bad", "epochs"), [*((bad, EPOCHS) for bad in (math.nan, math.inf, -math.inf)), (math.nan, MORE)]
)
def test_a_finalist_without_a_finite_objective_loses(bad, epochs):
    def objective(forward, batch):
        return bad if not forward(batch[0]).any() else 1.0

    result = fit(final_searcher(linear_or_zero(), minimize=objective, warmup=1.0), epochs=epochs)
    assert result.architecture["op"] == "linear"


def test_finalists_none_of_which_has_a_finite_objective_end_the_run_with_an_error(tmp_path):
    def objective(forward, batch):
        return math.nan

    message = r"minimize: expected a finite number from .*objective, got nan, nan"
    for resume in (False, True):
        search = final_searcher(minimize=objective)
        with pytest.raises(RunError, match=message):
            fit(search, epochs=EPOCHS, run_dir=tmp_path, resume=resume)
    assert not (tmp_path / "architecture.json").exists()


def test_a_final_without_steps_has_a_log_and_a_report(tmp_path):
    fit(final_searcher(), epochs=EPOCHS, run_dir=tmp_path)
    events = events_without_clocks(tmp_path)
    names = [event["event"] for event in events]
    assert names == ["start", "theta", "finalists", *["finalist"] * 4, "end"]
    assert events[2] == {"event": "finalists", "step": 0, "compared": 4, "batches": 0}
    assert [event["longer"] is None for event in events[3:-1]] == [True] * 3 + [False]
    assert "The final" in write_report(tmp_path).read_text()


def test_finalists_are_within_the_budget():
    narrow = Choice(
        {"narrow": nn.Linear(3, 1, bias=False), "wide": nn.Sequential(nn.Linear(3, 9), nn.Linear(9, 1))}
    )
    result = fit(final_searcher(Supernet(narrow), cost=Budget("parameters", limit=5)), epochs=EPOCHS)
    assert [list(f.architecture.values()) for f in result.finalists] == [["narrow"]]
    assert result.cost["parameters"] <= 5


@pytest.mark.parametrize("epochs", [EPOCHS, MORE])
def test_where_none_is_within_the_budget_there_is_no_final_and_a_larger_limit_ends_the_run(
    epochs, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:  # as if one were within that no draw hits
        patched.setattr("asng.costs.meter.CostMeter.check_budgets", lambda meter: None)
        with pytest.raises(RunError, match="parameters"):
            fit(final_searcher(cost=Budget("parameters", limit=1)), epochs=epochs, run_dir=tmp_path)
    larger = final_searcher(cost=Budget("parameters", limit=1000))
    result = fit(larger, epochs=epochs, run_dir=tmp_path, resume=True)
    assert result.finalists == ()


def test_a_search_that_settles_early_has_a_final_in_proportion():
    calls = []
    search = final_searcher(layers(), counted(calls), stop=StopRule(patience=100), warmup=0.0)
    result = fit(search, epochs=2 * MORE)
    rest = {"finalists": 3, "valid_batches": 3}
    whole = plan_of(12 * MORE, share=0.5, lam_x=1, warmup=0.0, lam_theta=2, **rest)
    assert result.reason == "patience"
    assert 100 < result.steps < 0.8 * whole.steps
    cost = whole.cost * result.steps / whole.steps
    final = final_plan(cost, **rest)
    assert calls.count(True) - result.steps == 3 * final.alone + final.last * final.longer
    assert (len(result.finalists), len(last_of(result))) == (3, final.last)


def test_a_search_that_settles_at_once_is_left_to_theta():
    """In proportion nothing is left for a final; a candidate that was drawn shall not win then."""
    search = final_searcher(layers(), stop=StopRule(patience=1), warmup=0.0)
    result = fit(search, epochs=MORE)
    assert result.reason == "patience"
    assert result.steps < FEWEST_STEPS
    assert result.finalists == ()
    assert result.architecture == search.architecture_optimizer.best


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


def test_validation_data_in_the_order_of_their_classes_are_scored_on_mixed_batches():
    labels = torch.arange(4).repeat_interleave(12)
    held = DataLoader(torch.utils.data.TensorDataset(torch.randn(48, 3), labels), batch_size=12)
    classes = []

    def objective(forward, batch):
        classes.append(len(batch[1].unique()))
        return float(forward(batch[0]).mean())

    def loss(forward, batch):
        return forward(batch[0]).square().mean()

    searcher(loss=loss, minimize=objective, final=0.5).fit(loader(), held, epochs=EPOCHS, progress=False)
    assert min(classes) > 1


# --- stopped and taken up again ------------------------------------------------------------------------


def stopped_after_each(monkeypatch, pieces):
    """Have a run stop after each piece of work that `pieces` says, told of the loop."""
    pause = Loop.pause

    def stopping_pause(self, interrupt, more):
        if pieces(self):
            interrupt.hear(terminated=False)
        pause(self, interrupt, more)

    monkeypatch.setattr(Loop, "pause", stopping_pause)


def at_every_kind_of_piece(loop):
    return loop.final.opened and loop.final.taken in (0, 1, loop.final.dealt.alone)


def resumed_until_it_ends(make, folder, **settings):
    for part in range(1000):
        torch.manual_seed(part)  # the state of the caller's generator must not matter
        search = make()
        try:
            return part, search, fit(search, run_dir=folder, resume=part > 0, **settings)
        except KeyboardInterrupt:
            continue
    raise AssertionError("does not end")


@pytest.mark.parametrize(
    ("supernet", "epochs", "finalists", "pieces"),
    [
        (partial(two_layers, norm=True), 9, 2, lambda loop: True),
        (layers, enough_for(9, shared=True), 9, at_every_kind_of_piece),
    ],
    ids=["every piece", "every kind of piece with shared weights"],
)
@pytest.mark.slow
def test_a_final_stopped_again_and_again_is_the_one_never_stopped(
    supernet, epochs, finalists, pieces, tmp_path, monkeypatch
):
    def falling(optimizer, steps):  # its length is not in its state
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / (steps + 1))

    def make():
        return final_searcher(supernet(), finalists=finalists, scheduler=falling)

    whole = make()
    settings = {"train": "own generator", "epochs": epochs}
    result = fit(whole, run_dir=tmp_path / "whole", **settings)
    stopped_after_each(monkeypatch, pieces)
    parts, again, other = resumed_until_it_ends(make, tmp_path / "parts", **settings)
    assert parts > 15
    assert other.finalists == result.finalists
    assert other.architecture == result.architecture
    assert (other.winner is None) == (result.winner is None)
    assert result.winner is None or same(other.winner, result.winner)
    assert same(other.supernet.state_dict(), result.supernet.state_dict())
    assert again.architecture_optimizer.state_dict() == whole.architecture_optimizer.state_dict()
    assert events_without_clocks(tmp_path / "parts") == events_without_clocks(tmp_path / "whole")


def test_an_ended_run_is_read_back_with_its_finalists_and_its_winner(tmp_path):
    def once(**settings):
        return fit(final_searcher(two_layers(norm=True)), epochs=EPOCHS, run_dir=tmp_path, **settings)

    result, again = once(), once(resume=True)
    assert again.finalists == result.finalists
    assert same(again.child.state_dict(), result.child.state_dict())


def test_a_run_with_another_final_is_not_gone_on_with(tmp_path):
    fit(final_searcher(), epochs=MORE, run_dir=tmp_path)
    for other in ({"finalists": 2}, {"final": 0.4}):
        with pytest.raises(RunError, match=r"its final has 3 finalists|expected a run of"):
            fit(final_searcher(**other), epochs=MORE, run_dir=tmp_path, resume=True)


def test_a_warmup_changed_between_two_parts_leaves_the_lengths_as_they_were_begun(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(final_searcher(loss=stopping(100)), epochs=MORE, run_dir=tmp_path)
    begun = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])["final"]["steps"]
    calls = []
    again = final_searcher(loss=counted(calls), warmup=0.0)
    result = fit(again, epochs=MORE, run_dir=tmp_path, resume=True)
    assert 100 + calls.count(True) == result.steps + 3 * begun + 2 * begun


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
