"""Arguments of a search that are objects or functions are checked before anything runs, each by its name."""

from functools import partial

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader

import asng
from asng.errors import InputError
from asng.search import Callback, OneShotSearch
from asng.training import accuracy, supervised, train


class Criterion(nn.Module):
    def forward(self, output, target):
        return (output - target).square().mean()


class Loss:
    def __call__(self, forward, batch):
        return mse(forward, batch)


def criterion(output, targets, weight=1.0):
    return weight * (output - targets).square().mean()


WRAP = r"expected a function of \(forward, batch\), got .*\. Write {0}=asng\.supervised\("
CRITERIA = [
    nn.functional.cross_entropy,
    nn.functional.triplet_margin_loss,
    torch._C._nn.cross_entropy_loss,
    nn.CrossEntropyLoss(),
    partial(nn.functional.cross_entropy, label_smoothing=0.1),
    Criterion(),
    Criterion().forward,
    criterion,
    partial(criterion, weight=2.0),
]


@pytest.mark.parametrize("name", ["loss", "minimize", "maximize"])
@pytest.mark.parametrize("value", CRITERIA)
def test_a_bare_criterion_is_to_be_wrapped(name, value):
    with pytest.raises(InputError, match=f"^{name}: " + WRAP.format(name)):
        OneShotSearch(**{"supernet": two_layers(), "loss": mse, name: value})


ADAM = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
STEPS = torch.optim.lr_scheduler.StepLR(ADAM, 3)
WRONG = [
    ("loss", None, r"a function of \(forward, batch\), got None"),
    ("loss", lambda batch: 0.0, r"a function of \(forward, batch\), got one of \(batch\)"),
    ("loss", Loss, r"a function of \(forward, batch\), got the class Loss\. Write Loss\(\.\.\.\)"),
    ("loss", nn.MSELoss, r".* got the class MSELoss.*Write loss=asng\.supervised\(MSELoss\(\)\)"),
    ("minimize", "accuracy", r"a function of \(forward, batch\), got 'accuracy'"),
    ("optimizer", ADAM, r"a function of the parameters, got an Adam.*lambda weights: torch\.optim\.Adam\("),
    ("optimizer", "adam", "a function of the parameters, got 'adam'"),
    ("optimizer", None, "a function of the parameters, got None"),
    ("optimizer", lambda: ADAM, r"a function of the parameters, got one of \(\)"),
    ("scheduler", STEPS, r"a function of \(optimiser, total steps\), got a StepLR"),
    ("scheduler", "cosine", r"a function of \(optimiser, total steps\), got 'cosine'"),
    ("scheduler", lambda optimizer: STEPS, r"a function of \(optimiser, total steps\), got one of \(optim"),
    ("cost", "parameters", "asng.Penalty or asng.Budget, or a sequence of them, got 'parameters'"),
    ("cost", {"parameters": 9}, "asng.Penalty or asng.Budget, or a sequence of them, got {'parameters': 9}"),
    ("cost", asng.Budget, "asng.Penalty or asng.Budget, or a sequence of them, got <class"),
    ("architecture_optimizer", "asng", "an asng.optim.Optimizer over supernet.space, got 'asng'"),
    ("architecture_optimizer", asng.ASNG, "an asng.optim.Optimizer over supernet.space, got the class ASNG"),
    ("architecture_optimizer", ADAM, "an asng.optim.Optimizer over supernet.space, got an Adam"),
    ("stop", None, r"an asng\.search\.StopRule, got None\. Leave it out"),
    ("stop", 5, r"an asng\.search\.StopRule, got 5"),
    ("items", 8, "a function of a batch, got 8"),
    ("items", lambda: 8, r"a function of a batch, got one of \(\)"),
    ("callbacks", Callback(), r"a list of objects .*got a Callback\. Write callbacks=\[\.\.\.\]"),
    ("callbacks", iter([Callback()]), "a list of objects .*got a list_iterator"),
    ("callbacks", "tensorboard", "a list of objects .*got 'tensorboard'"),
    ("callbacks", None, "a list of objects .*got None"),
    ("callbacks", [Callback], "objects of classes derived from asng.search.Callback, got <class"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_is_not_of_the_kind_is_told_when_a_search_is_made(name, value, message):
    with pytest.raises(InputError, match=f"^{name}: expected {message}"):
        OneShotSearch(**{"supernet": two_layers(), "loss": mse, name: value})


@pytest.mark.parametrize(
    "value", [mse, Loss(), Loss().__call__, partial(mse), lambda *args: mse(*args), accuracy]
)
def test_functions_of_a_forward_and_a_batch_are_taken_in_any_form(value):
    assert searcher(loss=value, maximize=value, callbacks=(Callback(),)).loss is value


@pytest.mark.parametrize(
    "value", [torch.optim.SGD, partial(torch.optim.SGD, lr=0.1), lambda weights, lr=1.0: ADAM]
)
def test_optimizers_are_taken_as_classes_and_functions(value):
    schedule = torch.optim.lr_scheduler.StepLR
    assert searcher(optimizer=value, scheduler=schedule).optimizer is value
    assert searcher(scheduler=None).scheduler is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda weights: None, "a function that returns an optimiser, got None"),
        (torch.optim.LBFGS, "one whose step"),
    ],
)
def test_what_a_function_makes_that_is_no_optimiser_is_told_before_step_one(value, message):
    with pytest.raises(InputError, match=f"^optimizer: expected {message}"):
        fit(searcher(optimizer=value))


def test_a_callback_may_update_with_a_closure():
    class Update(Callback):
        def update(self, optimizer, *, finite):
            optimizer.step(lambda: torch.zeros(()))
            return True

    assert fit(searcher(optimizer=torch.optim.LBFGS, scheduler=None, callbacks=[Update()])).steps


@pytest.mark.parametrize("value", [data(), 3, None, "train"])
def test_what_is_no_loader_is_told_before_anything_runs(value):
    calls = []

    def loss(forward, batch):
        calls.append(1)
        return mse(forward, batch)

    message = r"_loader: expected a torch\.utils\.data\.DataLoader, got .*Write DataLoader\("
    with pytest.raises(InputError, match=f"^train{message}"):
        searcher(loss=loss).fit(value, loader(), epochs=1, progress=False)
    with pytest.raises(InputError, match=f"^train{message}"):
        searcher(loss=loss).fit(value, epochs=1, progress=False)
    if value is not None:
        with pytest.raises(InputError, match=f"^valid{message}"):
            searcher(loss=loss).fit(loader(), value, epochs=1, progress=False)
    assert not calls


@pytest.mark.parametrize("value", [None, "mse", nn.MSELoss])
def test_a_criterion_is_checked_when_it_is_wrapped(value):
    with pytest.raises(InputError, match=r"^criterion: expected a function of \(output, target\), got"):
        supervised(value)
    assert isinstance(train(nn.Linear(3, 1), DataLoader(data(), 8), loss=mse, epochs=1), nn.Linear)


@pytest.mark.parametrize("name", ["resume", "overwrite", "progress", "check"])
def test_a_switch_in_words_is_refused_and_removes_no_earlier_run(tmp_path, name):
    (tmp_path / "search.jsonl").write_text("an earlier run")
    given = {"epochs": 1, "run_dir": tmp_path, name: "no"}
    with pytest.raises(InputError, match=f"{name}: expected True or False, got 'no'"):
        searcher().fit(loader(), **given)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["an earlier run"]
