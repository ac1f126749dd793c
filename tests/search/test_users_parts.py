"""Whatever of a user's part goes wrong on the way is told with where, and can be gone on with once mended."""

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from problems import data, events_without_clocks, loader, mse, searcher
from torch import nn
from torch.utils.data import DataLoader, Dataset

from asng.errors import RunError, located
from asng.nn import Choice, Supernet

FINAL = {"final": 0.6, "finalists": 2, "warmup": 0.2, "checkpoint_steps": 3}


class Trouble:
    """Counts training passes, and says in which one something goes wrong; 0: in none.

    Workers of a loader, which count for themselves, see a file instead.
    """

    def __init__(self, kind="", at=0, flag=None):
        self.kind, self.at, self.flag, self.passes = kind, at, flag, 0

    def now(self, kind):
        return kind == self.kind and 0 < self.at <= self.passes

    def loss(self, forward, batch):
        self.passes += torch.is_grad_enabled()
        if self.at and self.passes >= self.at and self.flag:
            self.flag.touch()
        x, _ = batch
        if self.now("objective"):
            raise KeyError("no such label")
        if self.now("labels"):
            return nn.functional.cross_entropy(forward(x).expand(-1, 2), torch.full((len(x),), 9))
        return mse(forward, batch)


class Part(nn.Module):
    """A layer that fails, or whose weights come and go."""

    def __init__(self, trouble):
        super().__init__()
        self.trouble, self.layer, self.scale = trouble, nn.Linear(8, 8), nn.Parameter(torch.ones(8))

    def forward(self, x):
        if self.trouble.now("model"):
            raise OSError("the device is gone")
        if self.trouble.now("appears") and not hasattr(self, "late"):
            self.late = nn.Parameter(torch.ones(8))
        if self.trouble.now("vanishes") and "scale" in self._parameters:
            del self.scale
            self.scale = torch.ones(8)
        return self.layer(x) * self.scale


class Items(Dataset):
    """Data that a file on the disk spoils."""

    def __init__(self, trouble):
        self.tensors, self.trouble = data().tensors, trouble

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        if self.trouble.kind == "loader" and self.trouble.flag.exists():
            raise ValueError("a picture is damaged")
        return self.tensors[0][index], self.tensors[1][index]


def _optimizer(trouble):
    class Failing(torch.optim.SGD):
        def step(self, closure=None):
            if trouble.now("optimizer"):
                raise ArithmeticError("a moment is gone")
            return super().step(closure)

    return lambda parameters: Failing(parameters, lr=0.05, momentum=0.9)


def _search(trouble, final):
    torch.manual_seed(3)
    first = Choice({"tanh": nn.Sequential(nn.Linear(3, 8), nn.Tanh()), "linear": nn.Linear(3, 8)}, label="a")
    supernet = Supernet(nn.Sequential(first, Part(trouble), nn.Linear(8, 1)))
    settings = {"warmup": 0.2, "final": final, "finalists": 2, "checkpoint_steps": 3}
    return searcher(supernet, trouble.loss, optimizer=_optimizer(trouble), **settings)


def _fit(trouble, folder, final, *, workers=0, resume=False):
    search = _search(trouble, final)
    train = DataLoader(Items(trouble), 8, shuffle=True, num_workers=workers)
    result = search.fit(
        train, loader(24), epochs=6, run_dir=folder, resume=resume, check=False, progress=False
    )
    return search.supernet.state_dict(), dict(result.architecture)


@cache
def _never_failed(final):
    with TemporaryDirectory() as folder:
        return *_fit(Trouble(), Path(folder), final), events_without_clocks(Path(folder))


def _told(error):
    """Return all that a traceback shows besides the frames: notes, and messages of what came before."""
    said = []
    while error is not None:
        said += [str(error), *getattr(error, "__notes__", ())]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


