"""benchmarks/step/growth.py measures the sizes that it says, and fits what is known."""

import random
from dataclasses import replace

import pytest

from benchmarks.step.growth import figures_of, measure, turns
from benchmarks.step.growths import axes
from benchmarks.step.growths.axes import AXES, AskTell, Base, Steps, architectures_of
from benchmarks.step.growths.fits import line_of, power_of
from benchmarks.step.growths.picture import draw

SMALL = Base(channels=2, nodes=2, batch=2, pixels=8)
SIZES = (10, 100, 1000, 10_000)


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(axes, "MOST", 4)


def steps_at(name, size):
    return AXES[name].side(SMALL, size)


def test_a_power_is_found_within_its_error():
    noise = random.Random(0)
    power = power_of(SIZES, [3.0 * size**1.7 * noise.lognormvariate(0.0, 0.05) for size in SIZES])
    assert power.slope == pytest.approx(1.7, abs=3 * power.error)
    assert 0.0 < power.error < 0.05
    assert power.factor == pytest.approx(3.0, rel=0.3)


def test_a_fixed_part_is_found_although_it_is_lost_in_the_largest_values():
    noise = random.Random(0)
    line = line_of(SIZES, [(5.0 + 2.0 * size) * noise.lognormvariate(0.0, 0.01) for size in SIZES])
    assert line.fixed == pytest.approx(5.0, abs=3 * line.fixed_error)
    assert line.fixed_error < 2.0
    assert line.each == pytest.approx(2.0, rel=0.02)
    assert line.off < 0.02


def test_what_is_off_the_line_is_seen():
    assert line_of(SIZES, [size**2 for size in SIZES]).off > 0.5
    assert line_of(SIZES, [4.0 + 3.0 * size for size in SIZES]).off < 1e-9


@pytest.mark.parametrize("size", AXES["candidates"].sizes[:2])
def test_a_step_trains_and_scores_so_many_candidates_and_all_turns_the_same(size):
    side = steps_at("candidates", size)
    assert [len(some) for some in side.drawn] == [size] * 2 * side.steps
    trained = [candidate.architecture for some in side.drawn[::2] for candidate in some]
    scored = [candidate.architecture for some in side.drawn[1::2] for candidate in some]
    assert [*trained, *scored] == side.architectures
    ran = []
    side.ours.supernet.register_forward_pre_hook(
        lambda _, __, words: ran.append(words["architecture"]), with_kwargs=True
    )
    side.turn()
    assert sorted(map(hash, ran)) == sorted(map(hash, side.architectures))


@pytest.mark.parametrize("size", AXES["batch"].sizes[::3])
def test_batches_are_of_so_many_images(size):
    loop = steps_at("batch", size).ours.loop
    assert {len(stream.next()[0]) for stream in (loop.trainer.stream, loop.scorer.stream)} == {size}


@pytest.mark.parametrize("size", AXES["cells"].sizes[:3:2])
def test_so_many_cells_run(size):
    side = steps_at("cells", size)
    ran = []
    for cell in side.ours.supernet.model.cells:
        cell.register_forward_hook(lambda module, *_: ran.append(module))
    side.turn()
    passes = 2 * SMALL.lam
    assert len(ran) == passes * size
    assert len(set(ran)) == size


@pytest.mark.parametrize("size", AXES["channels"].sizes[::3])
def test_the_first_cell_has_so_many_channels(size):
    assert steps_at("channels", size).ours.supernet.model.cells[0].conv.channels == size


@pytest.mark.parametrize("size", AXES["variables"].sizes[:3])
def test_so_many_variables_are_asked_and_told_so_often(size):
    side = AskTell(size)
    assert len(side.optimizer.space) == size
    side.turn()
    assert side.optimizer.generation == side.steps


def test_architectures_are_the_same_at_every_size():
    sides = [steps_at(name, size) for name in ("batch", "cells", "channels") for size in AXES[name].sizes[:2]]
    first = [[candidate.architecture for candidate in some] for some in sides[0].drawn]
    for side in sides[1:]:
        assert [[candidate.architecture for candidate in some] for some in side.drawn] == first


def test_the_architectures_differ():
    space = SMALL.setting().supernet().space
    assert len(set(architectures_of(space, 32))) == 32


@pytest.mark.slow
def test_multiply_adds_grow_with_the_batch_and_faster_than_channels():
    base = replace(SMALL, nodes=5)
    passed = {n: Steps(replace(base, batch=n), trained=2).passed for n in (2, 6)}
    assert passed[6] == 3 * passed[2]
    wider = Steps(replace(base, channels=4 * base.channels), trained=2).passed
    assert 4 * passed[2] < wider < 16 * passed[2]


class Counting:
    """Notes its turns."""

    def __init__(self, name, noted):
        self.name, self.noted, self.steps = name, noted, 1

    def turn(self):
        self.noted.append(self.name)


def test_every_repeat_has_all_sides_in_an_order_of_its_own_and_the_first_does_not_count():
    noted = []
    taken = turns({name: Counting(name, noted) for name in range(6)}, repeats=3)
    rounds = [noted[first : first + 6] for first in range(0, 24, 6)]
    assert len(noted) == 24
    assert all(sorted(some) == list(range(6)) for some in rounds)
    assert len({tuple(some) for some in rounds}) == 4
    assert {len(times) for clocks in taken.values() for times in clocks.values()} == {3}


@pytest.mark.slow
def test_every_figure_is_there_and_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(axes, "MOST", 8)  # architectures, and variables asked for, a turn: few will do
    monkeypatch.setattr(axes, "SHORTEST", 1000)
    few = {name: replace(axis, sizes=axis.sizes[:3]) for name, axis in AXES.items() if name != "channels"}
    few["channels"] = replace(AXES["channels"], sizes=(2, 4, 8))
    measured = measure(few, SMALL, repeats=2)
    assert measured.keys() == AXES.keys()
    for name, axis in measured.items():
        assert [row["size"] for row in axis["rows"]] == list(few[name].sizes)
        assert min(row[f"{clock}_ms"]["median"] for row in axis["rows"] for clock in ("cpu", "wall")) > 0.0
        assert ("over_multiply_adds" in axis["cpu"]) == (name != "variables")
    assert measured["batch"]["counted_slope"] == pytest.approx(1.0)
    draw(measured, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_figures_are_of_the_medians():
    rows = [
        {"size": n, "multiply_adds": n**2, "cpu_ms": {"median": 2.0 * n}, "wall_ms": {"median": 1.0 + n}}
        for n in (1, 10, 100)
    ]
    figures = figures_of("things", rows)
    assert figures["cpu"]["power"]["slope"] == pytest.approx(1.0)
    assert figures["cpu"]["over_multiply_adds"]["slope"] == pytest.approx(0.5)
    assert figures["wall"]["fixed_share"] == pytest.approx([1 / 2, 1 / 11, 1 / 101], abs=1e-4)
