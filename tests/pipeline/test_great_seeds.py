"""Seeds as great as a time in nanoseconds work; those that torch cannot take are refused at the beginning."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.cli import main
from asng.compression import compress
from asng.data import split_half
from asng.errors import InputError, RunError
from asng.settings import SearchSettings
from asng.tasks.reopen import stored_run

X = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
LOADER = DataLoader(TensorDataset(X, X[:, :1]), batch_size=8)
MEAN = asng.supervised(nn.functional.mse_loss)
REFUSED = r"seed: expected an integer in \[0, 2\*\*63\), got 1"


def search(seed):
    op = asng.nn.Choice({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)}, label="op")
    return asng.OneShotSearch(asng.nn.Supernet(op), MEAN, seed=seed, final=0.0)


@pytest.mark.parametrize("seed", [1_790_000_000_000_000_000, 2**63 - 1])
def test_networks_are_trained_from_scratch_with_the_greatest_seeds(seed):
    result = search(seed).fit(LOADER, epochs=1, progress=False)
    assert len(result.retrain(LOADER, LOADER, epochs=1, peers=2, progress=False).peers) == 2


def test_greater_ones_are_refused(capsys):
    for use in (
        search,
        lambda seed: SearchSettings(retrain_seed=seed),
        lambda seed: split_half(10, seed=seed),
        lambda seed: compress(nn.Linear(2, 1), LOADER, loss=MEAN, budget=0.5, seed=seed),
    ):
        with pytest.raises(InputError, match=REFUSED):
            use(10**19)
    assert main(["search", "--seed", str(2**63 - 1), "--seeds", "2"]) == 1
    assert "got 9223372036854775808" in capsys.readouterr().err


def test_and_in_a_run_folder(tmp_path):
    (tmp_path / "config.yaml").write_text(f"task: classification\nseed: {10**30}\n")
    with pytest.raises(RunError, match=r"config.yaml: expected one or more seeds, integers in"):
        stored_run(tmp_path)
