"""What every optimiser promises. A new one joins by a line in MAKERS."""

import copy
import json
import math

import numpy as np
import pytest

from asng.errors import InputError, RunError
from asng.optim import ASNG, SNG, Adam, Optimizer, RandomSearch
from asng.space import Categorical, Integer, Real, Space

MAKERS = {
    "ASNG": ASNG,
    "ASNG lam 2": lambda space, **kw: ASNG(space, **{"lam": 2} | kw),
    "ASNG independent": lambda space, **kw: ASNG(space, sampling="independent", **kw),
    "ASNG.paper": ASNG.paper,
    "ASNG.paper mirrored": lambda space, **kw: ASNG.paper(space, mirrored=True, **kw),
    "SNG": SNG,
    "Adam": Adam,
    "RandomSearch": RandomSearch,
}
SPACE = Space(
    {
        "op": Categorical(["a", "b", "c"]),
        "k": Integer(7, 7),
        "i": Integer(-3, 9),
        "w": Integer(1, 64, log=True),
        "one": Categorical([None]),
        "r": Real(0.0, 0.5),
        "lr": Real(1e-4, 1.0, log=True),
        "flag": Categorical([True, False]),
    }
)


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def loss(candidate):
    return float(abs(candidate["i"] - 5) + 3 * (candidate["op"] != "b"))


def run(opt, updates):
    for _ in range(updates):
        candidates = opt.ask()
        opt.tell(candidates, [loss(c) for c in candidates])
    return opt


def test_it_is_an_optimizer(make):
    opt = make(SPACE)
    assert isinstance(opt, Optimizer)
    assert (opt.space, opt.generation) == (SPACE, 0)
    assert opt.lam >= 2


def test_what_it_asks_lies_in_the_space(make):
    for candidate in run(make(SPACE), 5).ask(50):
        SPACE.check(candidate.architecture)
        assert (candidate["k"], candidate["one"]) == (7, None)


def test_ask_returns_lam_candidates_or_as_many_as_wanted(make):
    opt = make(SPACE, lam=6)
    assert [len(opt.ask()), len(opt.ask(1)), len(opt.ask(7))] == [6, 1, 7]
    assert opt.generation == 0
    with pytest.raises(InputError, match="n: expected an integer >= 1, got 0"):
        opt.ask(0)


def test_raw_coordinates_cannot_be_edited(make):
    with pytest.raises(ValueError, match="read-only"):
        make(SPACE).ask()[0].x[0] = 1.0


def test_the_same_seed_gives_the_same_search(make):
    assert run(make(SPACE, seed=3), 20).state_dict() == run(make(SPACE, seed=3), 20).state_dict()


def test_another_seed_gives_another_search(make):
    assert make(SPACE, seed=3).ask()[0].architecture != make(SPACE, seed=4).ask()[0].architecture


def test_it_finds_a_good_architecture(make):
    best = run(make(SPACE, lam=6, seed=1), 300).best
    assert SPACE.contains(best)
    assert best["op"] == "b"
    assert abs(best["i"] - 5) <= 1


def test_theta_is_read_by_name(make):
    opt = make(SPACE)
    np.testing.assert_allclose(opt.theta["op"], 1 / 3)
    np.testing.assert_array_equal(opt.theta["one"], [1.0])
    assert opt.theta["k"] == (7.0, 0.0)
    assert opt.theta["i"] == (3.0, 6.0)
    assert opt.theta["lr"] == pytest.approx((math.log(1e-2), math.log(1e2)))
    assert list(opt.theta) == list(SPACE)
    with pytest.raises(KeyError, match=r"'flg' is no variable of the space. Did you mean 'flag'"):
        opt.theta["flg"]


def test_editing_theta_does_not_change_the_search(make):
    opt = make(SPACE)
    opt.theta["op"][:] = 9.0
    np.testing.assert_allclose(opt.theta["op"], 1 / 3)


def test_entropy_starts_at_1_and_stays_in_its_range(make):
    opt = make(SPACE)
    assert opt.entropy == pytest.approx(1)
    assert 0 <= run(opt, 100).entropy <= 1


def test_delta_gamma_and_n_theta_are_numbers(make):
    opt = run(make(SPACE), 3)
    assert opt.n_theta == 2 + 1 + 4 * 2
    assert opt.delta >= 0
    assert 0 <= opt.gamma <= 1


def test_tell_counts_generations_and_edits_nothing(make):
    opt = make(SPACE)
    candidates, losses = opt.ask(4), [3.0, 1.0, math.nan, 2.0]
    xs = [c.x.copy() for c in candidates]
    opt.tell(candidates, losses)
    assert (opt.generation, len(candidates)) == (1, 4)
    assert losses[:2] == [3.0, 1.0]
    assert all((c.x == x).all() for c, x in zip(candidates, xs, strict=True))


