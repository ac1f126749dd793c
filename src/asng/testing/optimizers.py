"""The contract of every optimiser."""

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asng.errors import InputError, RunError
from asng.optim import Optimizer
from asng.space import Candidate, Categorical, Integer, Real, Space
from asng.testing.claims import equal, refused, true, try_all

__all__ = ["OPTIMIZER_CLAIMS", "check_optimizer"]

MakeOptimizer = Callable[..., Optimizer]
"""Makes an optimiser from (space, *, seed, lam); seed and lam are optional."""

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
"""Variables of every kind, some with a single value."""
OTHER = Space({"op": Categorical([1, 2])})


def check_optimizer(make: MakeOptimizer) -> None:
    """Check that an optimiser keeps the contract of `asng.optim.Optimizer`, by all of `OPTIMIZER_CLAIMS`.

    Args:
        make: A class or function of (space, *, seed, lam), of which seed and lam are optional.

    Raises:
        AssertionError: With a line for each claim that fails.

    Example:
        >>> from asng import RandomSearch
        >>> check_optimizer(RandomSearch)
    """
    try_all(OPTIMIZER_CLAIMS, make)


def it_is_an_optimizer(make: MakeOptimizer) -> None:
    """It has all names of `asng.optim.Optimizer`, and starts at generation 0."""
    opt = make(SPACE)
    missing = [name for name in dir(Optimizer) if name[0] != "_" and not hasattr(opt, name)]
    equal("missing names", missing, [])
    true("it", isinstance(opt, Optimizer), expected="an asng.optim.Optimizer", got=type(opt).__name__)
    equal("space", opt.space, SPACE)
    equal("generation", opt.generation, 0)
    true("lam", opt.lam >= 2, expected=">= 2", got=opt.lam)


def what_it_asks_lies_in_the_space(make: MakeOptimizer) -> None:
    """This holds after some updates too."""
    for candidate in _run(make(SPACE), 5).ask(50):
        inside = SPACE.contains(candidate.architecture)
        true("a candidate", inside, expected="an architecture of the space", got=candidate.architecture)
        equal("a variable of one value", (candidate["k"], candidate["one"]), (7, None))


def ask_returns_lam_candidates_or_as_many_as_wanted(make: MakeOptimizer) -> None:
    """Asking does not change the generation."""
    opt = make(SPACE, lam=6)
    equal("lengths of ask(), ask(1), ask(7)", [len(opt.ask()), len(opt.ask(1)), len(opt.ask(7))], [6, 1, 7])
    equal("generation after ask", opt.generation, 0)
    refused("ask(0)", lambda: opt.ask(0), InputError, names="n: expected")


def raw_coordinates_cannot_be_edited(make: MakeOptimizer) -> None:
    """Otherwise an update could learn from a point that was never sampled."""
    writeable = np.asarray(make(SPACE).ask()[0].x).flags.writeable
    equal("candidate.x.flags.writeable", writeable, False)


def the_same_seed_gives_the_same_search(make: MakeOptimizer) -> None:
    """The states are equal to the last bit."""
    states = [_run(make(SPACE, seed=3), 20).state_dict() for _ in range(2)]
    true("the states of two runs", states[0] == states[1], expected="the same", got=_differing(*states))


def another_seed_gives_another_search(make: MakeOptimizer) -> None:
    """The optimiser uses the seed."""
    first, other = (make(SPACE, seed=seed).ask()[0].architecture for seed in (3, 4))
    true("the first draws of two seeds", first != other, expected="two architectures", got=f"{first} twice")


def the_global_generators_are_left_alone(make: MakeOptimizer) -> None:
    """It samples from a generator of its own."""
    before = np.random.get_state()[1].tolist(), np.random.get_state()[2]  # type: ignore[index] # noqa: NPY002
    _run(make(SPACE, seed=3), 2)
    after = np.random.get_state()[1].tolist(), np.random.get_state()[2]  # type: ignore[index] # noqa: NPY002
    true("NumPy's global generator", before == after, expected="left as it was", got="another state")


def it_finds_a_good_architecture(make: MakeOptimizer) -> None:
    """300 updates with lam 6 and seed 1 find the best of 3 choices, and an integer of 13 values within 1."""
    best: Any = _run(make(SPACE, lam=6, seed=1), 300).best
    true("best", SPACE.contains(best), expected="an architecture of the space", got=best)
    good = best["op"] == "b" and abs(best["i"] - 5) <= 1
    true(
        "best after 300 updates", good, expected="op = 'b' and i in 4..6", got=f"{best['op']!r}, {best['i']}"
    )


