"""The mixed space of inpainting, searched over 5,000 steps by a loss that some of its integers decide."""

import statistics

import numpy as np
import pytest

from asng import ASNG, Categorical, Integer, Space
from asng.supernets.autoencoder.wiring import channels_variable, node_variables, output_variables

STEPS = 5_000
BEST = {
    "node1.channels": 82,
    "node5.channels": 160,
    "node9.channels": 239,
    "node2.kernel": 1,
    "node6.kernel": 3,
    "node7.kernel": 5,
    "node4.skip": True,
    "node11.input": "node8",
}


def _space():
    variables = list(output_variables(20, 5).values())
    for node in range(1, 21):
        variables += node_variables(node, 5, [1, 3, 5], mixed=True).values()
        variables.append(channels_variable(node, [64, 256], mixed=True))
    return Space({variable.label: variable for variable in variables})


def _loss(a, space):
    ranges = {n: space[n].high - space[n].low for n in BEST if isinstance(space[n], Integer)}
    squares = sum(((a[name] - BEST[name]) / size) ** 2 for name, size in ranges.items())
    return squares + 0.1 * sum(a[n] != BEST[n] for n in BEST if isinstance(space[n], Categorical))


def _searched(*, lam, seed, told):
    """Return the mixed space, theta at the start and after 5,000 steps."""
    space = _space()
    opt = ASNG(space, lam=lam, seed=seed)
    start = dict(opt.theta)
    for _ in range(STEPS):
        candidates = opt.ask()
        losses = [_loss(c.architecture, space) for c in candidates]
        opt.tell([c.with_active(BEST) if told else c for c in candidates], losses)
    return space, start, dict(opt.theta)


def _arrives(space, theta):
    off = {n: abs(theta[n][0] - BEST[n]) / space[n].step for n in BEST if isinstance(space[n], Integer)}
    return max(off.values()) <= 1


CASES = [
    (2, 0),
    pytest.param(2, 1, marks=pytest.mark.slow),
    pytest.param(2, 2, marks=pytest.mark.slow),
    pytest.param(8, 0, marks=pytest.mark.slow),
    pytest.param(8, 1, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("lam", "seed"), CASES)
def test_integers_that_no_network_reads_keep_their_spread_and_those_that_matter_arrive(lam, seed):
    space, start, end = _searched(lam=lam, seed=seed, told=True)
    ignored = [name for name in space if name not in BEST]
    assert len(ignored) == 72
    assert all(np.array_equal(end[name], start[name]) for name in ignored)
    assert _arrives(space, end)


@pytest.mark.parametrize(("lam", "seed"), CASES)
def test_integers_that_are_read_but_ignored_wander_no_further_than_was_measured(lam, seed):
    # Not the half of the starting std that was aimed at: docs/inpainting.md.
    space, start, end = _searched(lam=lam, seed=seed, told=False)
    ignored = [name for name in space if name not in BEST and isinstance(space[name], Integer)]
    kept = [end[name][1] / start[name][1] for name in ignored]
    assert statistics.median(kept) > (0.3 if lam == 2 else 0.1)
    assert _arrives(space, end)