KINDS = {
    "objective": (KeyError, "no such label"),
    "labels": (IndexError, "out of bounds"),
    "model": (OSError, "the device is gone"),
    "optimizer": (ArithmeticError, "a moment is gone"),
    "loader": (ValueError, "a picture is damaged"),
    "loader, in a worker": (ValueError, "a picture is damaged"),
    "appears": (RunError, "'model.1.late' to be as it was when the training began, got a new one"),
    "vanishes": (RunError, "'model.1.scale' to be as it was when the training began, got none"),
}
STAGES = {
    "search": (0.0, r"In the search, after \d+ of \d+ steps\."),
    "final": (
        0.8,
        r"In the final, after \d+ of \d+ training steps of finalist \d, after \d+ steps of the search\.",
    ),
}
IN_A_PASS = ("objective", "labels", "model")


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        pytest.param(kind, stage, marks=pytest.mark.slow if "worker" in kind and stage == "final" else ())
        for kind in KINDS
        for stage in STAGES
    ],
)
def test_an_error_says_where_it_was_and_the_mended_run_goes_on_to_the_same(kind, stage, tmp_path):
    final, where = STAGES[stage]
    name, _, worker = kind.partition(", ")
    workers = {"workers": 1} if worker else {}
    trouble = Trouble(name, 10, tmp_path / "flag")
    error, message = KINDS[kind]
    with pytest.raises(error, match=message) as caught:
        _fit(trouble, tmp_path / "run", final, **workers)
    told = _told(caught.value)
    if kind in ("appears", "vanishes"):  # which is seen soon after, at a checkpoint for instance
        where = f"In the {stage}"
    assert re.search(where, told)
    assert f"to continue from {tmp_path / 'run' / 'checkpoint.pt'}" in told
    if kind in IN_A_PASS:
        assert re.search(r"In a training pass of the architecture \{'a': '(tanh|linear)'\}\.", told)
    assert (tmp_path / "run" / "checkpoint.pt").exists()
    assert not list((tmp_path / "run").glob(".*"))
    again = _fit(Trouble(), tmp_path / "run", final, resume=True, **workers)
    weights, architecture, events = _never_failed(final)
    assert again[1] == architecture
    assert all(torch.equal(again[0][name], value) for name, value in weights.items())
    assert events_without_clocks(tmp_path / "run") == events


def test_an_objective_that_fails_while_it_scores_names_the_architecture(tmp_path):
    def accuracy(forward, batch):
        raise ZeroDivisionError("no item of this class")

    trouble = Trouble()
    search = searcher(loss=mse, maximize=accuracy, **FINAL)
    with pytest.raises(ZeroDivisionError) as caught:
        search.fit(loader(), loader(24), epochs=6, check=False, progress=False)
    assert re.search(r"While the architecture \{'a': '\w+', 'b': '\w+'\} was scored\.", _told(caught.value))
    assert trouble.passes == 0


def test_what_fails_at_once_is_told_before_step_one():
    def loss(forward, batch):
        forward(batch[0])
        raise ZeroDivisionError("no item")

    with pytest.raises(ZeroDivisionError) as caught:
        searcher(loss=loss).fit(loader(), loader(24), epochs=2, progress=False)
    assert "before step 1 (check=True)" in _told(caught.value)


def test_a_last_batch_of_one_item_is_named():
    net = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), Choice([nn.Linear(4, 1), nn.Linear(4, 1)], label="a")
    )
    search = searcher(Supernet(net))
    with pytest.raises(ValueError, match="more than 1 value per channel") as caught:
        search.fit(DataLoader(data(33), 8), loader(24), epochs=4, check=False, progress=False)
    assert "The batch has one item, which batch norms cannot take: give its loader drop_last=True." in _told(
        caught.value
    )


def lazy_net():
    deep = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.LazyLinear(8))
    return nn.Sequential(
        nn.LazyLinear(8), Choice({"one": nn.LazyLinear(8), "deep": deep}, label="a"), nn.LazyLinear(1)
    )


def test_lazy_layers_are_made_whole_before_the_search_and_a_resumed_one_is_the_same(tmp_path):
    def fitted(folder, loss=mse, **flags):
        torch.manual_seed(1)
        search = searcher(Supernet(lazy_net()), loss, **FINAL)
        result = search.fit(loader(), loader(24), epochs=6, run_dir=folder, progress=False, **flags)
        return result.child.state_dict()

    trouble = Trouble("objective", 12)
    with pytest.raises(KeyError):
        fitted(tmp_path / "run", trouble.loss, check=False)
    one = fitted(tmp_path / "run", Trouble().loss, resume=True, check=False)
    other = fitted(tmp_path / "whole")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_lazy_layer_that_no_pass_reaches_is_named():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(3, 3), nn.LazyLinear(2)

        def forward(self, x):
            return self.used(x)

    op = Choice([nn.Linear(3, 1), nn.Linear(3, 1)], label="a")
    with pytest.raises(ValueError, match=r"each lazy layer, got none through 'model.0.unused.weight'"):
        searcher(Supernet(nn.Sequential(Unused(), op))).fit(loader(), loader(24), epochs=2, progress=False)


def test_a_note_is_shown_where_python_has_none():
    class Old(ValueError):
        add_note = property(lambda self: (_ for _ in ()).throw(AttributeError))  # as before Python 3.11

    with pytest.raises(Old) as caught, located(lambda: "In step 3."):
        raise Old("wrong") from KeyError("x")
    assert str(caught.value.__cause__.__cause__) == "In step 3."