def test_hand_made_candidates_are_told_like_drawn_ones(make):
    opt = make(SPACE)
    mine = SPACE.candidate(SPACE.encode(SPACE.sample(np.random.default_rng(0))))
    opt.tell([mine, *opt.ask(2)], [0.0, 1.0, 2.0])
    opt.tell([mine, *opt.ask(1)], np.array([0, 1]))
    assert opt.generation == 2


def test_a_candidate_told_before_is_refused(make):
    opt = make(SPACE)
    candidates = opt.ask(2)
    opt.tell(candidates, [0.0, 1.0])
    before = opt.state_dict()
    with pytest.raises(InputError, match=r"candidates\[0\]: expected a draw of generation 1.*Ask again"):
        opt.tell(candidates, [0.0, 1.0])
    assert opt.state_dict() == before


OTHER = Space({"op": Categorical([1, 2])})


@pytest.mark.parametrize(
    ("candidates", "losses", "match"),
    [
        ([], [], "at least 2"),
        (1, [0.0], "at least 2"),
        (2, [0.0], "losses: expected 2 numbers, one a candidate, got 1"),
        (2, [0.0, 1.0, 2.0], "losses: expected 2 numbers, one a candidate, got 3"),
        (2, ["1", "2"], "losses: expected a flat sequence of 2 numbers"),
        (2, [None, 1.0], "losses: expected a flat sequence"),
        (2, [[0.0], [1.0]], "losses: expected a flat sequence"),
        (2, [1j, 0.0], "losses: expected a flat sequence"),
        ([1.0, 2.0], [0.0, 1.0], r"candidates\[0\]: expected a Candidate, got 1.0"),
        ([OTHER.candidate([0.0])] * 2, [0.0, 1.0], "another space"),
    ],
)
def test_what_cannot_be_told_is_refused(make, candidates, losses, match):
    opt = make(SPACE)
    if isinstance(candidates, int):
        candidates = opt.ask(candidates)
    before = opt.state_dict()
    with pytest.raises(InputError, match=match):
        opt.tell(candidates, losses)
    assert opt.state_dict() == before


def test_coordinates_out_of_their_variable_are_refused(make):
    good = make(SPACE).ask(1)[0]
    for bad in (math.nan, 3.0, -1.0, 0.5):
        wrong = copy.copy(good)
        wrong.x = np.concatenate(([bad], good.x[1:]))
        with pytest.raises(InputError, match="finite coordinates, and indices of choices"):
            make(SPACE).tell([wrong, good], [0.0, 1.0])


def test_lam_1_and_a_wrong_space_and_seed_are_refused(make):
    with pytest.raises(InputError, match="lam: expected an integer >= 2"):
        make(SPACE, lam=1)
    with pytest.raises(InputError, match=r"space: expected an asng\.Space"):
        make({"a": 1})
    with pytest.raises(InputError, match="seed: expected an integer >= 0"):
        make(SPACE, seed=-1)


def test_a_restored_search_goes_on_to_the_same_bits(make):
    straight, other = run(make(SPACE, seed=1), 7), make(SPACE, seed=2)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert other.generation == 7
    assert run(straight, 7).state_dict() == run(other, 7).state_dict()
    assert straight.best == other.best


def test_a_saved_state_does_not_change_later(make):
    opt = run(make(SPACE), 2)
    saved = opt.state_dict()
    text = json.dumps(saved)
    run(opt, 5)
    assert json.dumps(saved) == text


def test_an_unfit_state_is_refused_and_changes_nothing(make):
    opt, good = run(make(SPACE), 2), make(SPACE).state_dict()
    before = opt.state_dict()
    wrongs = [make(OTHER).state_dict(), {}, make(SPACE, lam=9).state_dict(), good | {"format": 99}]
    wrongs += [good | {"generator": bad} for bad in (None, {}, {"bit_generator": "MT19937"}, 3)]
    wrongs += [good | {"generation": bad} for bad in (-1, 1.5, "2", None, True)]
    wrongs += [{name: value for name, value in good.items() if name != gone} for gone in good]
    for key in set(good) & {"theta", "s", "gamma", "Delta", "m", "v", "t", "x"}:
        wrongs += [good | {key: bad} for bad in (None, "x", [math.nan], -1.0, math.inf, [[1.0], [2.0, 3.0]])]
    for wrong in wrongs:
        with pytest.raises(RunError, match="state"):
            opt.load_state_dict(wrong)
        assert opt.state_dict() == before


def test_a_theta_out_of_its_bounds_is_refused(make):
    opt, good = make(SPACE), make(SPACE).state_dict()
    if "theta" not in good:
        return
    for part in ("p", "std"):
        for bad in (math.nan, 0.0, -1.0):
            theta = good["theta"] | {part: [bad, *good["theta"][part][1:]]}
            with pytest.raises(RunError, match="state"):
                opt.load_state_dict(good | {"theta": theta})
