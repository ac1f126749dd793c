"""What the child of a cell network can be used for, where nobody knows of asng."""

import copy
import pickle
from random import Random

import pytest
import torch

from asng.nn import Supernet
from asng.supernets import EnasCellNetwork

LOADER = """
import sys
sys.modules["asng"] = None  # an import of it fails from here on
import pickle, torch
with open(sys.argv[1] + "/child.pkl", "rb") as file:
    child = pickle.load(file)
x, y = torch.load(sys.argv[1] + "/io.pt", weights_only=True)
assert torch.equal(child(x), y)
"""


def _child(seed=0):
    torch.manual_seed(seed)
    network = EnasCellNetwork(
        in_channels=1, classes=10, image_size=14, cells=3, nodes=3, channels=4, retraining=True
    )
    supernet = Supernet(network).eval()
    return supernet.extract(supernet.space.sample(Random(seed))), torch.randn(4, 1, 14, 14)


def test_child_is_loaded_and_run_without_asng(run_script, tmp_path):
    child, x = _child()
    (tmp_path / "child.pkl").write_bytes(pickle.dumps(child))
    torch.save((x, child(x).detach()), tmp_path / "io.pt")
    run_script(LOADER, tmp_path, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_child_is_pickled_and_copied(seed):
    child, x = _child(seed)
    for twin in (copy.deepcopy(child), pickle.loads(pickle.dumps(child))):  # noqa: S301 - our own bytes
        assert torch.equal(twin(x), child(x))
    assert b"asng" not in pickle.dumps(child)


def test_weights_of_a_child_load_into_a_child_of_the_same_architecture(tmp_path):
    (trained, x), (fresh, _) = _child(), _child()
    torch.nn.init.ones_(trained.head.bias)
    torch.save(trained.state_dict(), tmp_path / "child.pt")
    fresh.load_state_dict(torch.load(tmp_path / "child.pt", weights_only=True))
    assert torch.equal(fresh(x), trained(x))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_child_is_exported_for_any_batch(tmp_path, seed):
    child, x = _child(seed)
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(child, (x,), dynamic_shapes=({0: batch},)), tmp_path / "child.pt2")
    loaded = torch.export.load(tmp_path / "child.pt2").module()
    for n in (1, 3):
        torch.testing.assert_close(loaded(x[:n]), child(x[:n]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_child_is_converted_to_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    child, x = _child()
    batch = torch.export.Dim("batch", min=1, max=64)
    path = tmp_path / "child.onnx"
    torch.onnx.export(child, (x,), path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    session = runtime.InferenceSession(path)
    (y,) = session.run(None, {session.get_inputs()[0].name: x[:3].numpy()})
    torch.testing.assert_close(torch.from_numpy(y), child(x[:3]), rtol=1e-4, atol=1e-5)
