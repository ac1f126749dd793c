import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.trained import compression
from benchmarks.trained.cells import Cell, fresh
from benchmarks.trained.ways import Child


def row(method, seed, accuracy, network="residual", **others):
    same = {"data": "fashion", "network": network, "budget": 0.5, "items": 1000, "search_seconds": 2.0}
    return same | {"method": method, "seed": seed, "accuracy": accuracy} | others


def test_the_differences_over_seeds_say_how_sure_they_are():
    ours = [row("asng", seed, 0.80 + seed / 100) for seed in range(3)]
    theirs = [row("uniform width", seed, 0.81 + seed / 100, search_seconds=1.0) for seed in range(3)]
    found = compression.beside(ours + theirs, "asng", "uniform width")
    assert found["behind_by_more_than_an_error"] == found["behind"] == 1  # always by a hundredth
    assert found["ahead"] == 0
    assert found["gain"] == -0.01
    assert found["search_time_ratio"] == 2.0


def test_of_one_seed_a_hundredth_is_within_the_error_of_a_thousand_images():
    found = compression.beside([row("asng", 0, 0.80), row("uniform width", 0, 0.81)], "asng", "uniform width")
    assert (found["behind"], found["behind_by_more_than_an_error"]) == (1, 0)


def test_a_cell_that_a_tool_fails_in_is_neither_won_nor_lost():
    failed = {k: v for k, v in row("uniform width", 0, 0.0).items() if k != "accuracy"} | {"failed": "no"}
    found = compression.beside([row("asng", 0, 0.8), failed], "asng", "uniform width")
    assert (found["cells"], found["ahead"], found["failed"], found["gain"]) == (0, 0, 1, None)


@pytest.fixture
def cell():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    data = TensorDataset(torch.randn(8, 1, 2, 2), torch.arange(8) % 3)
    loader = DataLoader(data, batch_size=4)
    return Cell("mine", "fashion", 0, model, loader, loader, loader, torch.randn(1, 1, 2, 2))


def test_what_another_tool_raises_is_its_row_and_what_ours_raises_is_raised(cell, monkeypatch):
    monkeypatch.setattr(compression, "commit", lambda: "abc")

    def half(cell, budgets):
        yield Child(0.5, cell.model, None, 1.0, 1.0, {})
        raise ValueError("cannot go on")

    done, failed = compression.rows(cell, "ModelOpt FastNAS", half)
    assert done["multiply_adds"] == 1.0
    assert failed["failed"] == "ValueError: cannot go on"
    assert failed["budget"] == 0.25
    with pytest.raises(ValueError, match="cannot go on"):
        list(compression.rows(cell, "asng", half))


@pytest.mark.parametrize(("channels", "side"), [(1, 14), (3, 16)])
def test_the_encoder_of_rows_sees_the_order_of_rows(channels, side):
    network, x = fresh("bert", channels, 0).eval(), torch.randn(2, channels, side, side)
    assert network(x).shape == (2, 10)
    assert not torch.allclose(network(x), network(x.flip(2)), atol=1e-3)
