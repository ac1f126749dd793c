"""A run with images that change at random, interrupted and resumed, is the run that was never stopped."""

import functools
import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from small_tasks import SMALL, small_cells

from asng.pipeline import run_task
from asng.tasks.classification import classification


@pytest.fixture
def settings(tmp_path):
    changes = {"cells": 3, "crop_padding": 1, "flip": 0.5, "cutout": 2, "drop_path": 0.3, "auxiliary": 0.4}
    return replace(small_cells(tmp_path), **changes, retrain_batch_size=10, max_parameters=2_000)


def _stopping(task, step):
    """The task, whose loss has the process signalled in a training step of the search."""
    steps = 0

    @functools.wraps(task.loss)
    def loss(forward, batch):
        nonlocal steps
        steps += torch.is_grad_enabled()
        if steps == step and torch.is_grad_enabled():
            os.kill(os.getpid(), signal.SIGINT)
        return task.loss(forward, batch)

    return replace(task, loss=loss)


@pytest.mark.parametrize("step", [2, 6])  # a pass has four
@pytest.mark.slow
def test_an_interrupted_search_goes_on_to_the_same_bits(settings, step, tmp_path):
    task, how = (
        classification(settings),
        replace(SMALL, peers=1, retrain_epochs=2, update="paper", warmup=0.0),
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_task(task, how, whole, progress=False)
    with pytest.raises(KeyboardInterrupt):
        run_task(_stopping(classification(settings), step), how, parts, progress=False)
    assert not (parts / "result.json").exists()
    torch.manual_seed(step)
    run_task(classification(settings), how, parts, resume=True, progress=False)
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, parts)]
    for result in results:
        del result["search_seconds"], result["found"]["seconds"], result["random"][0]["seconds"]
    assert results[0] == results[1]
    one, other = (torch.load(f / "child.pt", weights_only=True)["state_dict"] for f in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
