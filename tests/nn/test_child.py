"""What a child can be used for, where nobody knows of asng."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from plain_blocks import Joined, Residual
from torch import nn

from asng.nn import Choice, InputChoice, Supernet

LOADER = """
import sys
sys.modules["asng"] = None  # an import of it fails from here on
sys.path.insert(0, sys.argv[1])
import pickle, torch
with open(sys.argv[2] + "/child.pkl", "rb") as file:
    child = pickle.load(file)
whole = torch.load(sys.argv[2] + "/whole.pt", weights_only=False)
x, y = torch.load(sys.argv[2] + "/io.pt", weights_only=True)
assert torch.equal(child(x), y) and torch.equal(whole(x), y)
assert not any(name.startswith("asng.") for name in sys.modules)
"""


def _child():
    ops = {"conv": nn.Conv2d(3, 3, 3, padding=1), "skip": nn.Identity()}
    body = Joined(InputChoice(3, 2, label="in"), Residual(Choice(ops, label="op")), nn.BatchNorm2d(3))
    supernet = Supernet(nn.Sequential(body, nn.Flatten(), nn.Linear(48, 2))).eval()
    x = torch.linspace(-1, 1, 192).reshape(4, 3, 4, 4)
    return supernet.extract({"op": "conv", "in.input1": 1, "in.input2": 2}, example=x), x


def test_child_is_loaded_and_run_without_asng(tmp_path):
    child, x = _child()
    (tmp_path / "child.pkl").write_bytes(pickle.dumps(child))
    torch.save(child, tmp_path / "whole.pt")
    torch.save((x, child(x).detach()), tmp_path / "io.pt")
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-W", "error", "-c", LOADER, here, str(tmp_path)], check=True)


def test_child_is_copied_deeply():
    child, x = _child()
    assert torch.equal(copy.deepcopy(child)(x), child(x))


def test_weights_of_a_child_are_saved_and_loaded_alone(tmp_path):
    child, x = _child()
    y = child(x)
    torch.save(child.state_dict(), tmp_path / "child.pt")
    torch.nn.init.zeros_(child[2].weight)
    child.load_state_dict(torch.load(tmp_path / "child.pt", weights_only=True))
    assert torch.equal(child(x), y)


def test_child_is_exported_for_any_batch(tmp_path):
    child, x = _child()
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
    path = tmp_path / "child.onnx"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(child, (x,), path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    session = runtime.InferenceSession(path)
    (y,) = session.run(None, {session.get_inputs()[0].name: x[:3].numpy()})
    torch.testing.assert_close(torch.from_numpy(y), child(x[:3]))
