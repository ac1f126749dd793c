"""A search whose newest checkpoint is damaged goes on from the one before, to the same bits."""

import random

import pytest
import torch
from problems import events_without_clocks, fit, searcher, stopping

from asng.errors import RunError
from asng.runs import checkpoint
from asng.runs.checkpoint import FORMAT
from asng.runs.folder import resumes_of

NAMES = ("checkpoint.pt", "checkpoint.previous.pt")


@pytest.fixture
def whole(tmp_path):
    search = searcher(checkpoint_seconds=0.0)
    fit(search, run_dir=tmp_path / "whole")
    return search


@pytest.fixture
def folder(tmp_path):
    """A run that was stopped at step 9 of 24; the checkpoint before is of that step or the one before."""
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(9), checkpoint_seconds=0.0), run_dir=tmp_path / "parts")
    return tmp_path / "parts"


def flip(path, rng):
    """Flip a byte in the middle of the weights: the ends of the file are tried in test_checkpoint.py."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + rng.randrange(100)] ^= 0xFF
    path.write_bytes(content)


def newer(path):
    torch.save(torch.load(path, weights_only=True) | {"format": FORMAT + 1}, path)


DAMAGES = {
    "flipped": lambda path: flip(path, random.Random(0)),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "foreign": lambda path: path.write_text("a text"),
    "of another program": lambda path: torch.save({"weights": torch.zeros(3)}, path),
    "newer": newer,
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_used_and_the_damaged_one_is_named(damage, whole, folder, tmp_path):
    DAMAGES[damage](folder / "checkpoint.pt")
    search = searcher(checkpoint_seconds=0.0)
    with pytest.warns(
        UserWarning, match=r"checkpoint\.pt: expected a checkpoint.*Continuing from checkpoint\.pre"
    ):
        fit(search, run_dir=folder, resume=True)
    one, other = search.supernet.state_dict(), whole.supernet.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert events_without_clocks(folder) == events_without_clocks(tmp_path / "whole")
    (note,) = resumes_of(folder)
    assert "checkpoint.pt: expected a checkpoint" in note["passed_over"]


def test_the_damaged_one_does_not_take_the_place_of_the_one_that_was_used(folder, monkeypatch):
    (folder / "checkpoint.pt").write_text("torn")
    before = (folder / "checkpoint.previous.pt").read_bytes()
    saved = []
    written = checkpoint.write_tensors

    def once(*args, **kwargs):
        if saved:
            raise RunError("killed")
        saved.append(written(*args, **kwargs))

    monkeypatch.setattr(checkpoint, "write_tensors", once)
    with pytest.warns(UserWarning, match="Continuing from"), pytest.raises(RunError, match="killed"):
        fit(searcher(checkpoint_seconds=0.0), run_dir=folder, resume=True)
    assert (folder / "checkpoint.previous.pt").read_bytes() == before
    assert torch.load(saved[0], weights_only=True)["step"] > 8


def test_without_any_that_can_be_used_both_are_named_and_nothing_is_written(folder):
    for name in NAMES:
        (folder / name).write_text("torn")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=r"checkpoint\.pt: .*checkpoint\.previous\.pt: .*pass overwrite=True"):
        fit(searcher(), run_dir=folder, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_killed_between_the_two_renames_of_a_checkpoint_goes_on(whole, folder, tmp_path):
    (folder / "checkpoint.pt").rename(folder / "checkpoint.previous.pt")
    (folder / ".checkpoint.pt.0a1b2c3d").write_bytes(b"the new one")
    search = searcher(checkpoint_seconds=0.0)
    fit(search, run_dir=folder, resume=True)
    assert events_without_clocks(folder) == events_without_clocks(tmp_path / "whole")
    assert not list(folder.glob(".*"))


def test_a_torn_line_of_the_log_is_written_anew(whole, folder, tmp_path):
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"event": "step", "st')
    fit(searcher(), run_dir=folder, resume=True)
    assert events_without_clocks(folder) == events_without_clocks(tmp_path / "whole")
