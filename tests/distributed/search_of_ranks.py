"""A small search with batch norm, run by one process or by several under torchrun; leaves what it found.

search_of_ranks.py FOLDER CASE [resume]
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from asng.nn import Choice, Supernet
from asng.search import OneShotSearch, loop, supervised

cross_entropy = supervised(nn.functional.cross_entropy)
RANK = int(os.environ.get("RANK", "0"))


class Counted(Dataset):
    """Remembers which items were taken."""

    def __init__(self, data):
        self.data, self.taken = data, []

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        self.taken.append(index)
        return self.data[index]


class Jittered(Counted):
    """Draws noise for every item that is taken."""

    def __getitem__(self, index):
        x, y = self.data[index]
        return x + 0.1 * torch.randn_like(x), y


def data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, 6, 6, generator=generator)
    return TensorDataset(x, (x.mean(dim=(1, 2, 3)) > 0).long())


def supernet():
    """Unseeded: the first process gives the others its weights."""
    torch.manual_seed(3 + RANK)

    def conv(kernel):
        return nn.Sequential(nn.Conv2d(3, 6, kernel, padding=kernel // 2), nn.BatchNorm2d(6), nn.ReLU())

    first = Choice({"one": conv(1), "three": conv(3), "five": conv(5)}, label="first")
    norm = Choice({"norm": nn.BatchNorm2d(6), "none": nn.Identity()}, label="norm")
    model = nn.Sequential(first, norm, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 2))
    return Supernet(model)


def raising(forward, batch):
    if RANK == 1:
        raise ValueError("the loss of process 1 is wrong")
    return cross_entropy(forward, batch)


def calling(call, act):
    """A loss that does something in process 1 at one of its training passes."""
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        value = cross_entropy(forward, batch)
        if calls == call and torch.is_grad_enabled() and int(os.environ.get("WORLD_SIZE", "1")) - 1 == RANK:
            return act(value)
        return value

    return loss


def signalled(value):
    os.kill(os.getpid(), signal.SIGTERM)
    return value


def killed(value):
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def main(folder, case, resume):
    losses = {
        "raise": raising,
        "kill": calling(9, killed),
        "signal": calling(9, signalled),
        "nan": calling(9, lambda value: value * float("nan")),
    }
    kind = {"jitter": Jittered}.get(case, Counted)
    train = kind(data(50, 7))
    spied = spy()
    search = OneShotSearch(
        supernet(),
        losses.get(case, cross_entropy),
        final=0.6 if case == "final" else 0.0,
        finalists=2,
        warmup=0.25,
        lam_theta=3,
        lam_x=2 if case == "two" else 1,
        checkpoint_seconds=0.0 if case == "kill" else 60.0,
        precision="bfloat16" if case == "bfloat16" else "float32",
    )
    if case == "mismatch":
        step = loop.Loop.one_step

        def one_step(self):
            found = step(self)
            if self.step == 5 and RANK == 1:
                self.theta.ask(1)  # draws, in one process only
            return found

        loop.Loop.one_step = one_step
    result = search.fit(
        DataLoader(train, batch_size=9, shuffle=True),
        DataLoader(data(20, 8), batch_size=10, shuffle=True),
        epochs=20 if case == "final" else 4,
        run_dir=folder / "run",
        resume=resume,
        progress=False,
    )
    torch.save(result.supernet.state_dict(), folder / f"weights-{RANK}.pt")
    found = {
        "architecture": result.architecture.to_json(),
        "theta": search.architecture_optimizer.state_dict()["theta"],
        "finalists": [[f.architecture.to_json(), f.shared, f.alone] for f in result.finalists],
        "taken": train.taken,
        "traffic": spied,
        "steps": result.steps,
    }
    (folder / f"found-{RANK}.json").write_text(json.dumps(found))


def spy():
    """Count the bytes of all gradients that are summed up, and of those that a step has."""
    counts = {"reduced": 0, "messages": 0, "gradients": 0}
    all_reduce, step = dist.all_reduce, torch.optim.SGD.step

    def counting(tensor, *args, **named):
        if named.get("async_op"):
            counts["reduced"] += tensor.nbytes
            counts["messages"] += 1
        return all_reduce(tensor, *args, **named)

    def counting_step(self, *args, **named):
        counts["gradients"] += sum(
            p.grad.nbytes for g in self.param_groups for p in g["params"] if p.grad is not None
        )
        return step(self, *args, **named)

    dist.all_reduce, torch.optim.SGD.step = counting, counting_step
    return counts


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "resume" in sys.argv[3:])
