"""Architectures that differ only in variables that no pass reads are one network, which is scored once."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng import Budget, Integer, Space
from asng.compression import Frontier, Goal, Scored, compress, refined, searched
from asng.space import Architecture

SPACE = Space({"depth": Integer(0, 2), "w1": Integer(2, 6), "w2": Integer(2, 6)})
GOAL = Goal("half", (Budget("multiply_adds", limit=8.0),))


def reads(architectures):
    """Return the variables that passes read: the widths of the blocks that stay."""
    return [frozenset(list(SPACE)[: 1 + one["depth"]]) for one in architectures]


def parts(architectures):
    return [
        tuple(one[name] for name in SPACE if name in read)
        for one, read in zip(architectures, reads(architectures), strict=True)
    ]


def costs(architectures):
    return [{"multiply_adds": float(sum(part[1:]))} for part in parts(architectures)]


def losses(architectures):
    return [20.0 - sum(part[1:]) for part in parts(architectures)]


def test_a_search_scores_each_network_once():
    start = Architecture({"depth": 1, "w1": 4, "w2": 4})
    arguments = {"costs": costs, "reads": reads, "seed": 0}
    found = searched(SPACE, [GOAL], [start], score=losses, evaluations=20, **arguments)
    scored = parts([one.architecture for one in found.scored])
    assert len(set(scored)) == len(scored) > 5
    again = refined(
        SPACE,
        GOAL,
        found,
        start,
        score=lambda some: [(x, x) for x in losses(some)],
        evaluations=10,
        **arguments,
    )
    scored = parts([one.architecture for one in again.scored])
    assert len(set(scored)) == len(scored) > 5


def test_two_goals_that_start_at_one_network_score_it_once():
    starts = [Architecture({"depth": 1, "w1": 4, "w2": w2}) for w2 in (2, 6)]
    found = searched(
        SPACE, [GOAL, GOAL], starts, costs=costs, reads=reads, score=losses, evaluations=1, seed=0
    )
    assert len(found.scored) == 1
    again = found.different(GOAL, 1, also=Architecture({**starts[1]}))
    assert [one.architecture for one in again] == [starts[0]]


def test_networks_differ_by_what_a_pass_reads():
    """The first two differ only in variables that neither reads, the others in most that one reads."""

    def made(loss, read, **values):
        architecture = Architecture({**{f"v{k}": 0 for k in range(8)}, **values})
        return Scored(architecture, loss, {"multiply_adds": 1.0}, read=read)

    few, every = frozenset({"v0", "v1"}), frozenset(f"v{k}" for k in range(8))
    best, near = made(0.0, few), made(0.1, few, v2=1, v3=1, v4=1)
    far = made(0.2, every, v0=1)
    assert Frontier([GOAL], [best, near, far]).different(GOAL, 2) == [best, far]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x):
        return x + self.outer(torch.tanh(self.inner(x)))


def test_no_network_is_tuned_twice():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), Block(), Block(), nn.Linear(6, 1))
    x = torch.randn(32, 4)
    data = DataLoader(TensorDataset(x, x[:, :1]), batch_size=16)
    loss = asng.supervised(nn.functional.mse_loss)
    made = compress(
        model,
        data,
        data,
        loss=loss,
        budget=0.3,
        epochs=1,
        evaluations=20,
        progress=False,
        train_weights=False,
        optimizer=lambda weights: torch.optim.SGD(weights, lr=0.01),
        finalists=1,
        options={"skip": "0", "order": None},
    )
    for scored in (made.frontier.scored, made.children[0].tried):
        networks = [tuple(one.architecture[name] for name in sorted(one.read)) for one in scored]
        assert len(set(networks)) == len(networks)
    assert len({one.loss for one in made.children[0].tried}) == len(made.children[0].tried)