def theta_is_read_by_name(make: MakeOptimizer) -> None:
    """Entries are probabilities or (mean, std), and a wrong name gets a hint.

    At the start, probabilities are uniform, and means are centred.
    """
    theta = make(SPACE).theta
    equal("names of theta", list(theta), list(SPACE))
    for name, value in {"op": [1 / 3] * 3, "one": [1.0], "k": (7.0, 0.0)}.items():
        close = np.allclose(theta[name], value, rtol=1e-6, atol=0)
        true(f"theta[{name!r}] at the start", close, expected=value, got=theta[name])
    for name, middle, half in (("i", 3.0, 6.0), ("lr", math.log(1e-2), math.log(1e2))):
        mean, std = theta[name]
        fits = math.isclose(mean, middle, rel_tol=1e-6) and 0.0 < std <= half * (1.0 + 1e-6)
        true(f"theta[{name!r}] at the start", fits, expected=f"({middle}, at most {half})", got=(mean, std))
    refused("theta['flg']", lambda: theta["flg"], KeyError, names="Did you mean 'flag'")


def editing_theta_does_not_change_the_search(make: MakeOptimizer) -> None:
    """Reading theta returns a copy."""
    opt = make(SPACE)
    probabilities: Any = opt.theta["op"]
    probabilities[:] = 9.0
    same = np.allclose(opt.theta["op"], 1 / 3)
    true("theta['op'] after a copy was edited", same, expected=[1 / 3] * 3, got=opt.theta["op"])


def entropy_starts_at_1_and_stays_in_its_range(make: MakeOptimizer) -> None:
    """Entropy is 1 at the start, when theta is undecided, and stays in [0, 1]."""
    opt = make(SPACE)
    true("entropy at the start", math.isclose(opt.entropy, 1, rel_tol=1e-6), expected=1, got=opt.entropy)
    later = _run(opt, 100).entropy
    true("entropy after 100 updates", 0 <= later <= 1, expected="in [0, 1]", got=later)


def delta_gamma_and_n_theta_are_numbers(make: MakeOptimizer) -> None:
    """n_theta counts K - 1 for each choice and 2 for each ordered variable, even with a single value."""
    opt = _run(make(SPACE), 3)
    equal("n_theta", opt.n_theta, 2 + 1 + 4 * 2)
    true("delta", opt.delta >= 0, expected=">= 0", got=opt.delta)
    true("gamma", 0 <= opt.gamma <= 1, expected="in [0, 1]", got=opt.gamma)


def tell_counts_generations_and_edits_nothing(make: MakeOptimizer) -> None:
    """It edits neither the list, nor the losses, nor the coordinates; a NaN loss is allowed."""
    opt = make(SPACE)
    candidates, losses = opt.ask(4), [3.0, 1.0, math.nan, 2.0]
    given, values, xs = list(candidates), list(losses), [np.array(c.x) for c in candidates]
    _tell(opt, candidates, losses)
    equal("generation after tell", opt.generation, 1)
    kept = len(given) == len(candidates) and all(a is b for a, b in zip(given, candidates, strict=True))
    true("the list of candidates after tell", kept, expected="as it was", got=candidates)
    kept = len(values) == len(losses) and all(a is b for a, b in zip(values, losses, strict=True))
    true("the losses after tell", kept, expected=values, got=losses)
    kept = all(np.array_equal(c.x, x) for c, x in zip(given, xs, strict=True))
    true("the coordinates after tell", kept, expected=xs, got=[c.x for c in given])


def hand_made_candidates_are_told_like_drawn_ones(make: MakeOptimizer) -> None:
    """A user's own guess may be told with sampled candidates, and losses may be an array."""
    opt = make(SPACE)
    mine = SPACE.candidate(SPACE.encode(SPACE.sample(np.random.default_rng(0))))
    _tell(opt, [mine, *opt.ask(2)], [0.0, 1.0, 2.0])
    losses: Any = np.array([0, 1])
    _tell(opt, [mine, *opt.ask(1)], losses)
    equal("generation after two tells", opt.generation, 2)


def a_candidate_told_before_is_refused(make: MakeOptimizer) -> None:
    """Otherwise it would count twice."""
    opt = make(SPACE)
    candidates = opt.ask(2)
    _tell(opt, candidates, [0.0, 1.0])
    _refuses_to_learn("the same candidates once more", opt, candidates, [0.0, 1.0], "not told before")


def one_of_several_is_told_without_a_list(make: MakeOptimizer) -> None:
    """A list of one candidate is likely an error, and is refused unless the candidate was sampled alone."""
    opt = make(SPACE)
    _refuses_to_learn("one of two in a list", opt, opt.ask(2)[:1], [0.0], "at least 2")
    _tell(opt, opt.ask(2)[0], 0.0)
    _tell(opt, opt.ask(1), [1.0])


