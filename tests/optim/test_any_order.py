"""Ask, tell, save and load in any order: every optimiser goes on to the same bits, and says what is wrong."""

import json
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_every_optimizer import MAKERS, OTHER, SPACE

from asng.errors import InputError, RunError
from asng.optim import RandomSearch, Staged

LOSSES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-3, 3),
    st.sampled_from([1e300, -1e300, 5e-324, 0.0, -0.0]),
)


def bits(optimizer):
    """Return the whole state; JSON tells floats apart to the last bit, and -0.0 from 0.0."""
    return json.dumps(optimizer.state_dict(), allow_nan=False)


class AnyOrder(RuleBasedStateMachine):
    """An optimiser, and a twin that is always loaded from what was saved and then told the same."""

    make = None
    loaded_late = 0  # loads of a state that had learnt and has more to do

    def __init__(self):
        super().__init__()
        self.optimizer = self.make(SPACE, seed=5)
        self.saved = bits(self.optimizer)
        self.since = []  # what was done since it was saved
        self.asked, self.told = [], []

    @initialize(updates=st.integers(0, 5))
    def begin(self, updates):
        """Learn something first: rules are drawn too rarely in that order for it to come by chance."""
        for _ in range(updates):
            candidates = self.optimizer.ask()
            self.optimizer.tell(candidates, [float(sum(candidate.x)) for candidate in candidates])
        self.save()

    @rule(n=st.none() | st.integers(1, 9))
    def ask(self, n):
        candidates = self.optimizer.ask(n)
        assert len(candidates) == (self.optimizer.lam if n is None else n)
        for candidate in candidates:
            SPACE.check(candidate.architecture)
        self.asked += candidates
        self.since.append(("ask", n))

    @precondition(lambda self: len(self.asked) > 1)
    @rule(data=st.data())
    def tell(self, data):
        chosen = data.draw(st.lists(st.integers(0, len(self.asked) - 1), min_size=1, max_size=9, unique=True))
        losses = data.draw(st.lists(LOSSES, min_size=len(chosen), max_size=len(chosen)))
        names = st.none() | st.frozensets(st.sampled_from(sorted(SPACE)))
        candidates = [self.asked[i].with_active(data.draw(names)) for i in chosen]
        before = self.optimizer.generation
        told = (candidates, losses) if len(chosen) > 1 else (candidates[0], losses[0])
        self.optimizer.tell(*told)
        assert self.optimizer.generation - before in ((1,) if len(chosen) > 1 else (0, 1))
        self.told = candidates
        self.asked = [c for i, c in enumerate(self.asked) if i not in chosen]  # may be told late, or be lost
        self.since.append(("tell", told))

    @rule()
    def save(self):
        self.saved, self.since = bits(self.optimizer), []

    @rule()
    def load(self):
        """Another one takes up what was saved, does again what was done since, and takes its place."""
        candidates = self.optimizer.ask()
        told = candidates, [float(sum(candidate.x)) for candidate in candidates]
        self.optimizer.tell(*told)
        self.since += [("ask", None), ("tell", told)]
        twin = self.make(SPACE, seed=99)
        twin.load_state_dict(json.loads(self.saved))
        type(self).loaded_late += twin.generation > 0
        assert bits(twin) == self.saved
        for what, how in self.since:
            if what == "ask":
                twin.ask(how)
            else:
                twin.tell(*how)
        assert bits(twin) == bits(self.optimizer)
        assert twin.best == self.optimizer.best
        self.optimizer = twin

    @rule()
    def go_back(self):
        """Load in place: what was done since it was saved is forgotten."""
        self.optimizer.load_state_dict(json.loads(self.saved))
        assert bits(self.optimizer) == self.saved
        self.since, self.asked, self.told = [], [], []

    @precondition(lambda self: self.told)
    @rule()
    def tell_again(self):
        self.refused(
            self.told,
            [0.0] * len(self.told),
            r"candidates\[\d+\]: expected a draw that was not told|expected at least 2",
        )

    @precondition(lambda self: len(self.asked) > 1)
    @rule()
    def tell_wrongly(self):
        if not self.asked[0].origin.alone:
            self.refused(self.asked[:1], [0.0], "expected at least 2")
        self.refused(self.asked[0], "1", "losses: expected a flat sequence")
        self.refused(self.asked[:2], [0.0], "expected 2 numbers, one per candidate, got 1")
        self.refused(self.asked[:2], [0.0, None], "losses: expected a flat sequence")
        self.refused(self.asked[:2], [0.0, "1"], "losses: expected a flat sequence")
        self.refused([self.asked[0], OTHER.candidate([0.0])], [0.0, 1.0], "another space")
        self.refused([self.asked[0], 3], [0.0, 1.0], "expected a Candidate")

    @rule(data=st.data())
    def load_wrongly(self, data):
        state = json.loads(self.saved)
        key = data.draw(st.sampled_from(sorted(state)))
        state[key] = data.draw(st.sampled_from([None, "x", [], {}, -1, math.nan, [[1]], {"a": 1}, True]))
        before = bits(self.optimizer)
        try:
            self.optimizer.load_state_dict(state)
        except RunError as error:
            assert "state" in str(error)  # noqa: PT017 - it need not raise
            assert bits(self.optimizer) == before
        else:  # a search without a best has the loss None, for instance
            self.optimizer.load_state_dict(json.loads(self.saved))
            self.since, self.asked, self.told = [], [], []

    def refused(self, candidates, losses, match):
        before = bits(self.optimizer)
        with pytest.raises(InputError, match=match):
            self.optimizer.tell(candidates, losses)
        assert bits(self.optimizer) == before

    @invariant()
    def stays_in_its_bounds(self):
        optimizer = self.optimizer
        assert SPACE.contains(optimizer.best)
        assert 0.0 <= optimizer.entropy <= 1.0 + 1e-12
        assert math.isfinite(optimizer.delta)
        assert optimizer.delta > 0.0 or isinstance(optimizer, (RandomSearch, Staged))
        for name in ("op", "flag"):
            assert min(optimizer.theta[name]) > 0.0
            assert math.isclose(sum(optimizer.theta[name]), 1.0, abs_tol=1e-9)


@pytest.mark.parametrize("name", MAKERS)
def test_ask_tell_save_and_load_go_in_any_order(name):
    machine = type(AnyOrder.__name__, (AnyOrder,), {"make": staticmethod(MAKERS[name])})
    case = machine.TestCase
    case.settings = settings(max_examples=12, stateful_step_count=25, deadline=None, derandomize=True)
    case().runTest()
    assert machine.loaded_late > 0


@pytest.mark.parametrize("name", MAKERS)
def test_a_state_of_another_version_says_so(name):
    optimizer = MAKERS[name](SPACE)
    with pytest.raises(
        RunError, match=r"got 1: another version of asng saved it\. Continue with that version"
    ):
        optimizer.load_state_dict(optimizer.state_dict() | {"format": 1})
