"""The child on the disk."""

import sys
from pathlib import Path

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn

from asng.errors import InputError, RunError
from asng.nn import Choice, Supernet
from asng.space import Architecture
from asng.training import load_child_weights, save_child, save_onnx, save_program
from asng.training.child_file import load_into
from asng.training.inputs import by_position, example_inputs

RUN = """
import sys
sys.modules["asng"] = None  # an import of it fails from here on
import torch
program = torch.export.load(sys.argv[1] + "/child.pt2").module()
for x, y in torch.load(sys.argv[1] + "/io.pt", weights_only=True):
    torch.testing.assert_close(program(x), y)
weights = torch.load(sys.argv[1] + "/child.pt", weights_only=True)
assert sorted(weights) == ["architecture", "format", "state_dict"]
"""


@pytest.fixture(scope="module")
def result():
    return fit(searcher(two_layers(norm=True)), epochs=1)


def _numbers(child):
    inputs = [data(n).tensors[0] for n in (1, 2, 5, 8, 40)]
    return [(x, child(x).detach()) for x in inputs]


def test_weights_come_back(result, tmp_path):
    path = result.save(tmp_path / "deep" / "child.pt")
    architecture, weights = load_child_weights(path)
    assert architecture == result.architecture
    example = data().tensors[0][:4]
    fresh = two_layers(norm=True).extract(architecture, example=example)
    fresh.load_state_dict(weights)
    assert torch.equal(fresh.eval()(example), result.child(example))


def test_paths_may_be_strings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    child, architecture = nn.Linear(3, 1), Architecture({"op": "linear"})
    assert save_child("child.pt", child, architecture) == Path("child.pt")
    assert load_child_weights("child.pt")[0] == load_child_weights(Path("child.pt"))[0] == architecture
    assert save_program("deep/child.pt2", child, torch.ones(2, 3)) == Path("deep/child.pt2")
    assert torch.export.load("deep/child.pt2").module()(torch.ones(5, 3)).shape == (5, 1)


def test_onnx_may_be_written_by_a_string(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    assert save_onnx("deep/child.onnx", nn.Linear(3, 1), torch.ones(2, 3)).stat().st_size > 0


@pytest.mark.parametrize("save", [save_program, save_onnx])
def test_a_path_that_cannot_be_written_is_told_before_the_export(save, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(torch.export, "export", lambda *_, **__: pytest.fail("exported"))
    monkeypatch.setattr("asng.training.export._need_onnx", lambda *_: None)
    with pytest.raises(RunError, match=r"file/child: cannot be written"):
        save(str(tmp_path / "file/child"), nn.Linear(3, 1), torch.ones(2, 3))


def test_a_missing_child_is_named(tmp_path):
    with pytest.raises(RunError, match=r"child.pt: expected the weights of a child, found no file"):
        load_child_weights(tmp_path / "child.pt")


def test_a_cut_or_changed_child_is_refused(result, tmp_path):
    path = result.save(tmp_path / "child.pt")
    whole = path.read_bytes()
    at = whole.index(result.child[1].running_mean.numpy().tobytes())
    for content in (b"", whole[:100], whole[:-1], whole[:at] + b"????" + whole[at + 4 :]):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"expected a child, got a (truncated or foreign|damaged) file"):
            load_child_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": 2, "other": 1}, r"a child of format 1, got 2\. Update asng"),
        ({"format": 1}, "foreign file: KeyError"),
        ({"format": 1, "architecture": "no JSON", "state_dict": {}}, "foreign file: SpaceError"),
        ([1], "got a file that holds list"),
    ],
)
def test_a_foreign_child_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "child.pt")
    with pytest.raises(RunError, match=message):
        load_child_weights(tmp_path / "child.pt")


def test_code_in_a_child_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "written",))

    torch.save({"format": 1, "architecture": "{}", "state_dict": {"weight": Evil()}}, tmp_path / "child.pt")
    with pytest.raises(RunError, match="expected a child, got a truncated or foreign file"):
        load_child_weights(tmp_path / "child.pt")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("weights", [[1], {"weight": 3}, {1: torch.zeros(1)}, torch.zeros(1), None])
def test_what_is_no_weights_by_name_is_refused(weights, tmp_path):
    torch.save({"format": 1, "architecture": "{}", "state_dict": weights}, tmp_path / "child.pt")
    with pytest.raises(RunError, match=r"child\.pt: expected weights by name, got"):
        load_child_weights(tmp_path / "child.pt")


@pytest.mark.parametrize("number", [torch.zeros(2), torch.zeros(0), torch.zeros(3, 3), None, "1", [1]])
def test_a_format_that_is_no_number_is_another_one(number, tmp_path):
    torch.save({"format": number}, tmp_path / "child.pt")
    with pytest.raises(RunError, match=r"^.*expected a child of format 1, got .*$"):
        load_child_weights(tmp_path / "child.pt")


