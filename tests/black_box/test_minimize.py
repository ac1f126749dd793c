"""asng.minimize: what is paid, what is remembered, when it ends, and what comes back."""

import dataclasses
import json
import math

import numpy as np
import pytest
from black_boxes import GATED, MIXED, SMALL, Counted, gated, mixed, small
from hypothesis import given, settings
from hypothesis import strategies as st

import asng
from asng.black_box import MinimizeStopRule, minimize
from asng.optim import ASNG, SNG, RandomSearch, Staged
from asng.space import Architecture, Categorical, Integer, Space

variables = st.one_of(
    st.integers(1, 4).map(lambda k: Categorical(range(k))),
    st.tuples(st.integers(-3, 3), st.integers(0, 4)).map(lambda ends: Integer(ends[0], sum(ends))),
)
spaces = st.lists(variables, min_size=1, max_size=4).map(
    lambda found: Space({f"v{i}": variable for i, variable in enumerate(found)})
)


def scrambled(a):
    """A function of all values without any order in it."""
    return float(hash(tuple(a.values())) % 17)


@settings(max_examples=20)
@given(spaces, st.integers(1, 40), st.integers(0, 5))
def test_nothing_is_paid_for_twice_and_the_budget_holds(space, budget, seed):
    f = Counted(scrambled)
    result = minimize(f, space, budget, seed=seed)
    assert len(f.calls) == len({Architecture(call) for call in f.calls}) == result.evaluated <= budget
    paid = {one.architecture for one in result.history if not one.cached}
    assert paid == {Architecture(call) for call in f.calls}
    assert result.evaluated == budget or result.reason in ("exhausted", "converged")


@settings(max_examples=20)
@given(spaces, st.integers(1, 40))
def test_what_is_remembered_has_the_loss_that_was_paid_for(space, budget):
    known = {}
    for one in minimize(scrambled, space, budget).history:
        assert one.cached == (one.architecture in known)
        assert known.setdefault(one.architecture, one.loss) == one.loss == scrambled(one.architecture)


@settings(max_examples=20)
@given(spaces, st.integers(1, 40))
def test_the_best_is_the_first_of_the_least(space, budget):
    result = minimize(scrambled, space, budget)
    losses = [one.loss for one in result.history]
    assert result.loss == min(losses)
    assert result.architecture == result.history[losses.index(min(losses))].architecture
    assert space.contains(result.most_likely)


@given(st.integers(2, 60))
def test_with_noise_every_draw_is_paid_for(budget):
    f = Counted(small)
    result = minimize(f, SMALL, budget, noisy=True)
    assert len(f.calls) == result.evaluated == len(result.history) == budget
    assert not any(one.cached for one in result.history)
    assert result.reason == "budget"


def test_it_is_ask_and_tell_where_nothing_repeats():
    result = minimize(mixed, MIXED, 80, seed=3, activity=False)
    opt, losses = Staged(MIXED, budget=80, seed=3), []
    while len(losses) < 80:
        candidates = opt.ask()
        opt.tell(candidates, [mixed(c) for c in candidates])
        losses += [mixed(c) for c in candidates]
    assert [one.loss for one in result.history] == losses
    assert result.most_likely == opt.best


def test_a_space_is_searched_to_its_last_point_and_no_further():
    result = minimize(scrambled, SMALL, 1_000, optimizer=RandomSearch(SMALL, lam=8))
    assert (result.reason, result.evaluated) == ("exhausted", 30)


def test_a_search_that_draws_nothing_new_ends():
    space = Space({f"c{i}": Categorical(range(2)) for i in range(6)})
    result = minimize(lambda a: float(sum(a.values())), space, 10_000, optimizer=ASNG(space))
    assert result.reason == "converged"
    assert (result.loss, result.evaluated < 64) == (0.0, True)


def test_what_a_call_did_not_read_is_not_told_of():
    result = minimize(gated, GATED, 40)
    for one in result.history:
        closed = {f"in{i}" for i in range(4) if not one.architecture[f"gate{i}"]}
        read = set(GATED) if one.active is None else one.active
        assert read == set(GATED) - closed
    assert all(one.active is None for one in minimize(gated, GATED, 40, activity=False).history)


