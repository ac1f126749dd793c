"""An ONNX program declares a size free only if it computes at another size what the network computes."""

import sys
import warnings

import pytest
import torch
from torch import nn

from asng.nn import Inputs
from asng.training import save_onnx
from asng.training.onnx_sizes import other_sizes, resized

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def pooled(size):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(size), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * size**2, 3)).eval()


def session(path):
    return pytest.importorskip("onnxruntime").InferenceSession(path)


def declared(program):
    return [[isinstance(size, str) or size for size in one.shape] for one in program.get_inputs()]


def same(program, child, *shape):
    x = torch.randn(*shape)
    (got,) = program.run(None, {program.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), child(x).detach(), atol=1e-5, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("side", [7, 14])
def test_a_size_that_the_program_does_not_support_is_fixed(side, tmp_path):
    child = pooled(2)
    told = rf"save_onnx: .*'input' at dimension 2 \({side}\), 'input' at dimension 3 \({side}\): at another"
    with pytest.warns(UserWarning, match=told):
        path = save_onnx(tmp_path / "child.onnx", child, torch.randn(2, 1, side, side))
    program = session(path)
    assert declared(program) == [[True, 1, side, side]]
    for batch in (1, 2, 5):
        same(program, child, batch, 1, side, side)
    with pytest.raises(Exception, match="Got invalid dimensions"):
        same(program, child, 2, 1, side + 1, side)


@pytest.mark.slow
def test_a_size_that_the_program_supports_stays_free(tmp_path):
    child = pooled(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        program = session(save_onnx(tmp_path / "child.onnx", child, torch.randn(4, 1, 8, 8)))
    assert declared(program) == [[True, 1, True, True]]
    for shape in ((1, 1, 8, 8), (5, 1, 9, 20)):
        same(program, child, *shape)


class Mixed(nn.Module):
    """Takes an image of one size, and a sequence of any length up to eleven."""

    def __init__(self):
        super().__init__()
        self.image, self.table = pooled(2), nn.Parameter(torch.randn(11, 3))

    def forward(self, image, words):
        return {"out": self.image(image) + (words + self.table[: words.shape[1]]).mean(1), "none": None}


@pytest.mark.slow
def test_each_size_is_judged_by_itself(tmp_path):
    child, shapes = Mixed().eval(), ((2, 1, 6, 6), (2, 5, 3))
    example = Inputs((), {name: torch.randn(s) for name, s in zip(("image", "words"), shapes, strict=True)})
    with pytest.warns(UserWarning, match="'image' at dimension 2"):
        program = session(save_onnx(tmp_path / "child.onnx", child, example))
    assert declared(program) == [[True, 1, 6, 6], [True, True, 3]]


@pytest.mark.slow
def test_a_size_that_the_network_itself_needs_is_fixed_without_a_warning(tmp_path):
    child = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        program = session(save_onnx(tmp_path / "child.onnx", child, torch.randn(4, 3, 4, 4)))
    assert declared(program) == [[True, 3, 4, 4]]


@pytest.mark.slow
def test_without_onnxruntime_only_the_batch_is_free(tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.warns(UserWarning, match="onnxruntime is not installed"):
        path = save_onnx(tmp_path / "child.onnx", pooled(1), torch.randn(4, 1, 8, 8))
    assert declared(runtime.InferenceSession(path)) == [[True, 1, 8, 8]]


def test_other_sizes_are_within_the_ranges():
    known = {"batch": (8, 0, None), "long": (14, 2, None), "short": (5, 2, 5), "none": (3, 3, 3)}
    assert list(other_sizes(known, {"batch"})) == [
        {"batch": 2, "long": 15, "short": 4, "none": 3},
        {"batch": 2, "long": 22, "short": 4, "none": 3},
        {"batch": 2, "long": 13, "short": 4, "none": 3},
    ]


def test_other_sizes_keep_the_values_valid():
    x = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert resized(x, [3, 4]).tolist() == [[1, 2, 3, 1], [4, 5, 6, 4], [1, 2, 3, 1]]
    assert resized(x, [1, 2]).tolist() == [[1, 2]]
    assert resized(torch.tensor(3), []).item() == 3
