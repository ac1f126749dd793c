"""Variants of what was the default search, each at the cost that the run allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

import asng
from asng.optim import Optimizer
from benchmarks.truth.distilled import FinalistsTaught, SearchTaught
from benchmarks.truth.paces import theta_paced
from benchmarks.truth.problems import TRAINING_PASS
from benchmarks.truth.proposer import proposed
from benchmarks.truth.run import Found, Run
from benchmarks.truth.searches import BEFORE, one_shot, proposed_alone, random_alone, steps_for
from benchmarks.truth.thetas import Averaged, Fair, Remembering
from benchmarks.truth.tied import tied

__all__ = ["PILOTS", "Pilot"]

FINAL, WARMUP = BEFORE["final"], BEFORE["warmup"]
MOVING = 2.0 * (1.0 - WARMUP)
"""What theta costs a step of the search, on average, where two architectures are scored."""
AGAIN = "default, again"
"""Timed in one run with what is compared by the second."""


@dataclass(frozen=True)
class Pilot:
    """A search, or two that differ only after it.

    Attributes:
        names: Of what it finds.
        search: Returns as many findings.
        beside: The name of what it is compared with, under the same seeds.
    """

    names: tuple[str, ...]
    search: Callable[[Run], tuple[Found, ...]]
    beside: str = "default"


def _pilot(name: str, search: Callable[[Run], Found], beside: str = "default") -> Pilot:
    return Pilot((name,), lambda run: (search(run),), beside)


def with_final(run: Run, **settings) -> Found:
    """What was the default, but for some settings."""
    return one_shot(run, **BEFORE | settings)


def steps_left(steps: int, *, final: float = FINAL) -> int:
    """Return how many steps are left of so many, once the final has had its share, if it can be afforded."""
    return max(1, round((1.0 - final) * steps))


# --- theta ----------------------------------------------------------------------------------------------


def with_theta(run: Run, *, optimizer: Callable[..., Optimizer]) -> Found:
    """The default with another optimiser of theta."""
    theta = optimizer(run.supernet.space, seed=run.seed)
    result = run.fit(steps_for(run.budget, **BEFORE), architecture_optimizer=theta, **BEFORE)
    return Found(result.architecture, run.supernet, run.spent)


def averaged(run: Run) -> Found:
    """The default, candidates for the final drawn from the averaged theta."""
    moves = _moves(steps_left(steps_for(run.budget, **BEFORE)))
    return with_theta(run, optimizer=partial(Averaged, moves=moves))


def averaged_without_final(run: Run) -> tuple[Found, Found]:
    """All of the cost for the search: the mode of theta, and that of the averaged one."""
    steps = steps_for(run.budget, **BEFORE)
    theta = Averaged(run.supernet.space, moves=_moves(steps), seed=run.seed)
    result = run.fit(steps, architecture_optimizer=theta, **BEFORE | {"final": 0.0})
    assert theta.unaveraged is not None, "the search took another number of steps"
    networks = (theta.unaveraged, result.architecture)
    return tuple(Found(network, run.supernet, run.spent) for network in networks)


def _moves(steps: int) -> int:
    """Return in how many of so many steps theta moves."""
    return steps - int(np.ceil(round(WARMUP * steps, 6)))


def paced(run: Run, *, moves: int = 1, of_steps: int = 1) -> Found:
    """The default, theta moving so often in so many steps of the weights instead of once in each.

    Search and final have as much of the cost as ever, so the search takes more steps or fewer.
    """
    searching = (1.0 - FINAL) * run.budget / (TRAINING_PASS + MOVING * moves / of_steps)
    finishing = FINAL * run.budget / (TRAINING_PASS + MOVING)
    with theta_paced(moves=moves, of_steps=of_steps):
        share = finishing / (searching + finishing)
        result = run.fit(int(searching + finishing), **BEFORE | {"final": share})
    return Found(result.architecture, run.supernet, run.spent)


# --- weights --------------------------------------------------------------------------------------------


def tied_positions(run: Run) -> Found:
    """The default, an operation having the same weights at all positions while weights are shared."""
    problem = replace(run.problem, model=lambda: tied(run.problem.model()))
    return with_final(Run(problem, run.seed, run.budget))


def taught_search(run: Run, *, teachers: int = 2) -> Found:
    """The default, each architecture also learning from those that were trained just before it.

    The search has as much of the cost as ever, and so takes fewer steps.
    """
    searching = (1.0 - FINAL) * run.budget / (TRAINING_PASS + teachers + MOVING)
    finishing = FINAL * run.budget / (TRAINING_PASS + MOVING)
    share = finishing / (searching + finishing)
    steps = int(searching + finishing)
    loss = SearchTaught(run.supernet, steps=steps_left(steps, final=share), teachers=teachers)
    result = run.fit(steps, loss=loss, **BEFORE | {"final": share})
    return Found(result.architecture, run.supernet, run.spent + loss.passes)


def taught_finalists(run: Run, *, teachers: int = 3) -> Found:
    """The default, finalists also learning from an ensemble of the last shared weights."""
    extra = teachers * run.units(len(run.train))
    steps = steps_for(run.budget - extra, **BEFORE)
    loss = FinalistsTaught(run.supernet, steps=steps_left(steps), teachers=teachers)
    result = run.fit(steps, loss=loss, **BEFORE)
    return Found(result.architecture, run.supernet, run.spent + extra)


# --- the final ------------------------------------------------------------------------------------------


def proposed_finalists(run: Run, *, final: float, finalists: int, pool: int = 48, items: int = 500) -> Found:
    """A search, then finalists: half by their shared scores, half proposed, knowing these scores.

    The pool is half from theta and half from anywhere, and of each half the best come first.
    """
    steps = steps_for((1.0 - final) * run.budget, **BEFORE)
    theta = asng.ASNG(run.supernet.space, lam=2, seed=run.seed, reuse=False)
    run.fit(steps, architecture_optimizer=theta, **BEFORE | {"final": 0.0})
    likely = list(dict.fromkeys([theta.best, *(c.architecture for c in theta.ask(pool // 2 - 1))]))
    anywhere = [network for network in run.distinct(pool) if network not in likely]
    networks = [*likely, *anywhere][:pool]
    held = run.valid_items(items)
    scores = np.array(run.losses(networks, held))
    standard = dict(zip(networks, (scores - scores.mean()) / scores.std(), strict=True))
    first = _best(likely, standard, finalists // 4)
    first += _best([n for n in networks if n not in likely], standard, finalists // 2 - len(first))
    alone = run.steps_alone((run.budget - run.spent) / finalists)
    best = proposed(
        first,
        networks,
        finalists,
        lambda network: run.losses_alone([network], alone)[0],
        lambda some: np.array([standard[network] for network in some]),
    )
    return Found(best, run.supernet, run.spent)


def _best(
    networks: Sequence[asng.Architecture], scores: dict[asng.Architecture, float], n: int
) -> list[asng.Architecture]:
    return sorted(networks, key=scores.__getitem__)[:n]


PILOTS: tuple[Pilot, ...] = (
    _pilot("default", with_final),
    _pilot("final of 12 for 3/4", partial(with_final, final=0.75, finalists=12)),
    _pilot("final of 16 for 3/4", partial(with_final, final=0.75, finalists=16)),
    _pilot("final of 12 for 1/2", partial(with_final, finalists=12)),
    _pilot("proposed, nothing shared", proposed_alone),
    _pilot("12 for 3/4, 6 proposed", partial(proposed_finalists, final=0.75, finalists=12)),
    _pilot("theta averaged", averaged),
    Pilot(
        ("without the final", "without the final, theta averaged"),
        averaged_without_final,
        beside="without the final",
    ),
    _pilot("weights: last update", partial(with_theta, optimizer=partial(asng.ASNG, lam=2, reuse=True))),
    _pilot("weights: last four updates", partial(with_theta, optimizer=Remembering)),
    _pilot("fair paths", partial(with_theta, optimizer=Fair)),
    _pilot("tied positions", tied_positions),
    _pilot("taught by the last two", taught_search),
    _pilot("finalists taught", taught_finalists),
    _pilot("random, trained alone", partial(random_alone, each=0.5)),
    _pilot(AGAIN, with_final),
    _pilot("lambda_x 2", partial(with_final, lam_x=2), AGAIN),
    _pilot("lambda_x 4", partial(with_final, lam_x=4), AGAIN),
    _pilot("lambda_theta 4", partial(with_final, lam_theta=4), AGAIN),
    _pilot("theta every second step", partial(paced, of_steps=2), AGAIN),
    _pilot("theta twice a step", partial(paced, moves=2), AGAIN),
)
