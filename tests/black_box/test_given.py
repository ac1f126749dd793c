"""What is known, and where to start: told before the first draw, paid for only where f has to be called."""

import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from black_boxes import MIXED, SMALL, Counted, mixed, small
from test_resume_black_box import same

from asng.black_box import minimize
from asng.errors import InputError, RunError
from asng.optim import ASNG, RandomSearch, Staged
from asng.space import Architecture, Integer, Space

START = [{"op": "b", "k": 5, "flag": True}, {"op": "a", "k": 1, "flag": False}]
GOOD = {"op": "c", "width": 18, "rate": 0.012, "one": 7}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_to_start_with_is_called_first(asynchronous):
    f = Counted(small)
    result = minimize(f, SMALL, 20, start=START, asynchronous=asynchronous)
    assert f.calls[:2] == START
    assert [one.generation == -1 for one in result.history[:3]] == [True, True, False]
    assert result.evaluated <= 20


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_known_costs_nothing_and_may_be_the_result(asynchronous):
    f = Counted(small)
    known = [(START[0], 1.0), (START[1], 5.5), ({"op": "b", "k": 4, "flag": True}, -1.0)]
    result = minimize(f, SMALL, 12, known=known, asynchronous=asynchronous)
    assert len(f.calls) == result.evaluated <= 12
    assert [one.cached for one in result.history[:3]] == [True] * 3
    assert not any(call == architecture for call in f.calls for architecture, _ in known)
    assert (dict(result.architecture), result.loss) == ({"op": "b", "k": 4, "flag": True}, -1.0)


@pytest.mark.parametrize("make", [None, Staged, ASNG, RandomSearch])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_known_loss_is_told_though_the_optimiser_changes_its_number_of_samples(make, asynchronous):
    space = Space({"x": Integer(0, 10), "y": Integer(0, 9)})
    known = [({"x": i // 4, "y": i % 4}, 50.0 - i) for i in range(39)]
    known[20] = known[20][0], -1000.0
    optimizer = None if make is None else make(space)
    f = Counted(lambda a: 10.0 + a["x"] + a["y"])
    result = minimize(f, space, 9, known=known, optimizer=optimizer, asynchronous=asynchronous)
    assert [(dict(one.architecture), one.loss) for one in result.history[:39]] == known
    assert not any(call == architecture for call in f.calls for architecture, _ in known)
    assert result.loss == -1000.0
    if make is Staged:
        assert optimizer.state_dict()["calls"] >= 39


def test_every_known_loss_is_told_again_after_a_resume(tmp_path):
    known = [({"op": "abc"[i % 3], "k": 1 + i % 5, "flag": False}, float(i)) for i in range(15)]
    minimize(small, SMALL, 4, known=known, run_dir=tmp_path)
    resumed = minimize(small, SMALL, 8, known=known, run_dir=tmp_path, resume=True)
    assert [one.loss for one in resumed.history[:15]] == list(range(15))
    same(resumed, minimize(small, SMALL, 8, known=known, optimizer=Staged(SMALL, budget=4)))


def test_an_earlier_search_can_be_given_whole_and_helps():
    earlier = minimize(mixed, MIXED, 120, seed=1)
    known = [(one.architecture, one.loss) for one in earlier.history]
    losses = [minimize(mixed, MIXED, 24, seed=s, known=known[:-40]).most_likely for s in range(2, 7)]
    alone = [minimize(mixed, MIXED, 24, seed=s).most_likely for s in range(2, 7)]
    assert sorted(map(mixed, losses))[2] < sorted(map(mixed, alone))[2]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2, 9])
def test_a_killed_search_goes_on_with_what_was_given(at, asynchronous, tmp_path):
    flags = {"start": [GOOD], "known": [(GOOD | {"width": 3}, 2.0)] * 9, "asynchronous": asynchronous}
    with pytest.raises(KeyboardInterrupt):
        minimize(Counted(mixed, dies_at=at), MIXED, 30, run_dir=tmp_path, **flags)
    f = Counted(mixed)
    result = minimize(f, MIXED, 30, run_dir=tmp_path, resume=True, **flags)
    same(result, minimize(mixed, MIXED, 30, **flags))
    assert len(f.calls) == 30 - at
    for other in ({}, {"start": [GOOD]}, flags | {"start": []}, flags | {"known": [(GOOD, 1.0)]}):
        with pytest.raises(RunError, match=r"expected a search with (start|known)="):
            minimize(f, MIXED, 30, run_dir=tmp_path, resume=True, **{"asynchronous": asynchronous} | other)


def test_a_known_loss_that_is_not_finite_ranks_worst(tmp_path):
    known = [(START[0], math.nan), (START[1], math.inf)]
    result = minimize(small, SMALL, 8, known=known, run_dir=tmp_path)
    assert math.isfinite(result.loss)
    again = minimize(small, SMALL, 12, known=known, run_dir=tmp_path, resume=True)
    assert again.architecture == minimize(small, SMALL, 12, known=known).architecture


def test_many_workers_begin_as_one_does():
    flags = {"start": START, "optimizer": RandomSearch(SMALL)}
    with ThreadPoolExecutor(4) as threads:
        beside = minimize(small, SMALL, 12, workers=threads, start=START)
    assert beside.history == minimize(small, SMALL, 12, start=START).history
    assert minimize(small, SMALL, 12, **flags).history[0].architecture == Architecture(START[0])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"start": {"op": "b"}}, "start: expected a list of architectures"),
        ({"start": [3]}, r"start\[0\]: expected an architecture or a dict, got 3"),
        (
            {"start": [*START, {"op": "z"}]},
            r"start\[2\]: architecture\['k'\]: expected|start\[2\]: .*got 'z'",
        ),
        ({"known": [START[0]]}, r"known\[0\]: expected \(architecture, loss\)"),
        ({"known": [(START[0], "1")]}, r"known\[0\]: expected a number as the loss, got '1'"),
        ({"known": [(START[0], 10**400)]}, r"known\[0\]: expected a number as the loss, got an integer of"),
        ({"known": [(START[0], Decimal("sNaN"))]}, r"known\[0\]: expected a number as the loss, got Decimal"),
        ({"known": [({"k": 1}, 1.0)]}, r"known\[0\]: architecture\['op'\]: expected a value"),
    ],
)
def test_what_is_no_architecture_is_refused(flags, message):
    with pytest.raises(InputError, match=message):
        minimize(small, SMALL, 10, **flags)
