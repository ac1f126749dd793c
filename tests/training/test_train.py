"""Training and scoring of plain networks."""

import math

import pytest
import torch
from problems import data, loader, mse
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import nn as snn
from asng.errors import InputError, RunError
from asng.nn import Supernet
from asng.space import Integer
from asng.training import accuracy, cosine, count_parameters, score, sgd, supervised, train
from asng.training.objective import in_precision


def _linear():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_training_is_plain_training():
    model, twin, batches = _linear(), _linear(), DataLoader(data(), 10)
    optimizer = sgd(twin.parameters())
    schedule = cosine(optimizer, 15)
    for _ in range(3):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.mse_loss(twin(x), y).backward()
            optimizer.step()
            schedule.step()
    assert train(model, batches, loss=mse, epochs=3, clip=None) is model
    assert torch.equal(model.weight, twin.weight)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)
    assert not model.training


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_a_training_learns_where_gradients_are_off(around):
    model, twin, batches = _linear(), _linear(), DataLoader(data(), 10)
    with around():
        train(model, batches, loss=mse, epochs=3)
    assert torch.equal(model.weight, train(twin, batches, loss=mse, epochs=3).weight)


def test_a_training_within_an_autocast_sees_its_weights_change():
    model, twin, batches = _linear(), _linear(), DataLoader(data(), 10)
    within = in_precision(mse, "bfloat16", torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        before = score(model, batches, mse)
        train(model, batches, loss=mse, epochs=3)
        after = score(model, batches, mse)
    train(twin, batches, loss=within, epochs=3)
    assert after < before
    assert torch.allclose(model.weight, twin.weight, atol=1e-3)


def test_a_failing_batch_of_one_item_is_named_as_the_cause():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    batches = DataLoader(TensorDataset(torch.randn(9, 3), torch.randn(9, 1)), batch_size=4)
    with pytest.raises(ValueError, match="Expected more than 1 value") as caught:
        train(model, batches, loss=mse, epochs=1)
    told = [*getattr(caught.value, "__notes__", ()), str(caught.value.__cause__)]  # Python 3.10 has no notes
    assert any("has one item" in line and "drop_last=True" in line for line in told)


def test_training_clips_the_gradient():
    model, norms = _linear(), []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            norms.append(float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm()))
            super().step(closure)

    train(model, loader(), loss=mse, epochs=1, clip=0.1, optimizer=lambda p: Spy(p, lr=0.0), scheduler=None)
    assert norms == pytest.approx([0.1] * 6, rel=1e-4)


def test_a_no_to_going_on_interrupts():
    asked = []

    def keep_going():
        asked.append(1)
        return len(asked) < 4

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train(_linear(), loader(), loss=mse, epochs=3, keep_going=keep_going)
    assert len(asked) == 4


def test_a_loss_that_is_not_finite_ends_training():
    with pytest.raises(RunError, match=r"finite training loss, got nan at step 0\. The outputs .* Lower the"):
        train(_linear(), loader(), loss=lambda f, b: mse(f, b) * math.nan, epochs=1)


def test_the_module_that_a_nan_comes_from_is_named():
    broken = _linear()
    broken.weight.data.fill_(math.nan)
    with pytest.raises(RunError, match=r"not finite is that of the module '1' \(Linear\)"):
        train(nn.Sequential(nn.Identity(), broken, nn.Tanh()), loader(), loss=mse, epochs=1)


def test_nothing_to_train_is_an_error():
    with pytest.raises(InputError, match="got 0 weights and 6 batches"):
        train(nn.Identity(), loader(), loss=mse, epochs=1)
    with pytest.raises(InputError, match="got 2 weights and 0 batches"):
        train(_linear(), [], loss=mse, epochs=1)
    with pytest.raises(InputError, match="epochs: expected an integer >= 1"):
        train(_linear(), loader(), loss=mse, epochs=0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda forward, batch: mse(forward, batch).item(), "a tensor of one number from .*, got [0-9]"),
        (lambda forward, batch: {"loss": mse(forward, batch)}, "a tensor of one number from .*, got {'loss'"),
        (lambda forward, batch: forward(batch[0]), r"a tensor of one number from .*, got shape \(8, 1\)"),
        (lambda forward, batch: mse(forward, batch).detach(), "a tensor with a gradient from"),
        (nn.functional.mse_loss, r"a function of \(forward, batch\), got a criterion"),
    ],
)
def test_what_is_no_loss_is_told(loss, message):
    with pytest.raises(InputError, match=f"^loss: expected {message}"):
        train(_linear(), loader(), loss=loss, epochs=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer", torch.optim.SGD(_linear().parameters()), "a function of the parameters, got a SGD"),
        ("optimizer", lambda weights: None, "a function that returns an optimiser, got None"),
        ("optimizer", torch.optim.LBFGS, "one whose step needs no closure, got a LBFGS"),
        (
            "optimizer",
            lambda _: torch.optim.SGD(_linear().parameters()),
            "one of the weights .* got one of others",
        ),
        ("scheduler", "cosine", r"a function of \(optimiser, total steps\), got 'cosine'"),
        ("scheduler", lambda weights, steps: 0.1, "a function that returns a schedule .* got 0.1"),
        ("scheduler", lambda w, _: torch.optim.lr_scheduler.ReduceLROnPlateau(w), "a function .* a"),
    ],
)
def test_what_is_no_optimiser_or_schedule_is_told(name, value, message):
    with pytest.raises(InputError, match=f"^{name}: expected {message}"):
        train(_linear(), loader(), loss=mse, epochs=1, **{name: value})


