"""What every optimiser promises. A new one joins by a line in MAKERS."""

import copy
import math

import numpy as np
import pytest

from asng.errors import InputError, RunError
from asng.optim import ASNG, SNG, Adam, RandomSearch, Staged, StagedConstrained, StagedFront
from asng.testing import OPTIMIZER_CLAIMS
from asng.testing.optimizers import OTHER, SPACE

MAKERS = {
    "ASNG": ASNG,
    "ASNG lam 2": lambda space, **kw: ASNG(space, **{"lam": 2} | kw),
    "ASNG independent": lambda space, **kw: ASNG(space, sampling="independent", **kw),
    "ASNG.paper": ASNG.paper,
    "ASNG.paper mirrored": lambda space, **kw: ASNG.paper(space, mirrored=True, **kw),
    "SNG": SNG,
    "Adam": Adam,
    "RandomSearch": RandomSearch,
    "Staged": Staged,
}


class Short(StagedFront):
    """Goes through all stages in few evaluations."""

    _model_calls = 40


OF_ROWS = {"StagedConstrained": StagedConstrained, "StagedFront": Short}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.mark.parametrize("claim", OPTIMIZER_CLAIMS, ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("name", [*MAKERS, *OF_ROWS])
def test_every_optimizer_keeps_what_it_promises(name, claim):
    claim((MAKERS | OF_ROWS)[name])


# --- the words of errors ----------------------------------------------------------------------------------


class Learning:
    """As a tensor of torch that needs a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.parametrize(
    ("candidates", "losses", "match"),
    [
        ([], [], "at least 1"),
        (1, [], "losses: expected 1 numbers"),
        (2, [0.0], "losses: expected 2 numbers, one per candidate, got 1"),
        (2, [0.0, 1.0, 2.0], "losses: expected 2 numbers, one per candidate, got 3"),
        (2, ["1", "2"], "losses: expected a flat sequence of 2 numbers"),
        (2, [None, 1.0], "losses: expected a flat sequence"),
        (2, [[0.0], [1.0]], "losses: expected a flat sequence"),
        (2, [1j, 0.0], "losses: expected a flat sequence"),
        (
            2,
            [[0.0], [1.0, 2.0]],
            r"losses: expected a flat sequence .*got \[\[0.0\], \[1.0, 2.0\]\]\. Convert",
        ),
        (2, [Learning(), Learning()], "losses: expected a flat sequence"),
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


def test_a_theta_out_of_its_bounds_is_refused(make):
    opt, good = make(SPACE), make(SPACE).state_dict()
    if "theta" not in good:
        return
    for part in ("p", "std"):
        for bad in (math.nan, 0.0, -1.0):
            theta = good["theta"] | {part: [bad, *good["theta"][part][1:]]}
            with pytest.raises(RunError, match="state"):
                opt.load_state_dict(good | {"theta": theta})
