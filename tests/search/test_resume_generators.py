"""A resumed run draws what one never stopped draws, from whichever generator its data draw from."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import data, events_without_clocks, loader, searcher, stopping
from torch.utils.data import DataLoader, TensorDataset

from asng.errors import RunError
from asng.runs.folder import RESUMES, resumes_of
from asng.training import train


class Augmented(TensorDataset):
    """Adds noise from all three global generators."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + torch.randn(3) + random.gauss(0.0, 1.0) + np.random.standard_normal(), y  # noqa: NPY002


def augmented(**settings):
    return DataLoader(Augmented(*data().tensors), 8, shuffle=True, **settings)


def whole_and_parts(folder, at, settings, epochs=4, **search):
    """Run a search once as a whole and once interrupted at a step; return both."""
    whole = searcher(**search)
    whole.fit(augmented(**settings), loader(24), epochs=epochs, progress=False, run_dir=folder / "whole")
    # Without the check, whose passes would be counted.
    flags = {"epochs": epochs, "progress": False, "run_dir": folder / "parts", "check": False}
    with pytest.raises(KeyboardInterrupt):
        searcher(loss=stopping(at), **search).fit(augmented(**settings), loader(24), **flags)
    random.seed(at)
    np.random.seed(at)  # noqa: NPY002 - the state of the caller's generators must not matter
    parts = searcher(**search)
    parts.fit(augmented(**settings), loader(24), resume=True, **flags)
    return whole, parts


def assert_same(whole, parts, folder):
    one, other = whole.supernet.state_dict(), parts.supernet.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert events_without_clocks(folder / "whole") == events_without_clocks(folder / "parts")


@pytest.mark.parametrize("at", [1, 6, 9, 14, 20])
def test_pythons_and_numpys_generators_go_on_too(at, tmp_path):
    assert_same(*whole_and_parts(tmp_path, at, {}), tmp_path)


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_of_a_loader_go_on_too(persistent, tmp_path):
    settings = {"num_workers": 2, "persistent_workers": persistent}
    assert_same(*whole_and_parts(tmp_path, 9, settings, epochs=2), tmp_path)


def test_a_final_with_such_data_goes_on_too(tmp_path):
    assert_same(*whole_and_parts(tmp_path, 21, {}, final=0.7, finalists=2, warmup=0.0), tmp_path)


def test_the_callers_generators_are_left_as_they_were(tmp_path):
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.standard_normal(3).tolist()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    searcher().fit(augmented(), loader(24), epochs=1, progress=False)
    assert (random.random(), np.random.standard_normal(3).tolist()) == expected  # noqa: NPY002


def test_a_training_alone_does_not_depend_on_the_one_before():
    shared = augmented(num_workers=1, persistent_workers=True, generator=torch.Generator())

    def trained(loader):
        torch.manual_seed(3)
        loader.generator.manual_seed(3)
        return train(torch.nn.Linear(3, 1), loader, loss=searcher().loss, epochs=1).weight

    first, again = trained(shared), trained(shared)
    assert torch.equal(first, again)


# --- the log, and what is no part of it -------------------------------------------------------------------


def test_the_log_of_a_resumed_run_has_no_line_that_tells_of_it(tmp_path):
    whole_and_parts(tmp_path, 9, {})
    kinds = [
        [json.loads(line)["event"] for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert kinds[0] == kinds[1]
    assert not (tmp_path / "whole" / RESUMES).exists()
    assert [note["step"] for note in resumes_of(tmp_path / "parts")] == [9]


def test_a_torn_note_of_a_resume_is_cut_off(tmp_path):
    search = searcher(loss=stopping(8))
    with pytest.raises(KeyboardInterrupt):
        search.fit(loader(), loader(24), epochs=4, progress=False, run_dir=tmp_path, check=False)
    (tmp_path / RESUMES).write_text('{"step": 3}\n{"st')
    searcher().fit(loader(), loader(24), epochs=4, progress=False, run_dir=tmp_path, resume=True)
    assert [note["step"] for note in resumes_of(tmp_path)] == [3, 8]


# --- what is not resumed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 4}, r"expected a run with seed=4, got one with seed=0\. Resume it with its own"),
        ({"lam_x": 2}, r"expected a run with lam_x=2, got one with lam_x=1"),
        ({"clip": 1.0}, r"expected a run with clip=1\.0, got one with clip=5\.0"),
        ({"maximize": lambda forward, batch: 0.0}, r"expected a run with select='maximize', got one with"),
    ],
)
def test_a_run_set_otherwise_is_not_resumed_and_stays(settings, message, tmp_path):
    flags = {"epochs": 4, "progress": False, "run_dir": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        searcher(loss=stopping(8)).fit(loader(), loader(24), **flags)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match=message):
        replace(searcher(), architecture_optimizer=None, **settings).fit(
            loader(), loader(24), resume=True, **flags
        )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