def test_activity_changes_what_is_learnt():
    told = {}

    class Spy(ASNG):
        def tell(self, candidates, losses):
            told.update({c.architecture: c.active for c in candidates})
            super().tell(candidates, losses)

    minimize(gated, GATED, 40, optimizer=Spy(GATED))
    assert told[next(a for a in told if not a["gate0"])].isdisjoint({"in0"})
    assert any(active is not None and "in1" in active for active in told.values())


def test_reading_everything_is_the_same_as_watching_nothing():
    runs = [minimize(lambda a: small(dict(a)), SMALL, 12, activity=watch) for watch in (True, False)]
    assert runs[0].history == runs[1].history


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (MinimizeStopRule(target=0.5), "target"),
        (MinimizeStopRule(patience=10), "patience"),
        (MinimizeStopRule(entropy=0.9), "entropy"),
        (MinimizeStopRule(seconds=1e-9), "seconds"),
    ],
)
def test_each_stop_rule_ends_the_search_after_its_generation(stop, reason):
    result = minimize(mixed, MIXED, 2_000, stop=stop)
    assert result.reason == reason
    assert result.evaluated < 2_000
    losses = [one.loss for one in result.history]
    if reason == "target":
        assert min(losses) <= 0.5 < min(losses[:-8])
    if reason == "patience":
        assert losses.index(min(losses)) + 1 + 10 <= len(losses) < losses.index(min(losses)) + 1 + 10 + 8


def test_callbacks_see_each_generation_and_may_end_the_search():
    seen = []

    def look(progress):
        seen.append(progress)
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
            progress.generation = 0
        progress.theta["op"][:] = 9.0
        return progress.generation == 3

    result = minimize(mixed, MIXED, 2_000, callbacks=[look])
    assert result.reason == "callback"
    assert [one.generation for one in seen] == [1, 2, 3]
    assert [one.evaluated for one in seen] == [8, 10, 12]
    assert [e for one in seen for e in one.evaluations] == list(result.history)
    assert seen[-1].best.loss == result.loss
    assert seen[-1].most_likely == result.most_likely
    assert result.history == minimize(mixed, MIXED, 12).history


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_losses_that_are_not_finite_rank_worst(bad):
    result = minimize(lambda a: bad if a["op"] == "b" else small(a), SMALL, 30)
    assert result.architecture["op"] != "b"
    assert result.loss == 2.0
    worst = minimize(lambda a: bad, SMALL, 30)
    assert worst.architecture == worst.history[0].architecture
    assert not math.isfinite(worst.loss)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(3), 2, True, np.array(1.5)])
def test_numbers_of_any_kind_are_losses(value):
    result = minimize(lambda a: value, SMALL, 2)
    assert result.loss == float(value)
    assert type(result.loss) is float


@pytest.mark.parametrize("optimizer", [SNG(SMALL, lam=4), RandomSearch(SMALL), ASNG.paper(SMALL)])
def test_any_optimiser_can_be_given(optimizer):
    result = minimize(small, SMALL, 20, optimizer=optimizer)
    assert result.evaluated == len({one.architecture for one in result.history}) <= 20
    assert result.generations == optimizer.generation


def test_the_same_seed_gives_the_same_search():
    assert minimize(mixed, MIXED, 50, seed=5).history == minimize(mixed, MIXED, 50, seed=5).history
    assert minimize(mixed, MIXED, 50, seed=5).history != minimize(mixed, MIXED, 50, seed=6).history


def test_it_is_a_name_of_asng():
    assert asng.minimize is minimize


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert minimize(small, SMALL, 10).folder is None
    assert list(tmp_path.iterdir()) == []


def test_the_folder_holds_what_was_found(tmp_path):
    result = minimize(small, SMALL, 30, run_dir=tmp_path / "run")
    text = (tmp_path / "run" / "architecture.json").read_text()
    assert Architecture.from_json(text) == result.architecture
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "end"]
    assert sum(event["event"] == "evaluation" for event in events) == result.evaluated
    assert events[-1]["reason"] == result.reason


def test_the_history_comes_as_columns():
    result = minimize(gated, GATED, 30)
    columns = result.columns()
    assert {len(column) for column in columns.values()} == {len(result.history)}
    assert columns["loss"] == [one.loss for one in result.history]
    for i, one in enumerate(result.history):
        for name, value in one.architecture.items():
            assert columns[name][i] == (value if one.active is None or name in one.active else None)
    named = minimize(lambda a: a["loss"], Space({"loss": Integer(0, 5)}), 3).columns()
    assert named["variable loss"] == named["loss"]
