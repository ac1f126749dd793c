"""A retraining that is stopped before it trains leaves the old networks or the new settings, whole."""

import shutil
from contextlib import suppress
from dataclasses import replace
from importlib import import_module

import pytest
from failing_disk import BROKEN, FailingDisk
from small_tasks import SMALL, small_cells

from asng.errors import RunError
from asng.pipeline import retrain_run, run_task
from asng.runs.folder import CHILD, RESULT, read_config
from asng.runs.stored import read_json
from asng.tasks.classification import classification

retrain = import_module("asng.pipeline.retrain")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    home = tmp_path_factory.mktemp("searched")
    task = classification(small_cells(home))
    return task, run_task(task, replace(SMALL, peers=0), home / "run", progress=False)


def test_settings_and_scores_agree_wherever_it_was_stopped(searched, tmp_path, monkeypatch):
    task, run = searched
    monkeypatch.setattr(retrain, "train_all", lambda *_: None)
    anew, begun, seen = replace(SMALL, peers=0, retrain_epochs=3), read_config(run), set()
    shutil.copytree(run, tmp_path / "counted")
    with FailingDisk(tmp_path / "counted").spinning(monkeypatch) as disk:
        retrain_run(task, anew, tmp_path / "counted", progress=False)
    for at, what in enumerate(disk.done):
        folder = shutil.copytree(run, tmp_path / f"at {at}")
        with FailingDisk(folder, at, BROKEN).spinning(monkeypatch), suppress(RunError):
            retrain_run(task, anew, folder, progress=False)
        as_begun, trained = read_config(folder) == begun, read_json(folder / RESULT)["found"] is not None
        assert as_begun or not trained, f"after {what}: the scores are those of other settings"
        assert not trained or (folder / CHILD).exists(), f"after {what}: the child is gone"
        seen.add((as_begun, trained))
    assert seen == {(True, True), (True, False), (False, False)}
