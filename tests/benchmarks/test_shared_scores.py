"""What scores on shared weights tell, as it is measured."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import asng
from benchmarks.truth import interactions, shared_scores
from benchmarks.truth.problems import PROBLEMS
from benchmarks.truth.run import Run
from benchmarks.truth.sandwich import Sandwiches
from benchmarks.truth.shared_scores import METHODS, figures_of, methods_of
from benchmarks.truth.tables import Table
from benchmarks.truth.thetas import Paired

SPACE = asng.Space({name: asng.Categorical(range(3)) for name in "abcde"})


def few_images():
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(80, 1, 14, 14, generator=draw), torch.arange(80) % 10
    return inputs, labels, inputs, labels


@pytest.mark.parametrize(
    ("name", "method"),
    [("fashion", method) for method in METHODS if "sandwich" not in method]
    + [("widths", method) for method in METHODS if "sandwich" in method],
)
def test_a_search_stays_within_its_cost_and_knows_what_it_found(name, method):
    problem = replace(PROBLEMS[name], data=few_images, batch=20, steps=20)
    run = Run(problem, seed=0, budget=240.0)
    found, known = METHODS[method](run)
    assert 0.4 * run.budget < run.spent <= run.budget
    assert len(set(known([found, *run.distinct(5)]))) > 1


def test_methods_are_those_that_a_space_can_have():
    assert set(METHODS) - set(methods_of("widths_free")) == {"theta over pairs"}
    assert set(METHODS) - set(methods_of("fashion")) == {"sandwich", "sandwich, largest teaches"}


def test_every_step_of_a_sandwich_trains_the_largest_and_the_smallest():
    problem = PROBLEMS["widths"]
    theta = Sandwiches(Run(problem, 0, 1.0).supernet.space, problem, seed=0)
    largest, smallest, _ = (candidate.architecture for candidate in theta.ask(3))
    assert (largest, smallest) == (theta.largest, theta.smallest)
    assert dict(smallest) == {"width0": 4, "width1": 4, "width2": 4, "depth": 1}
    assert problem.within(largest)


def test_theta_over_pairs_finds_two_choices_that_are_good_only_together():
    def loss(network):  # each alone is worse than none
        return {0: 1.0, 1: 2.0, 2: 0.0}[(network["a"] == 2) + (network["b"] == 2)]

    def rate(optimizer):
        return sum(_found(optimizer, seed, loss) for seed in range(20))

    assert rate(Paired) > rate(lambda space, **settings: asng.ASNG(space, reuse=False, **settings))


def _found(optimizer, seed, loss):
    theta = optimizer(SPACE, lam=2, seed=seed)
    for _ in range(150):
        drawn = theta.ask()
        theta.tell(drawn, [loss(candidate.architecture) for candidate in drawn])
    return loss(theta.best) == 0.0


def test_gains_are_paired_by_seeds_with_the_plain_form():
    table = Table({"a": (0.0,), "b": (0.5,), "c": (1.0,)})
    row = {"cost": 2.0, "found": "a", "spent": 2.0, "cpu_seconds": 1.0}
    rows = [
        row | {"method": method, "seed": seed, "spearman": rho, "truth": truth}
        for method, seed, rho, truth in (
            ("theta", 0, 0.1, 0.5),
            ("theta", 1, 0.3, 1.0),
            ("theta over pairs", 0, 0.3, 1.0),
            ("theta over pairs", 1, 0.1, 1.0),
            ("theta over pairs", 2, 0.9, 0.0),  # the other has no such seed
        )
    ]
    figures = figures_of(rows, table)["2"]["theta over pairs"]
    assert (figures["spearman_gain"], figures["closed_gain"], figures["closed_gain_error"]) == (0.0, 0.5, 0.5)


def test_a_ridge_fitted_to_pairs_knows_what_pairs_add():
    networks = [_draw(seed) for seed in range(200)]
    y = np.array([float((n["a"] == n["b"]) + 0.1 * n["c"]) for n in networks])
    for pairs, least in ((False, 0.0), (True, 0.95)):
        x = shared_scores._choices(SPACE, networks, pairs=pairs)
        x = x - x.mean(axis=0)
        fitted = x @ shared_scores._ridge(x, y - y.mean())
        assert np.corrcoef(fitted, y)[0, 1] > least
        assert pairs or np.corrcoef(fitted, y)[0, 1] < 0.6


def _draw(seed):
    rng = np.random.default_rng(seed)
    return asng.Architecture({name: int(rng.integers(3)) for name in SPACE})


def test_the_best_level_of_each_variable_is_not_the_best_pair(monkeypatch):
    space = asng.Space({"a": asng.Categorical(["x", "y", "z"]), "b": asng.Categorical(["x", "y", "z"])})
    scores = {
        f"{a} {b}": (float(a == b == "x") + 0.6 * (a != "x" and b != "x"),) for a in "xyz" for b in "xyz"
    }
    monkeypatch.setattr(interactions, "table_of", lambda name: Table(scores))
    monkeypatch.setattr(interactions, "supernet_of", lambda problem: SimpleNamespace(space=space))
    assert interactions.best_levels("fashion") == 0.6
    assert max(Table(scores).means.values()) == 1.0


def test_rounds_with_true_losses_find_more_than_random_ones():
    table = interactions.table_of("osuleaf")
    found = [max(interactions.rounds("osuleaf", seed, 8)) for seed in range(2)]
    drawn = [interactions.random_ones(table, seed, 8) for seed in range(100)]
    assert np.mean(found) > np.mean(drawn)  # over ten seeds 0.74 and 0.61 of the distance