def single_candidates_are_learnt_from_when_there_are_lam(make: MakeOptimizer) -> None:
    """The update is that of one `tell` with all of them; before there are lam, nothing changes."""
    one, other = make(SPACE, lam=6, seed=1), make(SPACE, lam=6, seed=1)
    candidates, twins = one.ask(), other.ask()
    _tell(one, candidates, [_loss(c) for c in candidates])
    for place, candidate in enumerate(twins):
        equal(f"generation after {place} single tells", other.generation, 0)
        _tell(other, candidate, _loss(candidate))
    states = one.state_dict(), other.state_dict()
    true("the states", states[0] == states[1], expected="the same", got=_differing(*states))


def late_candidates_are_told_in_any_order(make: MakeOptimizer) -> None:
    """It learns even if three generations are pending at a time and some candidates are lost."""
    opt, waiting = make(SPACE, lam=6, seed=1), []
    for turn in range(400):
        waiting += [opt.ask()]
        if len(waiting) == 3:
            candidates = waiting.pop(-1 if turn % 2 else 0)[: 4 if turn % 3 else 6]
            _tell(opt, candidates[::-1], [_loss(c) for c in candidates[::-1]])
    best: Any = opt.best
    good = best["op"] == "b" and abs(best["i"] - 5) <= 1
    true("best after late tells", good, expected="op = 'b' and i in 4..6", got=f"{best['op']!r}, {best['i']}")


def single_draws_and_late_single_tells_find_a_good_architecture(make: MakeOptimizer) -> None:
    """The results come as from eight workers of different speeds."""
    opt, rng = make(SPACE, lam=6, seed=1), np.random.default_rng(0)
    under_way = [opt.ask(1)[0] for _ in range(8)]
    for _ in range(1500):
        candidate = under_way.pop(int(rng.integers(8)))
        _tell(opt, candidate, _loss(candidate))
        under_way += opt.ask(1)
    best: Any = opt.best
    good = best["op"] == "b" and abs(best["i"] - 5) <= 1
    true("best of single tells", good, expected="op = 'b' and i in 4..6", got=f"{best['op']!r}, {best['i']}")


def what_waits_is_saved(make: MakeOptimizer) -> None:
    """The state has single tells, late ones too, pending candidates, and the strata of single samples."""
    straight, other = make(SPACE, lam=6, seed=1), make(SPACE, lam=6, seed=2)
    late = straight.ask(3)
    _run(straight, 3)
    under_way = [straight.ask(1)[0] for _ in range(4)]
    for candidate in (*late[:2], *under_way[:1]):
        _tell(straight, candidate, _loss(candidate))
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    for opt in (straight, other):
        for candidate in (late[2], *under_way[1:], *opt.ask(1), *opt.ask(1)):
            _tell(opt, candidate, _loss(candidate))
    states = _run(straight, 3).state_dict(), _run(other, 3).state_dict()
    true("the states later", states[0] == states[1], expected="the same", got=_differing(*states))


def what_cannot_be_told_is_refused(make: MakeOptimizer) -> None:
    """It raises an InputError that names the argument, and the state does not change."""
    wrongs: list[tuple[Any, Any, str]] = [
        ([], [], "at least 1"),
        (1, [], "losses: expected"),
        (2, [0.0], "losses: expected"),
        (2, [0.0, 1.0, 2.0], "losses: expected"),
        (2, ["1", "2"], "losses: expected"),
        (2, [None, 1.0], "losses: expected"),
        (2, [[0.0], [1.0]], "losses: expected"),
        (2, [1j, 0.0], "losses: expected"),
        ([1.0, 2.0], [0.0, 1.0], "candidates[0]: expected"),
        ([OTHER.candidate([0.0])] * 2, [0.0, 1.0], "another space"),
    ]
    for candidates, losses, names in wrongs:
        opt = make(SPACE)
        told = opt.ask(candidates) if isinstance(candidates, int) else candidates
        _refuses_to_learn(f"tell of {len(told)} candidates, {losses}", opt, told, losses, names)


def coordinates_out_of_their_variable_are_refused(make: MakeOptimizer) -> None:
    """Includes values from which the space cannot build a candidate."""
    good = make(SPACE).ask(1)[0]
    for bad in (math.nan, 3.0, -1.0, 0.5):
        wrong: Any = copy.copy(good)
        wrong.x = np.concatenate(([bad], good.x[1:]))
        _refuses_to_learn(f"the coordinate {bad}", make(SPACE), [wrong, good], [0.0, 1.0], "coordinates")


def lam_1_and_a_wrong_space_and_seed_are_refused(make: MakeOptimizer) -> None:
    """The constructor raises the errors."""
    refused("lam=1", lambda: make(SPACE, lam=1), InputError, names="lam: expected an integer >= 2")
    refused("a dictionary", lambda: make({"a": 1}), InputError, names="space: expected")
    refused("seed=-1", lambda: make(SPACE, seed=-1), InputError, names="seed: expected an integer >= 0")


