"""Another run in the folder of a compression: a resume with other settings, and one that replaces it."""

import json
import shutil

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.compression import compress
from asng.compression.journal import Journal
from asng.errors import InputError, RunError
from asng.runs.folder import COMPRESSION_LOG

X = torch.randn(24, 8, generator=torch.Generator().manual_seed(0))
DATA = DataLoader(TensorDataset(X, X[:, :1] * X[:, 1:2]), batch_size=8)
LOSS = asng.supervised(nn.functional.mse_loss)
QUICK = {"loss": LOSS, "epochs": 1, "evaluations": 4, "finalists": 1, "progress": False}


def made(**changed):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    return compress(**{"model": model, "train": DATA, "valid": DATA, "budget": 0.5, **QUICK, **changed})


def absolute_error(forward, batch):
    return (forward(batch[0]) - batch[1]).abs().mean()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a run, which tests only read."""
    folder = tmp_path_factory.mktemp("finished")
    made(run_dir=folder, minimize=absolute_error, onnx=False)
    return folder


def sgd(weights):
    return torch.optim.SGD(weights, lr=0.1)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("minimize", {"minimize": None}),
        ("minimize", {"minimize": lambda forward, batch: 1.0}),
        ("minimize", {"minimize": None, "maximize": absolute_error}),
        ("optimizer", {"optimizer": sgd}),
        ("scheduler", {"scheduler": None}),
        ("clip", {"clip": None}),
        ("order", {"options": {"order": "magnitude"}}),
        ("batches", {"valid": DataLoader(DATA.dataset, batch_size=12)}),
        ("batches", {"test": DATA}),
    ],
)
def test_a_resume_with_other_functions_options_or_data_is_refused(name, changed, finished):
    """Such a run would mix two: a child chosen by one metric, and scores of another."""
    before = (finished / COMPRESSION_LOG).read_bytes()
    arguments = {"run_dir": finished, "minimize": absolute_error, **changed}
    with pytest.raises(RunError, match=rf"expected the settings .* got {name} = "):
        made(resume=True, **arguments)
    assert (finished / COMPRESSION_LOG).read_bytes() == before


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"resume": True}, "expected a run_dir with them, got none"),
        ({"overwrite": True}, "expected a run_dir with them, got none"),
        ({"resume": True, "overwrite": True, "run_dir": "run"}, "expected at most one of them, got both"),
    ],
)
def test_a_resume_that_cannot_be_one_is_refused(given, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"resume, overwrite: {match}"):
        made(**given)
    assert not list(tmp_path.iterdir())


class Stopped(Exception):
    pass


def test_a_run_that_replaces_another_leaves_nothing_of_it(finished, tmp_path, monkeypatch):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "multiply_adds-0.5" / "notes.txt").write_text("mine")
    (run / "report.html").write_text("of the first run")
    with pytest.raises(InputError, match="smallest child"):
        made(run_dir=run, overwrite=True, budget="parameters=2")
    assert (run / "report.html").exists()

    def stopping(*_, **__):
        raise Stopped

    monkeypatch.setattr("asng.compression.road.train_shared", stopping)
    with pytest.raises(Stopped):
        made(run_dir=run, overwrite=True, budget=0.4)
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert left == {COMPRESSION_LOG, "multiply_adds-0.5/notes.txt"}


@pytest.mark.parametrize("line", ["{", "[]", '{"answer": 3}', '{"answer": {"goals": 3}}'])
def test_a_replaced_run_may_be_damaged(line, tmp_path):
    (tmp_path / COMPRESSION_LOG).write_text(line + "\n")
    journal = Journal(tmp_path, {"goals": ["half"]}, resume=False, overwrite=True)
    journal.begin()
    journal.close()


def test_a_replaced_run_removes_nothing_outside_of_its_folder(tmp_path):
    other = tmp_path / "other" / "child.pt"
    other.parent.mkdir()
    other.write_text("of another run")
    run = tmp_path / "run"
    run.mkdir()
    (run / "linked").symlink_to(other.parent)
    goals = ["../other", "..", "", ".", 3, "linked", "a\0", str(other.parent)]
    (run / COMPRESSION_LOG).write_text(json.dumps({"answer": {"goals": goals}}) + "\n")
    journal = Journal(run, {"goals": ["half"]}, resume=False, overwrite=True)
    journal.begin()
    journal.close()
    assert other.exists()
