"""benchmarks/step/compiled_step.py compiles all operations, and runs the same networks on both sides."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from asng.supernets import EnasCellNetwork
from benchmarks.step.compiled_step import compare
from benchmarks.step.spaces import SPACES

SMALL = partial(EnasCellNetwork, in_channels=3, classes=10, image_size=32, cells=3, nodes=2, channels=4)


def test_every_operation_with_weights_runs_compiled_and_gives_the_same_loss(monkeypatch):
    ran = []

    def compiled(function, **settings):
        def run(*inputs):
            ran.append(function)
            return function(*inputs)

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    setting = replace(SPACES["cells"], build=SMALL, batch=4)
    row = compare(setting, 2)
    assert row["operations"] >= sum(
        next(operation.parameters(), None) is not None and not isinstance(operation, torch.nn.ModuleDict)
        for options in setting.supernet().modules()
        if isinstance(options, torch.nn.ModuleDict)
        for operation in options.values()
    )
    assert ran
    eager, other = row["first_loss"]
    assert other == pytest.approx(eager, rel=1e-6)
    assert row["ratio"]["median"] > 0.0
