"""Whole runs: against one written out, and independent of what is beside them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_by_hand import SMALL, one_run

from asng.experiments.toy import simulate as module
from asng.experiments.toy.problem import Streams
from asng.experiments.toy.simulate import _Runs, simulate
from asng.settings import GridPoint

SHORT = replace(SMALL, iterations=150)
CELLS = [GridPoint("ASNG", exponent, rate) for exponent in (0.0, 0.5, 1.0) for rate in (0.01, 0.2)]


COLUMNS = ("stopped", "right_when_stopped", "found", "settled", "right_at_end")


def of_seed(cell, place):
    return {name: getattr(cell, name)[place] for name in COLUMNS}


def at_end(cells, seeds, grid=SMALL):
    """Return the state of runs, one a cell and seed, after the last iteration."""
    streams = Streams(sorted(set(seeds)), grid.variables, grid.choices)
    runs = _Runs(grid, cells, streams, np.array([sorted(set(seeds)).index(seed) for seed in seeds]))
    for t, draw in enumerate(streams.draws(grid.iterations), start=1):
        runs.step(t, draw)
    return runs


def test_a_run_goes_as_one_written_out_sample_by_sample():
    cells, seeds = [GridPoint("ASNG", 0.0, 0.05), GridPoint("ASNG", 0.5, 0.02)], [0, 1]
    got, state = simulate(SMALL, cells, seeds), at_end([cell for cell in cells for _ in seeds], seeds * 2)
    for row, cell in enumerate(cells):
        for place, seed in enumerate(seeds):
            outcome, x, theta = one_run(SMALL, cell, seed)
            assert of_seed(got[row], place) == outcome
            np.testing.assert_allclose(state.x[..., 2 * row + place], x, rtol=1e-9)
            np.testing.assert_allclose(state.method.theta[..., 2 * row + place], theta, rtol=1e-9)
    # Otherwise nothing was compared.
    for name in ("stopped", "found", "settled"):
        assert any(value is not None for cell in got for value in getattr(cell, name))


@pytest.mark.parametrize("name", ["ASNG", "SNG", "Adam"])
@given(data=st.data())
@settings(max_examples=8)
def test_a_run_does_not_depend_on_those_beside_it(name, data):
    cells = [cell._replace(method=name) for cell in CELLS]
    some = data.draw(st.lists(st.sampled_from(cells), min_size=1, max_size=6, unique=True))
    seeds = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True))
    together = simulate(SHORT, some, seeds)
    cell, seed = data.draw(st.sampled_from(some)), data.draw(st.sampled_from(seeds))
    alone = simulate(SHORT, [cell], [seed])[0]
    assert of_seed(together[some.index(cell)], seeds.index(seed)) == of_seed(alone, 0)


def test_no_bit_of_a_run_depends_on_those_beside_it():
    """The outcomes above are whole numbers; here x and theta, over widths that NumPy may treat apart."""
    ends = {}
    for width in (2, 3, 7, 8, 9, 33):
        runs = at_end([CELLS[0]] * width, list(range(width)), SHORT)
        ends[width] = (runs.x[..., 1].tobytes(), runs.method.theta[..., 1].tobytes())
    assert len(set(ends.values())) == 1


def test_a_lone_run_is_not_done_alone(monkeypatch):
    """NumPy would sum its single column in another order, and so to other last bits."""
    widths = []

    class Spy(_Runs):
        def __init__(self, settings, cells, *rest):
            widths.append(len(cells))
            super().__init__(settings, cells, *rest)

    monkeypatch.setattr(module, "_Runs", Spy)
    assert len(simulate(SHORT, [CELLS[0]], [0])[0].stopped) == 1
    assert widths == [2]


def test_seeds_have_numbers_of_their_own_and_keep_them():
    both, one = Streams([3, 4], 2, 3), Streams([4], 2, 3)
    np.testing.assert_array_equal(both.first_weights()[..., 1:], one.first_weights())
    assert not np.array_equal(*np.moveaxis(both.first_weights(), -1, 0))
    for left, right in zip(both.draws(300), one.draws(500), strict=False):
        np.testing.assert_array_equal(left.u[..., 1:], right.u)
        np.testing.assert_array_equal(left.z[..., 1:], right.z)


def test_the_noise_has_the_deviation_of_the_problem():
    z = np.stack([draw.z for draw in Streams([0], 30, 5).draws(2000)])
    # 120,000 numbers: the deviation is known to 0.2 %, and this is 10 standard errors of it.
    assert z.std() == pytest.approx(1 / 5, rel=0.02)


def test_weights_that_diverge_are_no_error():
    wild, cell = replace(SHORT, iterations=400, learning_rates=(900.0,)), GridPoint("Adam", 0.0, 900.0)
    assert simulate(wild, [cell], [0])[0].stopped == (None,)
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(at_end([cell] * 2, [0, 1], wild).x).all()
