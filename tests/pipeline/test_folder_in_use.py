"""Two runs do not share a folder, whatever the one that came first is doing."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from small_tasks import SMALL, small_cells

from asng.errors import RunError
from asng.experiments.toy import ToySettings, resume_toy, run_toy
from asng.pipeline import retrain_run, run_seeds, run_task
from asng.runs.folder import remove_run
from asng.runs.locks import held
from asng.tasks.classification import classification

IN_USE = "another process is writing to it"


@pytest.fixture
def task(tmp_path):
    return classification(small_cells(tmp_path / "data"))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
def test_neither_begun_nor_resumed_nor_overwritten(flags, task, tmp_path):
    folder = tmp_path / "run"
    if flags:
        run_task(task, replace(SMALL, retrain_epochs=0), folder, progress=False)
    with held(folder):
        before = contents(folder)
        for run in (run_task, lambda *a, **k: run_seeds(*a, seeds=[0], **k)):
            with pytest.raises(RunError, match=IN_USE):
                run(task, SMALL, folder, progress=False, **flags)
        assert contents(folder) == before


def test_nor_while_a_network_is_trained(task, tmp_path):
    tried = []

    def loss(forward, batch):
        if (folder / "result.json").exists() and not tried:  # the search is over
            tried.append(True)
            for run in (run_task, retrain_run):
                flags = {"overwrite": True} if run is run_task else {}
                with pytest.raises(RunError, match=IN_USE):
                    run(task, SMALL, folder, progress=False, **flags)
        return task.loss(forward, batch)

    folder = tmp_path / "run"
    run_task(replace(task, loss=loss), SMALL, folder, progress=False)
    assert tried
    assert (folder / "child.pt").exists()


@pytest.mark.parametrize("seeds", [None, [0, 1]])
def test_a_run_that_came_while_the_data_were_made_is_not_overwritten(seeds, task, tmp_path):
    folder = tmp_path / "run"

    def loaders(seed):
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text("task: another\n")
        return task.loaders(seed)

    run = run_task if seeds is None else partial(run_seeds, seeds=seeds)
    with pytest.raises(RunError, match="already contains a run"):
        run(replace(task, loaders=loaders), SMALL, folder, progress=False)
    assert contents(folder) == {Path("config.yaml"): b"task: another\n"}


def test_a_seed_of_several_is_not_gone_on_with_by_another(task, tmp_path):
    with held(tmp_path / "run" / "seed-0"), pytest.raises(RunError, match=rf"seed-0: {IN_USE}"):
        run_seeds(task, SMALL, tmp_path / "run", seeds=[0], progress=False)


def test_the_toy_problem_too(tmp_path):
    small = ToySettings(iterations=5, methods=("SNG",), exponents=(0.5,), learning_rates=(0.05,))
    flags = {"workers": 1, "progress": False}
    run_toy(small, tmp_path, seeds=[0], **flags)
    before = contents(tmp_path)
    with held(tmp_path):
        with pytest.raises(RunError, match=IN_USE):
            run_toy(small, tmp_path, seeds=[0], overwrite=True, **flags)
        with pytest.raises(RunError, match=IN_USE):
            resume_toy(tmp_path, **flags)
    assert contents(tmp_path) == before


def test_another_seed_is_not_gone_on_with(task, tmp_path):
    folder = run_task(task, replace(SMALL, retrain_epochs=0), tmp_path / "run", progress=False)
    before = contents(folder)
    with pytest.raises(
        RunError, match=r"expected a run of seed 1, got one of seed 0\. Resume it with its own"
    ):
        run_task(task, SMALL, folder, seed=1, resume=True, progress=False)
    assert contents(folder) == before


def test_a_folder_that_may_not_be_written_to_is_told_when_it_is_cleared(tmp_path, monkeypatch):
    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "unlink", refuse)
    with pytest.raises(RunError, match="expected a folder to write a run into: Permission denied"):
        remove_run(tmp_path)
