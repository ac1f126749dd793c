"""What every twin of a layer of torch must do."""

import copy
import pickle
from random import Random

import pytest
import torch
from torch import nn
from twin_cases import CASES, held

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Integer


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    return CASES[request.param]()


@pytest.fixture
def supernet(case):
    return Supernet(held(case.twin)).eval()


def settings(case, supernet, count=6):
    """Architectures, and inputs for each."""
    rng = Random(0)
    for _ in range(count):
        a = supernet.space.sample(rng)
        for inputs in case.inputs:
            yield a, inputs


@pytest.mark.parametrize("grad", [True, False])
def test_child_computes_the_same_to_the_last_bit(case, supernet, grad):
    for a, inputs in settings(case, supernet):
        with torch.set_grad_enabled(grad):
            child = supernet.extract(a, example=inputs)
            assert torch.equal(child(*inputs), supernet(*inputs, architecture=a))


def test_child_is_the_plain_layer_of_torch(case, supernet):
    for a, inputs in settings(case, supernet):
        child = supernet.extract(a, example=inputs)
        assert type(child.layer) is type(case.largest)
        assert not any(type(m).__module__.startswith("asng") for m in child.modules() if m is not child)
        assert not any(name.startswith("search_") for m in child.modules() for name in vars(m))


def test_weights_of_the_child_are_the_parts_that_are_used_and_no_others(case, supernet):
    with torch.no_grad():
        values = torch.randperm(sum(p.numel() for p in supernet.parameters())) / 1e4
        for p, part in zip(
            supernet.parameters(), values.split([p.numel() for p in supernet.parameters()]), strict=True
        ):
            p.copy_(part.view_as(p))
    for a, inputs in settings(case, supernet, count=3):
        child = supernet.extract(a, example=inputs)
        y = child(*inputs)
        used = torch.cat([p.detach().flatten() for p in child.parameters()] or [torch.empty(0)])
        assert len(used.unique()) == len(used)
        spoiled = copy.deepcopy(supernet)
        with torch.no_grad():
            for p in spoiled.parameters():
                p.masked_fill_(~torch.isin(p, used), float("nan"))
        assert torch.equal(spoiled(*inputs, architecture=a), y)


def test_gradients_reach_the_parts_that_are_used(case, supernet):
    if not list(case.twin.parameters()):
        pytest.skip("it has no weights")
    for a, inputs in settings(case, supernet, count=3):
        child = supernet.extract(a, example=inputs)
        supernet.zero_grad(set_to_none=True)
        supernet(*inputs, architecture=a).square().sum().backward()
        child(*inputs).square().sum().backward()
        for path, p in child.named_parameters():
            whole = supernet.model.get_parameter(path).grad
            assert whole.shape == supernet.model.get_parameter(path).shape
            torch.testing.assert_close(whole.abs().sum(), p.grad.abs().sum())


def test_state_dict_and_first_weights_are_those_of_torch(request, case):
    name = request.node.callspec.params["case"]
    torch.manual_seed(7)
    twin = CASES[name]().twin
    torch.manual_seed(7)
    again = CASES[name]().twin
    assert list(twin.state_dict()) == list(case.largest.state_dict())
    for key, tensor in case.largest.state_dict().items():
        assert twin.state_dict()[key].shape == tensor.shape
        assert torch.equal(twin.state_dict()[key], again.state_dict()[key])
    twin.load_state_dict(case.largest.state_dict())
    case.largest.load_state_dict(twin.state_dict())
    assert isinstance(twin, type(case.largest))


def test_twin_with_its_largest_sizes_computes_what_torch_computes(case, supernet):
    case.twin.load_state_dict(case.largest.state_dict())
    largest = {name: getattr(v, "high", None) or v.choices[-1] for name, v in supernet.space.items()}
    a = {**largest, "other": 0} | ({"f": "relu"} if "f" in largest else {})
    inputs = case.inputs[0]
    y = case.largest.eval()(*inputs)
    torch.testing.assert_close(supernet(*inputs, architecture=a), y[0] if isinstance(y, tuple) else y)


def test_copies_and_pickles_are_twins(case, supernet):
    a, inputs = next(settings(case, supernet))
    y = supernet(*inputs, architecture=a)
    for twin in (copy.deepcopy(supernet), pickle.loads(pickle.dumps(supernet))):  # noqa: S301 - our own
        assert torch.equal(twin(*inputs, architecture=a), y)


def test_double_precision_comes_over(case, supernet):
    a, inputs = next(settings(case, supernet))
    supernet.double()
    inputs = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    child = supernet.extract(a, example=inputs)
    assert all(p.dtype == torch.float64 for p in child.parameters())
    assert torch.equal(child(*inputs), supernet(*inputs, architecture=a))


def test_frozen_weights_and_modes_come_over(case, supernet):
    a, inputs = next(settings(case, supernet))
    for p in supernet.parameters():
        p.requires_grad_(False)
    supernet.train()
    child = supernet.extract(a, example=inputs)
    assert not any(p.requires_grad for p in child.parameters())
    assert all(m.training for m in child.modules())


def test_input_wider_than_the_layer_names_its_path(case, supernet):
    if not hasattr(case.twin, "weight") or isinstance(case.twin, nn.Embedding):
        pytest.skip("its input has no width")
    a, (x, *_) = next(settings(case, supernet))
    dim = 1 if x.ndim == 4 or isinstance(case.twin, (nn.Conv1d, nn.BatchNorm1d)) else -1
    wide = torch.cat([x] * 8, dim=dim)
    with pytest.raises(InputError, match=r"module 'layer' \(asng\.nn\.\w+\): expected at most"):
        supernet(wide, architecture=a)


def test_twin_without_an_example_says_what_it_needs(case, supernet):
    a, _ = next(settings(case, supernet))
    with pytest.raises(InputError, match=r"example: expected an input.*extract\(architecture, example=x\)"):
        supernet.extract(a)


def test_layer_called_with_two_widths_has_no_plain_form():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = snn.Linear(8, Integer(2, 4, label="out"))

        def forward(self, x):
            return self.layer(x) + self.layer(x[:, :5])

    supernet = Supernet(Twice())
    with pytest.raises(InputError, match=r"module 'layer' .*several calls of different widths.*two layers"):
        supernet.extract({"out": 3}, example=torch.ones(2, 8))


def test_layer_that_the_example_does_not_run_is_left_out():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = snn.Linear(4, Integer(2, 4, label="out")), snn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    child = Supernet(Idle()).extract({"out": 3}, example=torch.ones(2, 4))
    assert type(child.idle) is nn.Identity


def test_rate_of_dropout_is_active_in_training_only():
    supernet, a = Supernet(held(CASES["Dropout"]().twin)), {"rate": 0.3, "other": 0}
    supernet(torch.ones(3), architecture=a)
    assert supernet.active == {"rate", "other"}
    supernet.eval()(torch.ones(3), architecture=a)
    assert supernet.active == {"other"}


def test_searched_rate_drops_as_often_as_it_says():
    # 20,000 draws at rate 0.3: the share lies within 5 sd = 0.016 but for 6 in 10^7 seeds.
    torch.manual_seed(0)
    supernet = Supernet(CASES["Dropout"]().twin)
    dropped = supernet(torch.ones(20_000), architecture={"rate": 0.3}) == 0
    assert abs(dropped.float().mean() - 0.3) < 0.016
