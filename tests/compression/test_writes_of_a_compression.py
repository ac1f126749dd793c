"""A disk that is full at any write of a compression ends it by one error; it goes on to the same child."""

import pytest
from failing_disk import FULL, first_of_each, refused, writes_of
from small_network import LOSS

from asng.compression import compress

QUICK = {"epochs": 1, "evaluations": 6, "finalists": 1, "progress": False, "train_weights": False}


@pytest.mark.slow
def test_a_compression_goes_on_after_a_disk_that_was_full(trained, loaders, programs, tmp_path, monkeypatch):
    def run(folder, resume):
        began = resume and (folder / "compression.jsonl").exists()
        made = compress(trained, *loaders, loss=LOSS, budget=0.5, run_dir=folder, resume=began, **QUICK)
        weights = [value.tolist() for value in made.child.state_dict().values()]
        assert (folder / made.children[0].goal.name / "child.onnx").exists()
        return made.children[0].architecture, made.children[0].score, weights

    whole = run(tmp_path / "whole", resume=False)
    done = writes_of(run, tmp_path / "counted", monkeypatch)
    for at in first_of_each(done):
        folder = tmp_path / f"at {at}"
        folder.mkdir()
        refused(run, folder, monkeypatch, at, FULL)
        assert run(folder / "run", resume=True) == whole, done[at]
