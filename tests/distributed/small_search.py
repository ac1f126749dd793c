"""A small search with batch norm, the same in one process and in several, and ways in which one can fail."""

import functools
import json
import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from asng import Penalty
from asng.nn import Choice, Supernet
from asng.search import OneShotSearch, StepLimit, loop
from asng.training import supervised

STEPS = 24
"""Of all cases but that with a final."""
PASSES, ITEMS, BATCH = 4, 50, 9
"""Batches of 9, five a pass, and one of 5."""
FAILS = 9
"""The training pass at which a process fails."""
FAILS_EARLY, FAILS_LATE = 20, 70
"""Others, while finalists are trained. The last process trains the last of two, for 51 or 81 steps."""

cross_entropy = supervised(nn.functional.cross_entropy)


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
        x, y = super().__getitem__(index)
        return x + 0.1 * torch.randn_like(x), y


def rank():
    return int(os.environ.get("RANK", "0"))


def is_last():
    return rank() == int(os.environ.get("WORLD_SIZE", "1")) - 1


def data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, 6, 6, generator=generator)
    return TensorDataset(x, (x.mean(dim=(1, 2, 3)) > 0).long())


def supernet(dropout=0.0):
    """A space of 6, with other weights in every process: the first one gives the others its own."""
    torch.manual_seed(3 + rank())

    def conv(kernel):
        return nn.Sequential(nn.Conv2d(3, 6, kernel, padding=kernel // 2), nn.BatchNorm2d(6), nn.ReLU())

    first = Choice({"one": conv(1), "three": conv(3), "five": conv(5)}, label="first")
    norm = Choice({"norm": nn.BatchNorm2d(6), "none": nn.Identity()}, label="norm")
    pooled = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(24, 2)]
    return Supernet(nn.Sequential(first, norm, *pooled))


def failing(act, at=FAILS):
    """A loss named as `cross_entropy` that does something in the last process at one training pass."""
    calls = 0

    @functools.wraps(cross_entropy)
    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        value = cross_entropy(forward, batch)
        return act(value) if calls == at and torch.is_grad_enabled() and is_last() else value

    return loss


def signalled(number):
    def act(value):
        os.kill(os.getpid(), number)
        return value

    return act


def raised(value):
    raise ValueError("this loss is wrong")


LOSSES = {
    "raise": failing(raised),
    "kill": failing(signalled(signal.SIGKILL)),
    "terminate": failing(signalled(signal.SIGTERM)),
    "interrupt": failing(signalled(signal.SIGINT)),
    "kill in final": failing(signalled(signal.SIGKILL), FAILS_LATE),
    "terminate in final": failing(signalled(signal.SIGTERM), FAILS_EARLY),
    "nan": failing(lambda value: value * float("nan")),
}
CASES = {
    "two": {"lam_x": 2},
    "three": {"lam_x": 3},
    "two and final": {"lam_x": 2, "final": 0.6},
    "final": {"final": 0.6},
    "bfloat16": {"precision": "bfloat16"},
    "kill": {"checkpoint_seconds": 0.0},
    "kill in final": {"checkpoint_seconds": 0.0, "final": 0.6},
    "terminate in final": {"final": 0.6},
    "three finalists": {"final": 0.6, "finalists": 3},
    "shared and final": {"final": 0.6, "finalists": 5, "warmup": None},
    "cost": {"cost": Penalty("parameters", target=200, weight=0.1)},
}


EPOCHS = {"shared and final": 45}
"""Enough for shared weights too, a look whether their order has settled, and a second round."""


def search(case, folder=None, resume=False, lam_x=None):
    """Search, and return the road that was gone and where it ended; the weights, exact, as lists.

    Args:
        case: One of `LOSSES`, of `CASES`, or of neither.
        folder: Home of the run folder, or None.
        resume: Go on with the run in it.
        lam_x: Another lambda_x than that of the case.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as a process of torchrun has it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    train = (Jittered if case == "jitter" else Counted)(data(ITEMS, 7))
    traffic = spy()
    if case == "drift":
        loop.Loop.one_step = drifting(loop.Loop.one_step)
    settings = {"final": 0.0, "finalists": 2, "warmup": 0.25, "lam_theta": 3, **CASES.get(case, {})}
    settings |= {} if lam_x is None else {"lam_x": lam_x}
    model = supernet(dropout=0.5 if case == "dropout" else 0.0)
    loss, passes = LOSSES.get(case, cross_entropy), []

    def counted(forward, batch):
        passes.extend([1] if torch.is_grad_enabled() else [])
        return loss(forward, batch)

    one = OneShotSearch(model, counted, **settings)
    result = one.fit(
        DataLoader(train, batch_size=BATCH, shuffle=True),
        DataLoader(data(20, 8), batch_size=10, shuffle=True),
        epochs=EPOCHS.get(case, 20 if "final" in case else PASSES),
        run_dir=None if folder is None else Path(folder) / "run",
        resume=resume,
        progress=False,
        check=False,  # whose passes would be counted
    )
    return {
        "architecture": result.architecture.to_json(),
        "theta": one.architecture_optimizer.state_dict()["theta"],
        "finalists": [[f.architecture.to_json(), f.shared, f.alone, f.longer] for f in result.finalists],
        "weights": {name: weight.tolist() for name, weight in result.supernet.state_dict().items()},
        "taken": train.taken,
        "traffic": traffic,
        "steps": result.steps,
        "passes": len(passes),
    }


def drifting(step):
    """Draw from theta's generator once more, in the last process only."""

    def one_step(self):
        found = step(self)
        if self.state.step == 5 and is_last():
            self.theta.ask(1)
        return found

    return one_step


def spy():
    """Count the bytes of all gradients that are summed up, and of those that a step then has."""
    counts = {"reduced": 0, "messages": 0, "gradients": 0}
    all_reduce, step = dist.all_reduce, torch.optim.SGD.step

    def counting(tensor, *args, **named):
        if tensor.is_floating_point() and named.get("async_op"):  # else a short message, or of a batch norm
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


def log(folder):
    """Return the events of the log of a run in a folder."""
    return [json.loads(line) for line in (Path(folder) / "run/log.jsonl").read_text().splitlines()]


# --- processes that differ -----------------------------------------------------------------------------

DIFFERENCES = {
    "data": "the first batch of train_loader",
    "validation": "the first batch of valid_loader",
    "length": "batches of train_loader",
    "a last item more": "items of valid_loader",
    "the tail of the data": "theta, its generator and the batches",
    "space": "search space",
    "shapes": "names and shapes of weights",
    "epochs": "epochs",
    "seed": "seed",
    "lam_x": "lam_x",
}
"""What the last process has otherwise, and by what name it is told."""


def differing(what):
    """Search with something else in the last process, in a fixed order of the data."""
    other = what if is_last() else ""
    train, valid = data(ITEMS, 9 if other == "data" else 7), data(19, 9 if other == "validation" else 8)
    if other == "length":
        train = TensorDataset(*(torch.cat([t, t[:9]]) for t in train.tensors))
    if other == "a last item more":
        valid = TensorDataset(*(torch.cat([t, t[:1]]) for t in valid.tensors))
    if other == "the tail of the data":
        train.tensors[0][-9:] += 1.0
    ops = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(3, 4, 3, padding=1)}
    ops |= {"c": nn.Conv2d(3, 4, 1)} if other == "space" else {}
    last = nn.Linear(4 * 36, 2, bias=other != "shapes")
    model = Supernet(nn.Sequential(Choice(ops, label="op"), nn.Flatten(), last))
    settings = {"final": 0.0, "seed": 1 if other == "seed" else 0, "lam_x": 3 if other == "lam_x" else 1}
    loaders = DataLoader(train, batch_size=BATCH), DataLoader(valid, batch_size=10)
    search, epochs = OneShotSearch(model, cross_entropy, **settings), 3 if other == "epochs" else 2
    return search.fit(*loaders, epochs=epochs, progress=False, check=False).architecture.to_json()


def at_pass(act, rank_of_act, at, step_seconds):
    """Search, with a final, and have one process act at one of its training passes; a limit for steps."""
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        if calls == at and torch.is_grad_enabled() and rank() == rank_of_act:
            act()
        return cross_entropy(forward, batch)

    callbacks = [] if step_seconds is None else [StepLimit(step_seconds)]
    one = OneShotSearch(supernet(), loss, final=0.6, finalists=2, warmup=0.25, callbacks=callbacks)
    loaders = (
        DataLoader(data(ITEMS, 7), batch_size=BATCH, shuffle=True),
        DataLoader(data(20, 8), batch_size=10),
    )
    result = one.fit(*loaders, epochs=8, progress=False, check=False)
    theta = one.architecture_optimizer.state_dict()["theta"]
    return json.dumps([result.architecture.to_json(), theta])
