"""The judges of networks: size, shared weights, and trainings alone."""

from dataclasses import replace

import torch

from benchmarks.truth import judges
from benchmarks.truth.problems import PROBLEMS, sizes_of
from benchmarks.truth.tables import Table


def _images():
    """Return a few images of noise."""
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(80, 1, 14, 14, generator=draw), torch.arange(80) % 10
    return inputs, labels, inputs, labels


def test_size_is_a_perfect_judge_where_the_largest_network_is_best(monkeypatch):
    problem = replace(PROBLEMS["fashion"], data=_images, batch=20, steps=4)
    table = Table({key: (size,) for key, size in sizes_of(problem).items()})
    monkeypatch.setattr(Table, "of", lambda _: table)
    row = judges.row_of(problem, seed=0)
    assert row["networks"] == judges.NETWORKS
    assert row["with_truth"].pop("size") == 1.0
    assert row["with_truth"] == row["with_size"]  # so truth and size are the same to every judge
    assert all(abs(value) < 1.0 for value in row["with_size"].values())
    assert len(set(row["with_size"].values())) == 4


def test_the_figures_are_means_over_the_seeds_of_a_problem():
    def row(problem, seed, value):
        return {"problem": problem, "seed": seed, "with_truth": {"size": value}, "with_size": {}}

    figures = judges.means([row("a", 0, 0.25), row("b", 0, -1.0), row("a", 1, 0.75)])
    assert figures["a"] == {"seeds": 2, "with_truth": {"size": 0.5}, "with_size": {}}
    assert figures["b"]["seeds"] == 1
