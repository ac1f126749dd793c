"""The searches that are compared, each a function of a `Run`, at the cost that the run allows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

import asng
from asng.optim import Optimizer
from asng.training import accuracy, batch_statistics
from benchmarks.truth.evolution import evolve
from benchmarks.truth.mixed import Alphas, mixed
from benchmarks.truth.problems import TRAINING_PASS, Problem, all_architectures, supernet_of
from benchmarks.truth.proposer import proposed
from benchmarks.truth.reinforce import Reinforce
from benchmarks.truth.run import LOSS, Found, Run

__all__ = [
    "BEFORE",
    "SEARCHES",
    "likeliest",
    "one_shot",
    "proposed_alone",
    "random_alone",
    "searches_of",
    "steps_for",
]

FINALISTS = 8


def steps_for(budget: float, **settings) -> int:
    """Return how many steps of `OneShotSearch` a budget pays for, including a final.

    Args:
        budget: Cost in forward passes over a training batch.
        settings: Arguments of the search; the others have their defaults.
    """
    lam_x, lam_theta, warmup = (
        settings.get(name, getattr(asng.OneShotSearch, name)) for name in ("lam_x", "lam_theta", "warmup")
    )
    moving = 0.5 if warmup is None else 1.0 - warmup  # as planned: theta moves in half of the steps
    # Two passes before the first step find out in which mode the loss must be called.
    return max(1, int((budget - 2.0) / (TRAINING_PASS * lam_x + moving * lam_theta)))


def one_shot(run: Run, *, optimizer: Callable[..., Optimizer] | None = None, **settings) -> Found:
    """Run `OneShotSearch` with some settings, for as many steps as the cost allows; theta draws two."""
    theta = None if optimizer is None else optimizer(run.supernet.space, lam=2, seed=run.seed)
    steps = steps_for(run.budget, **settings)
    result = run.fit(steps, architecture_optimizer=theta, **settings)
    return Found(result.architecture, run.supernet, run.spent)


def by_accuracy(run: Run) -> Found:
    """Run `OneShotSearch` with accuracy as the objective, as most users would; all others take the loss."""
    return one_shot(run, maximize=partial(run.counted, loss=accuracy))


BEFORE = {"lam_x": 1, "lam_theta": 2, "warmup": 0.25, "final": 0.5, "finalists": FINALISTS}
"""The defaults of `OneShotSearch` when the truth was first measured."""


def evolution_with_final(run: Run) -> Found:
    """Train uniformly and evolve for a quarter of the cost each; the rest is a final of the best eight."""
    steps = int(0.25 * run.budget / TRAINING_PASS)
    run.fit(steps, lam_x=1, warmup=1.0, final=0.0, cost=())
    data = run.valid_items(200)
    ranked = evolve(
        run.supernet.space,
        partial(run.losses, items=data),
        int(0.25 * run.budget / run.units(len(data[1]))),
        run.rng,
        run.problem.within,
    )
    best = run.best_alone(ranked[:FINALISTS], run.budget - run.spent)
    return Found(best, run.supernet, run.spent)


def random_alone(run: Run, *, each: float) -> Found:
    """Return the best of random networks without shared weights, each trained for a share of a training."""
    networks = run.distinct(max(1, round(run.trainings / each)))
    return Found(run.best_alone(networks, run.budget), run.supernet, run.spent)


def proposed_alone(run: Run, *, first: int = 6) -> Found:
    """Share no weights, and train each for half a training; after the first few, a model proposes them."""
    count = max(2, round(2 * run.trainings))
    pool, steps = run.distinct(256), run.steps_alone(run.budget / count)
    best = proposed(pool[: min(first, count)], pool, count, lambda n: run.losses_alone([n], steps)[0])
    return Found(best, run.supernet, run.spent)


def two_stages(run: Run, search: Callable[[Run, float], asng.Architecture], *, trained: float = 0.5) -> Found:
    """Train the weights on uniform networks for a share of the cost, then search with the weights fixed."""
    steps = int(trained * run.budget / TRAINING_PASS)
    run.fit(steps, lam_x=1, warmup=1.0, final=0.0, cost=())
    return Found(search(run, run.budget - run.spent), run.supernet, run.spent)


def then_random(run: Run, left: float, *, items: int | None) -> asng.Architecture:
    """Return the best of as many random networks as can be scored on the same validation items."""
    inputs, labels = run.valid_items(items)
    count = int(left / run.units(len(labels)))
    networks = run.distinct(count)
    losses = run.losses(networks, (inputs, labels))
    return networks[losses.index(min(losses))]


def then_evolution(run: Run, left: float, *, items: int) -> asng.Architecture:
    """Return the network that evolution finds on the same validation items."""
    data = run.valid_items(items)
    return evolve(
        run.supernet.space,
        partial(run.losses, items=data),
        int(left / run.units(len(data[1]))),
        run.rng,
        run.problem.within,
    )[0]


def then_asng(run: Run, left: float, *, lam: int, items: int) -> asng.Architecture:
    """Return the network that ASNG finds, with new validation items in each step."""
    inputs, labels = run.valid.tensors
    items = min(items, len(labels))
    asng_ = asng.ASNG(run.supernet.space, lam=lam, seed=run.seed)
    for _ in range(int(left / (lam * run.units(items)))):
        some = torch.randperm(len(labels))[:items]
        candidates = asng_.ask()
        asng_.tell(candidates, run.losses([c.architecture for c in candidates], (inputs[some], labels[some])))
    return asng_.best


def reinforce(run: Run, *, learning_rate: float) -> Found:
    """Search by REINFORCE, which ignores a budget; the result is the likeliest network within it."""
    space, settings = run.supernet.space, {"lam_x": 1, "lam_theta": 2, "warmup": 0.0, "final": 0.0}
    theta = Reinforce(space, learning_rate=learning_rate, lam=2, seed=run.seed)
    run.fit(steps_for(run.budget, **settings), architecture_optimizer=theta, cost=(), **settings)
    logs = {name: np.log(np.maximum(theta.theta[name], 1e-300)) for name in space}
    return Found(likeliest(run.problem, space, logs), run.supernet, run.spent)


def by_gradient(run: Run, *, hard: bool, learning_rate: float) -> Found:
    """Search by first-order DARTS or GDAS: steps of weights and logits alternate, each on half of the data.

    Adam moves the logits as in both papers, but at a rate tuned to a search of few steps. In GDAS, tau falls
    from 10 to 0.1, and only the candidate that ran passes a gradient. A mixed pass of DARTS counts as one
    pass for each candidate of a choice, on average over choices. The logits ignore a budget; the result is
    the likeliest network within it.

    References:
        Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, Algorithm 1 with xi = 0.
        Dong, Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019.
    """
    space, model = run.supernet.space, run.supernet.model
    alphas = Alphas(space, hard=hard)
    paths = 1.0 if hard else sum(len(v.choices) for v in space.values()) / len(space)
    steps = int(run.budget / (2 * TRAINING_PASS * paths))
    weights = run.problem.optimizer(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(weights, steps)
    logits = torch.optim.Adam(alphas.parameters(), lr=learning_rate, betas=(0.5, 0.999), weight_decay=1e-3)
    model.train()
    with mixed(model, alphas), batch_statistics(model):
        for step, (batch, held) in enumerate(
            zip(run.shuffled(steps), run.shuffled(steps, valid=True), strict=True)
        ):
            alphas.tau = 10.0 - (10.0 - 0.1) * step / max(1, steps - 1)
            _descend(model, alphas, batch, weights)
            schedule.step()
            _descend(model, alphas, held, logits)
    run.spent = 2 * TRAINING_PASS * paths * steps
    return Found(likeliest(run.problem, space, alphas.logs()), run.supernet, run.spent)


def likeliest(problem: Problem, space: asng.Space, logs: Mapping[str, Sequence[float]]) -> asng.Architecture:
    """Return the likeliest network within the budget, given the log-probability of each choice."""
    of_value = {name: dict(zip(space[name].choices, logs[name], strict=True)) for name in space}

    def log(network: asng.Architecture) -> float:
        return sum(of_value[name][value] for name, value in network.items())

    return max(filter(problem.within, all_architectures(space)), key=log)


def _descend(model: nn.Module, alphas: Alphas, batch, optimizer: torch.optim.Optimizer) -> None:
    model.zero_grad(set_to_none=True)
    alphas.zero_grad(set_to_none=True)
    alphas.draw()
    LOSS(model, batch).backward()
    nn.utils.clip_grad_norm_((p for group in optimizer.param_groups for p in group["params"]), 5.0)
    optimizer.step()


SEARCHES: dict[str, Callable[[Run], Found]] = {
    "default": one_shot,
    "default, by accuracy": by_accuracy,
    "default, without its final": partial(one_shot, final=0.0),
    "paper": partial(one_shot, lam_x=2, warmup=0.0, final=0.0, optimizer=asng.ASNG.paper),
    "uniform then random": partial(two_stages, search=partial(then_random, items=200)),
    "random, alone for 1/4": partial(random_alone, each=0.25),
    "random, alone for 1/2": partial(random_alone, each=0.5),
    "random, alone for 1": partial(random_alone, each=1.0),
    "proposed, nothing shared": proposed_alone,
    "REINFORCE": partial(reinforce, learning_rate=0.03),
    "GDAS": partial(by_gradient, hard=True, learning_rate=0.01),
    "DARTS": partial(by_gradient, hard=False, learning_rate=0.01),
    "uniform then evolution, with the final": evolution_with_final,
    "uniform then ASNG": partial(two_stages, search=partial(then_asng, lam=8, items=50)),
    "uniform then evolution": partial(two_stages, search=partial(then_evolution, items=200)),
}
CHOICES_ONLY = ("REINFORCE", "GDAS", "DARTS")
"""Left out if a variable is an integer."""
NO_BUDGET = ("uniform then ASNG",)
"""Left out if networks have a budget, which it would not respect."""


def searches_of(problem: Problem) -> dict[str, Callable[[Run], Found]]:
    """Return the searches that can search the space of a problem, within its budget."""
    variables = supernet_of(problem).space.values()
    without = () if all(isinstance(variable, asng.Categorical) for variable in variables) else CHOICES_ONLY
    without += () if problem.limit is None else NO_BUDGET
    return {name: search for name, search in SEARCHES.items() if name not in without}
