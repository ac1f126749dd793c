"""A run is not resumed as another one, as far as that can be told; what cannot be told is no error."""

from functools import partial

import pytest
import torch
from problems import fit, loader, mse, searcher, stopping
from torch import nn

from asng.errors import RunError
from asng.runs.checkpoint import load_checkpoint, save_checkpoint
from asng.training import MetricObjective, accuracy, supervised

LONG = {"final": 0.7, "finalists": 2}  # so short that all of the cost goes into the final


class Weighted:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, forward, batch):
        return self.weight * mse(forward, batch)

    def total(self, forward, batch):
        return len(batch) * mse(forward, batch)


class Error:
    def reset(self):
        self.said = []

    def update(self, output, target):
        self.said.append((output - target).abs().mean())

    def compute(self):
        return torch.stack(self.said).mean()


def other(forward, batch):
    return mse(forward, batch)


def moved():
    """The loss of the same name from another place."""

    def other(forward, batch):
        return mse(forward, batch)

    other.__module__ = "__main__"
    return other


def begun(folder, **settings):
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(8), **settings), run_dir=folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(folder, message, *, epochs=4, **settings):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=message):
        fit(searcher(**settings), epochs=epochs, run_dir=folder, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("final", [{}, LONG])
def test_a_run_of_other_epochs_is_not_resumed_even_if_all_is_final(final, tmp_path):
    begun(tmp_path, **final)
    refused(tmp_path, r"expected a run with epochs=8, got one with epochs=4", epochs=8, **final)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": other}, r"loss='other', got one with loss='supervised\(.*mse_loss\)'"),
        ({"loss": Weighted(1.0)}, r"loss='Weighted', got one with loss='supervised\(.*mse_loss\)'"),
        ({"loss": partial(other)}, r"loss='other', got one with loss="),
        ({"loss": Weighted(1.0).total}, r"loss='Weighted\.total', got one with loss="),
        ({"loss": supervised(nn.L1Loss())}, r"loss='.*L1Loss\)', got one with loss="),
        ({"optimizer": torch.optim.Adam}, "optimizer='Adam', got one with optimizer='SGD'"),
        ({"scheduler": None}, "scheduler=None, got one with scheduler='CosineAnnealingLR'"),
        (
            {"scheduler": lambda optimizer, steps: torch.optim.lr_scheduler.ConstantLR(optimizer)},
            "scheduler='ConstantLR', got one with scheduler='CosineAnnealingLR'",
        ),
    ],
)
def test_a_run_by_another_loss_or_optimizer_is_not_resumed(settings, message, tmp_path):
    begun(tmp_path)
    refused(tmp_path, message, **settings)


@pytest.mark.parametrize(("first", "then"), [(accuracy, Error()), (Weighted(1.0), Weighted(1.0).total)])
def test_a_run_by_another_objective_is_not_resumed_either(first, then, tmp_path):
    begun(tmp_path, maximize=first, warmup=1.0)
    refused(
        tmp_path, r"expected a run with maximize='.*', got one with maximize='", maximize=then, warmup=1.0
    )


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (lambda forward, batch: mse(forward, batch), other),
        (other, lambda forward, batch: mse(forward, batch)),
        (other, moved()),
        (Weighted(1.0), partial(Weighted(2.0))),
        (Error(), MetricObjective(Error(), window=3)),
    ],
)
def test_what_a_name_does_not_tell_is_no_error(first, then, tmp_path):
    begun(tmp_path, minimize=first)
    assert fit(searcher(minimize=then), run_dir=tmp_path, resume=True).reason == "finished"


def test_loaders_of_other_lengths_are_named_before_the_number_of_steps(tmp_path):
    begun(tmp_path)
    for train, valid, message in [
        (96, 24, "train_loader: expected the loader of the checkpoint, 6 batches"),
        (48, 40, "valid_loader: expected the loader of the checkpoint, 3 batches"),
    ]:
        with pytest.raises(RunError, match=message):
            searcher().fit(
                loader(train), loader(valid), epochs=4, progress=False, run_dir=tmp_path, resume=True
            )


def test_a_folder_from_before_these_entries_is_still_resumed(tmp_path):
    begun(tmp_path)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    state["settings"] = {
        name: state["settings"][name] for name in ("seed", "lam_x", "lam_theta", "clip", "select")
    }
    save_checkpoint(tmp_path / "checkpoint.pt", state, keep=True)
    refused(tmp_path, "expected a run of 48 steps, got one of 24", epochs=8)
    assert fit(searcher(loss=other), run_dir=tmp_path, resume=True).reason == "finished"
