"""What a child of every searchable layer can be used for, where nobody knows of asng."""

import copy
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from child_cases import NAMES, NETS, child_of
from foreign import objects_of_asng
from plain_blocks import Held
from torch.export import Dim

from asng.training import save_onnx, save_program

LOADER = """
import sys
sys.modules["asng"] = None  # an import of it fails from here on
sys.path.insert(0, sys.argv[1])
import pathlib, pickle, torch
folders = list(pathlib.Path(sys.argv[2]).iterdir())
for folder in folders:
    inputs, y = torch.load(folder / "io.pt", weights_only=True)
    child = pickle.loads((folder / "child.pkl").read_bytes())
    whole = torch.load(folder / "whole.pt", weights_only=False)
    assert torch.equal(child(*inputs), y) and torch.equal(whole(*inputs), y), folder
    for parameter in child.parameters():
        torch.nn.init.zeros_(parameter)
    child.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    assert torch.equal(child(*inputs), y), folder
assert not any(name.startswith("asng.") for name in sys.modules)
print(len(folders))
"""

OF_CONVERSION = (
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:# The axis name:UserWarning",
    "ignore:The .grad attribute of a Tensor:UserWarning",  # the loop into which torch turns recurrent layers
)
"""Warnings of torch about its own parts, and that inputs share the one free dimension."""

every_case = pytest.mark.parametrize("name", NAMES)


def dynamic(inputs):
    """Free the first dimension of the first input, and of those as long."""
    return tuple({0: Dim("batch")} if len(x) == len(inputs[0]) else None for x in inputs)


def fewer(inputs):
    """The first two items of those inputs."""
    return tuple(x[:2] if shape else x for x, shape in zip(inputs, dynamic(inputs), strict=True))


def test_children_are_loaded_and_run_without_asng(run_script, tmp_path):
    for i, name in enumerate(NAMES):
        child, inputs = child_of(name)
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "child.pkl").write_bytes(pickle.dumps(child))
        torch.save(child, folder / "whole.pt")
        torch.save(child.state_dict(), folder / "state.pt")
        torch.save((inputs, child(*inputs).detach()), folder / "io.pt")
    assert int(run_script(LOADER, tmp_path, Path(__file__).parent, tmp_path).out) == len(NAMES)


@every_case
def test_child_is_copied_deeply(name):
    child, inputs = child_of(name)
    assert torch.equal(copy.deepcopy(child)(*inputs), child(*inputs))


@every_case
def test_child_refers_to_nothing_of_asng(name):
    assert not objects_of_asng(child_of(name)[0])


SELDOM = re.compile(r"[13]d|GRU|DecoderLayer|EncoderLayer, norm|of plain layers")
"""Exported by `make test-slow` alone: others of one kind with these are exported each time."""


@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # of torch's recurrent layers
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if SELDOM.search(n) else n for n in NAMES]
)
def test_child_is_exported_for_any_batch(name):
    child, inputs = child_of(name)
    program = torch.export.export(child, inputs, dynamic_shapes=_shapes(child, inputs)).module()
    for x in (inputs, fewer(inputs)):
        torch.testing.assert_close(program(*x), child(*x))


@every_case
@pytest.mark.slow
def test_child_is_compiled_as_one_graph(name):
    child, inputs = child_of(name)
    if any(isinstance(module, torch.nn.RNNBase) for module in child.modules()):
        pytest.skip("torch compiles no recurrent layer of its own")
    torch.compiler.reset()
    assert torch.equal(torch.compile(child, backend="eager", fullgraph=True)(*inputs), child(*inputs))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch's own compiler needs one of C++")
@pytest.mark.parametrize("name", NETS)
def test_child_is_compiled_to_machine_code(name):
    child, inputs = child_of(name)
    torch.compiler.reset()
    compiled = torch.compile(child, fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), child(*inputs))


@pytest.mark.parametrize("name", NETS)
def test_child_is_saved_as_a_program(name, tmp_path):
    child, inputs = child_of(name)
    program = torch.export.load(save_program(tmp_path / "child.pt2", child, inputs)).module()
    torch.testing.assert_close(program(*fewer(inputs)), child(*fewer(inputs)))


@pytest.mark.slow
@pytest.mark.filterwarnings(*OF_CONVERSION)
@pytest.mark.parametrize("name", NETS)
def test_child_is_saved_as_onnx(name, tmp_path):
    child, inputs = child_of(name)
    session = _session(str(save_onnx(tmp_path / "child.onnx", child, inputs)))
    torch.testing.assert_close(_run(session, fewer(inputs)), child(*fewer(inputs)))


@pytest.mark.slow
@pytest.mark.filterwarnings(*OF_CONVERSION)
@every_case
def test_child_is_converted_to_onnx_for_any_batch(name):
    child, inputs = child_of(name)
    shapes = _shapes(child, inputs)
    converted = torch.onnx.export(child, inputs, dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = _session(converted.model_proto.SerializeToString())
    for x in (inputs, fewer(inputs)):
        torch.testing.assert_close(_run(session, x), child(*x))


def _session(model):
    return pytest.importorskip("onnxruntime").InferenceSession(model)


def _run(session, inputs):
    names = [node.name for node in session.get_inputs()]
    (y,) = session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})
    return torch.from_numpy(y)


def _shapes(child, inputs):
    """Return the dimensions by argument: a module that takes *inputs has one argument for all of them."""
    return (dynamic(inputs),) if isinstance(child, Held) else dynamic(inputs)