def a_restored_search_goes_on_to_the_same_bits(make: MakeOptimizer) -> None:
    """The state survives JSON and includes the generator, so the seed of the restored one does not matter."""
    straight, other = _run(make(SPACE, seed=1), 7), make(SPACE, seed=2)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    equal("generation of the restored", other.generation, 7)
    states = _run(straight, 7).state_dict(), _run(other, 7).state_dict()
    true("the states 7 updates later", states[0] == states[1], expected="the same", got=_differing(*states))
    equal("best", other.best, straight.best)


def a_saved_state_does_not_change_later(make: MakeOptimizer) -> None:
    """The state is a copy."""
    opt = _run(make(SPACE), 2)
    saved = opt.state_dict()
    before = json.dumps(saved)
    _run(opt, 5).state_dict()
    equal("a state, 5 updates after it was saved", json.dumps(saved), before)


def an_unfit_state_is_refused_and_changes_nothing(make: MakeOptimizer) -> None:
    """A state is unfit if its space or lam differs, an entry is missing, or a value is invalid."""
    opt, good = _run(make(SPACE), 2), make(SPACE).state_dict()
    before = opt.state_dict()
    wrongs = [make(OTHER).state_dict(), {}, make(SPACE, lam=9).state_dict()]
    wrongs += [{name: value for name, value in good.items() if name != gone} for gone in good]
    bads: dict[str, tuple[Any, ...]] = {
        "format": (99,),
        "generator": (None, {}, {"bit_generator": "MT19937"}, 3),
        "generation": (-1, 1.5, "2", None, True),
    }
    numbers = (None, "x", [math.nan], -1.0, math.inf, [[1.0], [2.0, 3.0]])
    bads |= dict.fromkeys(("theta", "s", "gamma", "Delta", "m", "v", "t", "x"), numbers)
    wrongs += [good | {key: bad} for key in good for bad in bads.get(key, ())]
    for wrong in wrongs:
        what = f"a state with other {_differing(good, wrong)}"
        refused(what, lambda state=wrong: opt.load_state_dict(state), RunError, names="state")  # type: ignore[misc]
        true(f"{what}, refused", opt.state_dict() == before, expected="no change", got="another state")


OPTIMIZER_CLAIMS: tuple[Callable[[MakeOptimizer], None], ...] = (
    it_is_an_optimizer,
    what_it_asks_lies_in_the_space,
    ask_returns_lam_candidates_or_as_many_as_wanted,
    raw_coordinates_cannot_be_edited,
    the_same_seed_gives_the_same_search,
    another_seed_gives_another_search,
    the_global_generators_are_left_alone,
    it_finds_a_good_architecture,
    theta_is_read_by_name,
    editing_theta_does_not_change_the_search,
    entropy_starts_at_1_and_stays_in_its_range,
    delta_gamma_and_n_theta_are_numbers,
    tell_counts_generations_and_edits_nothing,
    hand_made_candidates_are_told_like_drawn_ones,
    a_candidate_told_before_is_refused,
    one_of_several_is_told_without_a_list,
    single_candidates_are_learnt_from_when_there_are_lam,
    late_candidates_are_told_in_any_order,
    single_draws_and_late_single_tells_find_a_good_architecture,
    what_waits_is_saved,
    what_cannot_be_told_is_refused,
    coordinates_out_of_their_variable_are_refused,
    lam_1_and_a_wrong_space_and_seed_are_refused,
    a_restored_search_goes_on_to_the_same_bits,
    a_saved_state_does_not_change_later,
    an_unfit_state_is_refused_and_changes_nothing,
)
"""All claims; each takes a function that makes an optimiser, and its name says what it claims."""


def _loss(candidate: Candidate) -> float:
    number: Any = candidate["i"]
    return float(abs(number - 5) + 3 * (candidate["op"] != "b"))


def _tell(opt: Optimizer, candidates: Any, losses: Any) -> None:
    """Tell one loss of each candidate: an optimiser of several gets it for all, without a violation."""
    if (m := opt.numbers_each - 1) > 0:
        several = hasattr(losses, "__len__")
        losses = [[loss] * m + [0.0] for loss in losses] if several else [losses] * m + [0.0]
    opt.tell(candidates, losses)


def _run(opt: Optimizer, updates: int) -> Optimizer:
    for _ in range(updates):
        candidates = opt.ask()
        _tell(opt, candidates, [_loss(c) for c in candidates])
    return opt


def _refuses_to_learn(what: str, opt: Optimizer, candidates: Any, losses: Sequence[Any], names: str) -> None:
    before = opt.state_dict()
    refused(what, lambda: _tell(opt, candidates, losses), InputError, names=names)
    true(f"the state after {what}", opt.state_dict() == before, expected="no change", got="another state")


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names of the entries in which two states differ."""
    return [name for name in {**one, **other} if one.get(name, ...) != other.get(name, ...)]
