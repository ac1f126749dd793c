"""Folders of a run that are links: nothing is written through them, and nothing there is removed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from small_tasks import SMALL, small_cells

from asng.cli import main
from asng.cli.callbacks import READY
from asng.errors import RunError
from asng.pipeline import run_seeds
from asng.runs.folder import remove_run, seed_folder
from asng.tasks.classification import classification

A_LINK = "expected a folder, got a link, which is never followed for writing"


@pytest.fixture
def theirs(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("config.yaml", "report.html", ".result.json.0123abcd", "thesis.tex"):
        (folder / name).write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
        ["config.yaml", "report.html", ".result.json.0123abcd", "thesis.tex"], "mine"
    )


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_the_run_of_a_seed_does_not_go_on_in_a_linked_folder(theirs, run, tmp_path):
    (run / "config.yaml").write_text("task: classification\nseeds: [0, 1]\n")
    seed_folder(run, 1).symlink_to(theirs)
    task = classification(small_cells(tmp_path / "data"))
    settings = replace(SMALL, retrain_epochs=0)
    with pytest.raises(RunError, match=rf"seed-1: {A_LINK}"):
        run_seeds(task, settings, run, seeds=[0, 1], resume=True, progress=False)
    assert not seed_folder(run, 0).exists()


def test_no_run_is_removed_from_a_linked_folder(theirs, run):
    (run / "config.yaml").write_text("task: classification\n")
    seed_folder(run, 7).symlink_to(theirs)
    with pytest.raises(RunError, match=rf"seed-7: {A_LINK}"):
        remove_run(run)
    assert (run / "config.yaml").exists()


def test_what_is_no_folder_of_a_seed_is_left_alone(run):
    (run / "config.yaml").write_text("task: classification\n")
    (run / "seed-notes").write_text("mine")
    (run / "seed-data").mkdir()
    (run / "seed-data" / "config.yaml").write_text("mine")
    remove_run(run)
    assert sorted(path.name for path in run.rglob("*")) == ["config.yaml", "seed-data", "seed-notes"]


def test_no_export_goes_into_a_linked_folder(theirs, run, capsys):
    (run / "hub").symlink_to(theirs)
    assert main(["export", str(run), "--format", "hub"]) == 1
    assert A_LINK in capsys.readouterr().err


def test_no_curves_go_into_a_linked_folder(theirs, run, monkeypatch):
    made = SimpleNamespace(TensorBoardCallback=lambda folder: folder)
    monkeypatch.setitem(__import__("sys").modules, "asng.integrations.tensorboard", made)
    assert READY["tensorboard"](run) == run / "tensorboard"
    (run / "tensorboard").symlink_to(theirs)
    with pytest.raises(RunError, match=rf"tensorboard: {A_LINK}"):
        READY["tensorboard"](run)
