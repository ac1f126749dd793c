"""Draws one by one, told whenever they come, while others are under way: several workers, one search."""

import numpy as np
import pytest

from asng.distributions import Product
from asng.optim import ASNG, Staged
from asng.optim.model import Archive, Model, surrogate_of
from asng.optim.surrogate import Coordinates
from asng.space import Integer, Real, Space

REALS = Space({"x": Real(-1.0, 1.0), "y": Real(-1.0, 1.0)})


def bowl(candidate):
    return sum((value - 0.3) ** 2 for value in candidate.architecture.values())


def test_what_a_model_proposed_counts_in_full_however_late():
    opt = Staged(REALS, budget=60, seed=0)
    late = [opt.ask(1)[0] for _ in range(40)]
    for candidate in late[:30]:
        opt.tell(candidate, bowl(candidate))
    early = [opt.ask(1)[0] for _ in range(6)]
    for candidate in [*late[30:], *early]:
        opt.tell(candidate, bowl(candidate))
    assert len(opt._state.archive) == 46


def test_draws_one_by_one_take_turns_as_those_of_a_batch_do(monkeypatch):
    opt, turns = Staged(REALS, budget=60, seed=0), []
    first = opt.ask()
    opt.tell(first, [bowl(c) for c in first])

    def note(*given, place, nearby, **others):
        turns.append((place, nearby))
        return given[3][:1] + 0.01 * len(turns)

    monkeypatch.setattr("asng.optim.staged.proposed", note)
    for _ in range(8):
        opt.ask(1)
    assert turns == 2 * [(0, False), (1, False), (0, True), (1, True)]


def test_what_is_under_way_is_not_proposed_again():
    space = Space({name: Integer(0, 3) for name in "ab"})
    opt = Staged(space, budget=60, seed=0)
    known = [space.candidate([float(a), float(b)]) for a in range(3) for b in range(4)]
    opt.tell(known, [c["a"] + c["b"] for c in known])
    under_way = [space.candidate([3.0, float(b)]) for b in range(3)]
    drawn = {(c["a"], c["b"]) for c in (opt.ask(1, under_way=under_way)[0] for _ in range(10))}
    assert (3, 3) in drawn
    assert not drawn & {(3, b) for b in range(3)}


def test_a_model_is_sure_of_what_is_near_to_a_point_under_way():
    product = Product(REALS)
    x = np.array([[-1.0, -1.0], [-0.9, -1.0], [-1.0, -0.9]])
    archive = Archive(x, (x**2).sum(axis=1), np.ones_like(x))
    model = Model.first(product.n_free)
    alone = surrogate_of(product, archive, model)
    other = surrogate_of(product, archive, model, np.zeros((1, len(REALS))))
    points = Coordinates.of(product, np.full((1, len(REALS)), 0.01))
    assert other.predicted(points)[0] == pytest.approx(alone.predicted(points)[0], abs=1e-6)
    assert other.predicted(points)[1] < 0.5 * alone.predicted(points)[1]


def test_draws_from_another_generator_leave_an_optimiser_as_it_was():
    opts = [Staged(REALS, budget=60, seed=0) for _ in range(2)]
    drawn = [opts[0].ask(1, rng=np.random.default_rng(seed))[0] for seed in range(5)]
    assert len({candidate["x"] for candidate in drawn}) == 5
    assert opts[0].state_dict()["generator"] == opts[1].state_dict()["generator"]


def test_late_reals_count_in_full_beyond_the_model():
    opt = Staged(REALS, budget=10_000, seed=0)
    late = [opt.ask(1)[0] for _ in range(8)]
    for _ in range(30):
        candidates = opt.ask()
        opt.tell(candidates, [bowl(c) for c in candidates])
    assert (opt.log_density(late) == opt.log_density(late, drawn=True)).all()


def test_densities_of_the_distribution_that_candidates_were_drawn_from():
    opt = ASNG(Space({name: Integer(0, 9) for name in "ab"}), seed=0)
    late = opt.ask()
    then = opt.log_density(late)
    for _ in range(3):
        candidates = opt.ask()
        opt.tell(candidates, [c["a"] + c["b"] for c in candidates])
    assert (opt.log_density(late) != then).any()
    assert opt.log_density(late, drawn=True) == pytest.approx(then)
