"""Networks that draw random numbers in evaluation too, such as variational autoencoders."""

import json
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.compression import compress
from asng.runs.folder import COMPRESSION_LOG

X = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
DATA = DataLoader(TensorDataset(X), batch_size=8, shuffle=True)
QUICK = {"budget": 0.5, "epochs": 1, "evaluations": 5, "finalists": 2, "progress": False}


class Autoencoder(nn.Module):
    """A variational autoencoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 24), nn.ReLU())
        self.mean, self.spread = nn.Linear(24, 3), nn.Linear(24, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 8))

    def forward(self, x):
        hidden = self.encoder(x)
        mean, spread = self.mean(hidden), self.spread(hidden)
        return self.decoder(mean + torch.randn_like(mean) * spread.exp()), mean, spread


def evidence(forward, batch):
    restored, mean, spread = forward(batch[0])
    return nn.functional.mse_loss(restored, batch[0]) + 0.01 * (mean.square() + (2 * spread).exp()).mean()


def made(**changed):
    torch.manual_seed(0)
    return compress(Autoencoder(), DATA, DATA, loss=evidence, onnx=False, **QUICK, **changed).children[0]


def same(one, other):
    weights = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return (one.score, one.before) == (other.score, other.before) and all(
        torch.equal(*pair) for pair in weights
    )


def test_a_seed_gives_the_same_child_again_and_leaves_the_generators_alone():
    torch.manual_seed(0)
    Autoencoder()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first = made()
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert same(first, made())


@pytest.mark.parametrize("next_one", ["scores 1", "rate, "])
def test_a_run_that_was_stopped_goes_on_to_the_same_child(next_one, tmp_path):
    whole = made(run_dir=tmp_path)
    lines = (tmp_path / COMPRESSION_LOG).read_text().splitlines(keepends=True)
    questions = [json.loads(line)["question"] for line in lines]
    end = next(number for number, question in enumerate(questions) if question.startswith(next_one))
    (tmp_path / COMPRESSION_LOG).write_text("".join(lines[:end]))
    assert same(whole, made(run_dir=tmp_path, resume=True))
    assert (tmp_path / COMPRESSION_LOG).read_text() == "".join(lines)
