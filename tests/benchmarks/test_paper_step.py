"""The two sides of benchmarks/step/paper_step.py compute the same."""

import pytest
import torch

from benchmarks.step.paper_step import Ours, Plain, write_noise

SMALL = {"cells": 5, "nodes": 3, "channels": 4}


@pytest.fixture
def sides(tmp_path):
    ours = Ours(write_noise(tmp_path, records=40), batch_size=16, max_parameters=None, **SMALL)
    return ours, Plain(ours, **SMALL)


def _double(batch):
    images, labels = batch
    return images.double(), labels


@pytest.mark.slow
def test_a_step_of_ours_is_the_step_written_plainly(sides):
    # In double precision: batch norms blow rounding up, in single to 2e-4 of the first weights in one step.
    ours, plain = sides
    ours.loop.trainer.supernet.double()
    plain.model.double()
    weights = dict(ours.loop.trainer.supernet.model.named_parameters())
    for _ in range(3):  # each on weights that the one before has left
        train, valid, trained, scored = ours.draw()
        drawn = (_double(train), _double(valid), trained, scored)
        torch.testing.assert_close(ours.step(*drawn), plain.step(*drawn), rtol=1e-9, atol=0)
    for name, parameter in plain.model.named_parameters():
        torch.testing.assert_close(weights[name], parameter, rtol=1e-8, atol=1e-10, msg=name)


def test_losses_agree_in_single_precision_too(sides):
    ours, plain = sides
    drawn = ours.draw()
    for mine, other in zip(ours.step(*drawn), plain.step(*drawn), strict=True):
        assert mine == pytest.approx(other, rel=1e-3)