def test_a_network_whose_loss_reaches_no_weight_is_left_as_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Identity())
    model.unused = _linear()
    model.forward = lambda x: x[:, :1]
    before = model.unused.weight.detach().clone()
    train(model, loader(), loss=mse, epochs=1)
    assert torch.equal(model.unused.weight, before)


@pytest.mark.parametrize("batch_size", [1, 7, 48, 100])
def test_a_score_weights_batches_by_their_size(batch_size):
    model = _linear()
    expected = mse(model, data().tensors).item()
    assert score(model, DataLoader(data(), batch_size), mse) == pytest.approx(expected, rel=1e-5)


def test_a_score_is_taken_in_evaluation_mode_without_gradient():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3).eval())
    modes = [module.training for module in model.modules()]

    def objective(forward, batch):
        assert not torch.is_grad_enabled()
        assert not any(module.training for module in model.modules())
        return 2

    assert score(model, loader(), objective) == 2.0
    with pytest.raises(InputError, match=r"objective: expected one number from .*lambda>, got 'high'"):
        score(model, loader(), lambda forward, batch: "high")
    assert [module.training for module in model.modules()] == modes


def test_a_bare_criterion_is_no_score():
    with pytest.raises(InputError, match=r"objective: expected a function .*supervised\(criterion\)"):
        score(_linear(), loader(), nn.functional.mse_loss)


def test_a_score_of_nothing_is_an_error():
    with pytest.raises(RunError, match="expected at least one batch to score on"):
        score(nn.Identity(), [], mse)


def test_shared_weights_count_once():
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 12


def test_accuracy_is_the_share_of_right_labels():
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 1.0]])
    assert accuracy(nn.Identity(), (logits, torch.tensor([0, 0, 0]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize("batch", [torch.ones(2), (torch.ones(2),), {"x": 1}])
def test_a_batch_that_is_no_pair_is_told(batch):
    with pytest.raises(InputError, match=r"batch: expected an \(input, target\) pair"):
        supervised(nn.functional.mse_loss)(nn.Identity(), batch)


def test_trained_child_of_a_searchable_batch_norm_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    supernet = Supernet(
        nn.Sequential(snn.Linear(3, Integer(4, 8, label="w")), snn.BatchNorm1d(8), snn.Linear(8, 1))
    )
    child = supernet.extract({"w": 5}, example=torch.ones(4, 3))
    assert child[1].running_mean is None
    child = train(child, loader(), loss=mse, epochs=2)
    assert child[1].running_mean.shape == (5,)
    x = torch.randn(6, 3)
    torch.testing.assert_close(child(x[:2]), child(x)[:2])


class Constant(nn.Module):
    """Names one class, whatever comes."""

    def __init__(self, named):
        super().__init__()
        self.register_buffer("logits", nn.functional.one_hot(torch.tensor(named), 10).float())

    def forward(self, x):
        return self.logits.expand(len(x), 10)


def shared_by(forward, batch):
    """Accuracy as many write it: the mean of float32."""
    return (forward(batch[0]).argmax(dim=1) == batch[1]).float().mean()


@pytest.mark.parametrize("objective", [accuracy, shared_by])
@pytest.mark.parametrize("size", [7, 64, 128, 1000])
def test_classifiers_right_equally_often_score_exactly_the_same(objective, size):
    labels = torch.arange(10).repeat(100)[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    batches = DataLoader(TensorDataset(torch.zeros(1000, 1), labels), size)
    assert [score(Constant(named), batches, objective) for named in range(10)] == [100 / 1000] * 10


def test_a_mean_that_is_no_count_is_weighted_as_it_is():
    values = torch.rand(10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = sum(len(part) * part.mean().item() for part in values.split(4)) / 10
    batches = DataLoader(values, 4)
    assert score(nn.Identity(), batches, lambda forward, batch: forward(batch).mean()) == plain
    assert score(nn.Identity(), batches, lambda forward, batch: 1e-300) == pytest.approx(1e-300, abs=0.0)
    assert math.isnan(score(nn.Identity(), batches, lambda forward, batch: math.nan))
    assert score(nn.Identity(), batches, lambda forward, batch: math.inf) == math.inf
