"""What every ready space must do: be the space that is said, give exact plain children, be trained."""

import copy
import pickle
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ready_cases import CASES, SMALL
from torch import nn

from asng import ASNG, OneShotSearch
from asng.nn import Supernet
from asng.training import recalibrate, train

LOADER = """
import sys
sys.modules["asng"] = None  # an import of it fails from here on
import pickle, torch
with open(sys.argv[1] + "/child.pkl", "rb") as file:
    child = pickle.load(file)
inputs, y = torch.load(sys.argv[1] + "/io.pt", weights_only=True)
assert torch.equal(child(*inputs), y)
"""


# What takes seconds a network is done for the small ones each time, for the others by `make test-slow`.
SLOW_IF_LARGE = [n if n in SMALL else pytest.param(n, marks=pytest.mark.slow) for n in CASES]


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    return CASES[request.param]


@pytest.fixture
def supernet(case):
    return Supernet(case.model()).eval()


def loss(forward, batch):
    return forward(*batch).square().mean()


def child_of(supernet, case, seed=0):
    return supernet.extract(supernet.space.sample(Random(seed)), example=case.inputs)


def test_space_has_these_variables_and_this_n_theta(case, supernet):
    assert sorted(supernet.space) == sorted(case.names)
    assert ASNG(supernet.space).n_theta == case.n_theta


@pytest.mark.parametrize("name", CASES)
def test_child_computes_the_same_to_the_last_bit(name):
    torch.manual_seed(0)
    case = CASES[name]
    supernet = Supernet(case.model()).eval()

    @settings(max_examples=4)
    @given(seed=st.integers(0, 10**6), grad=st.booleans())
    def holds(seed, grad):
        a = supernet.space.sample(Random(seed))
        with torch.set_grad_enabled(grad):
            child = supernet.extract(a, example=case.inputs)
            assert torch.equal(child(*case.inputs), supernet(*case.inputs, architecture=a))

    holds()


def test_child_has_plain_layers_and_only_the_weights_that_it_uses(case, supernet):
    child = child_of(supernet, case)
    assert not any(type(m).__module__.startswith("asng") for m in child.modules())
    child(*case.inputs).square().sum().backward()
    unused = [name for name, p in child.named_parameters() if p.grad is None]
    assert unused == []


def test_child_is_pickled_and_copied_without_a_word_of_asng(case, supernet):
    child = child_of(supernet, case)
    dump = pickle.dumps(child)
    assert b"asng" not in dump
    for twin in (copy.deepcopy(child), pickle.loads(dump)):  # noqa: S301 - our own bytes
        assert torch.equal(twin(*case.inputs), child(*case.inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "small autoencoder", "encoder", "mlp with categories"])
def test_child_is_loaded_and_run_without_asng(name, run_script, tmp_path):
    torch.manual_seed(0)
    case = CASES[name]
    child = child_of(Supernet(case.model()).eval(), case)
    (tmp_path / "child.pkl").write_bytes(pickle.dumps(child))
    torch.save((case.inputs, child(*case.inputs).detach()), tmp_path / "io.pt")
    run_script(LOADER, tmp_path, tmp_path)


@pytest.mark.parametrize("case", SLOW_IF_LARGE, indirect=True)
def test_child_is_exported_for_any_batch(case, supernet):
    child = recalibrate(child_of(supernet, case), [case.inputs], loss=loss)  # for batches of one
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = tuple({0: batch} for _ in case.inputs)
    program = torch.export.export(child, case.inputs, dynamic_shapes=shapes).module()
    for n in (1, 5):
        inputs = tuple(torch.cat([x, x])[:n] for x in case.inputs)
        torch.testing.assert_close(program(*inputs), child(*inputs))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["cnn", "small autoencoder", "encoder", "mlp with categories"])
def test_child_is_converted_to_onnx(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    case = CASES[name]
    child = recalibrate(child_of(Supernet(case.model()), case), [case.inputs], loss=loss)
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = tuple({0: batch} for _ in case.inputs)
    program = torch.export.export(child, case.inputs, dynamic_shapes=shapes)
    torch.onnx.export(program, f=tmp_path / "child.onnx", dynamo=True, verbose=False)
    session = runtime.InferenceSession(tmp_path / "child.onnx")
    named = zip(session.get_inputs(), case.inputs, strict=True)
    (y,) = session.run(None, {given.name: x[:2].numpy() for given, x in named})
    inputs = tuple(x[:2] for x in case.inputs)
    torch.testing.assert_close(torch.from_numpy(y), child(*inputs), rtol=1e-4, atol=1e-5)


def test_space_is_searched_and_its_child_trained_from_scratch(case):
    supernet = Supernet(case.model())
    items = [tuple(x[i % 3] for x in case.inputs) for i in range(12)]
    loader = torch.utils.data.DataLoader(items, batch_size=3)
    result = OneShotSearch(supernet, loss).fit(loader, epochs=3, progress=False)
    assert result.child(*case.inputs).isfinite().all()
    fresh = Supernet(case.model()).extract(result.architecture, example=case.inputs)
    fresh = recalibrate(train(fresh, loader, loss=loss, epochs=1), loader, loss=loss)
    norms = [m for m in fresh.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert all(norm.track_running_stats and not norm.training for norm in norms)
    one, rest = (tuple(x[part] for x in case.inputs) for part in (slice(1), slice(1, None)))
    together = torch.cat([fresh(*one), fresh(*rest)])
    torch.testing.assert_close(together, fresh(*case.inputs))
