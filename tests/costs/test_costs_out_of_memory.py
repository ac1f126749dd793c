"""An architecture that does not fit into memory while its costs are measured is worst, counted and named."""

import json
import math

import pytest
import torch
from problems import loader, mse, searcher
from torch import nn

from asng.costs import Budget, Penalty
from asng.costs.meter import CostMeter
from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.training.faults import OutOfMemory

EXAMPLE = (torch.ones(2, 3),)


class Large(nn.Module):
    """Is told apart by its class."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 1))

    def forward(self, x):
        return self.layer(x)


def size(child, inputs):
    if any(isinstance(module, Large) for module in child.modules()):
        torch.empty(2**60)
    return sum(weight.numel() for weight in child.parameters())


def supernet(*others):
    torch.manual_seed(0)
    return Supernet(Choice({"large": Large(), "small": nn.Linear(3, 1), **dict(others)}, label="op"))


@pytest.mark.parametrize("error", [MemoryError(), torch.cuda.OutOfMemoryError("out of memory")])
def test_it_costs_infinitely_much_and_is_counted_once(error):
    def costly(child, inputs):
        if any(isinstance(module, Large) for module in child.modules()):
            raise error
        return 4.0

    memory = OutOfMemory()
    meter = CostMeter(supernet(), [Budget(costly, limit=9.0)], lambda: EXAMPLE, memory=memory)
    for _ in range(2):
        costs = meter.of_all([{"op": "large"}, {"op": "small"}])
        assert [(cost.values["costly"], cost.excess) for cost in costs] == [(math.inf, math.inf), (4.0, 0.0)]
    assert (memory.count, memory.first) == (1, {"op": "large"})
    assert not meter.confirm({"op": "large"})


def test_a_pass_that_says_what_is_read_is_guarded_too():
    class Reads(Large):
        def forward(self, x):
            raise MemoryError

    torch.manual_seed(0)
    net = Supernet(Choice({"large": Reads(), "small": nn.Linear(3, 1)}, label="op"))
    memory = OutOfMemory()
    meter = CostMeter(net, [Penalty(size, weight=1.0, target=2.0)], lambda: EXAMPLE, memory=memory)
    assert meter.of({"op": "large"}).penalty == math.inf
    assert memory.count == 1


@pytest.mark.parametrize("cost", [Budget(size, limit=9.0), Penalty(size, weight=0.1, target=1.0)])
@pytest.mark.parametrize("final", [0.0, 0.6])
def test_a_search_finds_what_fits_and_says_what_did_not(cost, final, tmp_path):
    search = searcher(supernet(), mse, cost=[cost], final=final, finalists=2, warmup=0.2)
    result = search.fit(loader(), loader(24), epochs=8, run_dir=tmp_path, progress=False)
    assert dict(result.architecture) == {"op": "small"}
    assert result.out_of_memory >= 1
    assert result.too_large == {"op": "large"}
    end = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert end["too_large"] == {"op": "large"}
    again = searcher(supernet(), mse, cost=[cost], final=final, finalists=2, warmup=0.2)
    resumed = again.fit(loader(), loader(24), epochs=8, run_dir=tmp_path, resume=True, progress=False)
    assert (resumed.too_large, resumed.out_of_memory) == (result.too_large, result.out_of_memory)


def test_a_share_of_a_network_that_does_not_fit_is_refused():
    meter = CostMeter(supernet(), [Budget(size, share=0.5)], lambda: EXAMPLE)
    with pytest.raises(InputError, match=r"network, \{'op': 'large'\}, to fit into memory, .* Give limit="):
        meter.limits()