def test_weights_of_another_network_are_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"^.*child\.pt: does not fit the network that is described: .*$"):
        load_into(nn.Linear(3, 1), {"weight": torch.zeros(2, 2)}, tmp_path / "child.pt")


@pytest.mark.parametrize("size", [1, 8])
def test_a_program_runs_without_asng_for_any_batch(size, result, run_script, tmp_path):
    save_program(tmp_path / "child.pt2", result.child, (data().tensors[0][:size],))
    torch.save(_numbers(result.child), tmp_path / "io.pt")
    save_child(tmp_path / "child.pt", result.child, result.architecture)
    run_script(RUN, tmp_path, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_program_may_take_several_inputs(tmp_path):
    class Scaled(nn.Linear):
        def forward(self, x, scale, table):
            return super().forward(x) * scale + table.sum()

    child, x = Scaled(3, 2), torch.randn(6, 3)
    example = (x, torch.rand(6, 1), torch.arange(4.0))
    save_program(tmp_path / "child.pt2", child, example)
    program = torch.export.load(tmp_path / "child.pt2").module()
    fewer = (x[:2], example[1][:2], example[2])
    torch.testing.assert_close(program(*fewer), child(*fewer))


def test_a_program_may_take_any_number_of_inputs(tmp_path):
    class Summed(nn.Linear):
        def forward(self, first, *others):
            return super().forward(first + sum(others))

    child, example = Summed(3, 2), (torch.randn(6, 3), torch.randn(6, 3), torch.randn(3))
    save_program(tmp_path / "child.pt2", child, example)
    fewer = (*(x[:2] for x in example[:2]), example[2])
    torch.testing.assert_close(torch.export.load(tmp_path / "child.pt2").module()(*fewer), child(*fewer))


def test_a_network_that_torch_cannot_follow_is_told(tmp_path):
    class Stubborn(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(RunError, match=r"child.pt2: torch.export cannot follow the network"):
        save_program(tmp_path / "child.pt2", Stubborn(), (torch.ones(2, 3),))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_gives_the_same_numbers_for_any_batch(result, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    path = save_onnx(tmp_path / "child.onnx", result.child, (data().tensors[0][:8],))
    assert [p.name for p in tmp_path.iterdir()] == ["child.onnx"]
    session = runtime.InferenceSession(path)
    for x, y in _numbers(result.child):
        (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(got), y)


def test_onnx_without_its_packages_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'asng\[onnx\]'"):
        save_onnx(tmp_path / "child.onnx", nn.Linear(1, 1), (torch.ones(2, 1),))


class _Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = Choice([nn.Linear(3, 1), nn.Linear(3, 1)], label="op")

    def forward(self, x, mask=None, *, scale=1.0):
        return self.op(x if mask is None else x * mask) * scale


def _first(forward, batch):
    return forward(batch[0], mask=torch.ones(3)).mean()


def test_inputs_are_told_as_they_went_in_both_modes():
    supernet, before = Supernet(_Masked()), torch.get_rng_state()
    calls = example_inputs(supernet, Architecture({"op": 0}), _first, loader())
    assert [call.training for call in calls] == [True, False]
    for call in calls:
        assert ([tuple(x.shape) for x in call], call.named["mask"].shape) == ([(8, 3)], (3,))
    assert [tuple(x.shape) for x in by_position(supernet, calls[0])] == [(8, 3), (3,)]
    assert supernet.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_child_of_inputs_by_name_is_made():
    result = fit(searcher(Supernet(_Masked()), _first), epochs=1)
    assert result.child(torch.ones(2, 3), mask=torch.zeros(3)).shape == (2, 1)


def test_inputs_by_name_only_stay_so():
    supernet = Supernet(_Masked())
    loss = lambda f, b: f(b[0], scale=2.0)  # noqa: E731
    call = by_position(supernet, example_inputs(supernet, Architecture({"op": 0}), loss, loader())[0])
    assert (len(call), call.named) == (1, {"scale": 2.0})


def test_a_loss_that_runs_nothing_is_told():
    supernet = Supernet(_Masked())
    with pytest.raises(InputError, match="expected it to call forward at least once"):
        example_inputs(supernet, Architecture({"op": 0}), lambda f, b: torch.ones(1), loader())


def test_a_result_without_a_folder_has_no_report(result):
    with pytest.raises(InputError, match=r"report: expected a search with a run_dir, got one without"):
        result.report()


def test_a_run_folder_becomes_a_report(tmp_path):
    pytest.importorskip("matplotlib")
    result = fit(searcher(), epochs=2, run_dir=tmp_path)
    assert "<html" in result.report().read_text()
    assert result.report().parent == tmp_path
    assert mse(result.child, (torch.ones(2, 3), torch.ones(2, 1))).ndim == 0
