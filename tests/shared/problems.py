"""Tiny searches, made the same way each time. Also run as a script, to be killed."""

import functools
import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from asng.nn import Choice, Supernet
from asng.search import OneShotSearch
from asng.training import supervised

mse = supervised(nn.functional.mse_loss)


class Zero(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 1)


def data(n=48, seed=7):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, x.sum(dim=1, keepdim=True))


def loader(n=48, *, batch_size=8, kind="plain"):
    """A shuffling loader: with the default generator, with its own, or with a sampler of batches."""
    own = torch.Generator().manual_seed(5)
    match kind:
        case "plain":
            return DataLoader(data(n), batch_size=batch_size, shuffle=True)
        case "own generator":
            return DataLoader(data(n), batch_size=batch_size, shuffle=True, generator=own)
        case "batch sampler":
            sampler = BatchSampler(RandomSampler(data(n)), batch_size, True)
            return DataLoader(data(n), batch_size=None, sampler=sampler)
        case "own generator within":
            sampler = BatchSampler(RandomSampler(data(n), generator=own), batch_size, True)
            return DataLoader(data(n), batch_sampler=sampler)
    raise AssertionError(kind)


def linear_or_zero():
    torch.manual_seed(3)
    return Supernet(Choice({"linear": nn.Linear(3, 1), "zero": Zero()}, label="op"))


def two_layers(norm=False):
    """Two variables, dropout, and batch norm where asked for."""
    torch.manual_seed(3)
    first = Choice({"tanh": nn.Sequential(nn.Linear(3, 8), nn.Tanh()), "linear": nn.Linear(3, 8)}, label="a")
    second = Choice(
        {"linear": nn.Linear(8, 1), "drop": nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 1))}, label="b"
    )
    middle = nn.BatchNorm1d(8) if norm else nn.Dropout(0.2)
    return Supernet(nn.Sequential(first, middle, second))


def layers(options=5, depth=3):
    """Choices one after another, of matrices that are all different: a space of 125, all of one size."""
    torch.manual_seed(3)
    choices = [
        Choice([nn.Linear(3, 3) for _ in range(options)], label=f"layer{number}") for number in range(depth)
    ]
    return Supernet(nn.Sequential(*choices, nn.Linear(3, 1)))


def searcher(supernet=None, loss=mse, **settings):
    """A search with a warm-up and without a final, unless told otherwise: a test can then count its steps."""
    settings = {"warmup": 0.5, "final": 0.0} | settings
    return OneShotSearch(two_layers() if supernet is None else supernet, loss, **settings)


def fit(search, train="plain", *, epochs=4, check=False, **settings):
    """Search; without the check before, so that a test can count calls."""
    settings |= {"epochs": epochs, "check": check, "progress": False}
    return search.fit(loader(kind=train), loader(24, kind=train), **settings)


def at_step(step, act):
    """A loss that acts in one of its training passes; it has the name of `mse`, so that this can resume."""
    calls = 0

    @functools.wraps(mse)
    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        if calls == step and torch.is_grad_enabled():
            act()
        return mse(forward, batch)

    return loss


def stopping(step, number=signal.SIGINT):
    """A loss that has the process signalled in one of its training passes."""
    return at_step(step, lambda: os.kill(os.getpid(), number))


def events_without_clocks(folder):
    """The log without clocks.

    At the start the log names the loss: a run that is to be interrupted has a loss of its own for that.
    """
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for event in events:
        for name in ("seconds", "time"):
            event.pop(name, None)
        if event["event"] == "start":
            del event["objective"]["function"], event["settings"]["loss"]
    return events


if __name__ == "__main__":  # folder, loss calls after which it kills itself (0: never), resume
    folder, kill_at, resume = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "resume"
    calls = 0

    @functools.wraps(mse)
    def deadly(forward, batch):
        global calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return mse(forward, batch)

    result = fit(searcher(loss=deadly, checkpoint_seconds=0.0), run_dir=folder, resume=resume)
    torch.save(result.supernet.state_dict(), folder / "weights.pt")
