"""A checkpoint is read whole or not at all."""

import pickle
import random
import re
import time
import warnings
import zipfile
from collections import Counter, OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch

from asng.errors import InputError, RunError
from asng.runs.checkpoint import FORMAT, PASSED_OVER, load_checkpoint, save_checkpoint


def _state(step):
    return {"step": step, "model": {"w": torch.arange(300.0) + step}, "reason": None, "nested": [{"a": 0.1}]}


@pytest.fixture
def path(tmp_path):
    """Where two checkpoints were written, of the steps 1 and 2."""
    for step in (1, 2):
        save_checkpoint(tmp_path / "checkpoint.pt", _state(step))
    return tmp_path / "checkpoint.pt"


def _passing_over(path, why):
    """Load a checkpoint, and see that the newest is named with a reason and not used."""
    with pytest.warns(
        UserWarning, match=rf"checkpoint\.pt: .*{why}.*Continuing from checkpoint\.previous\.pt"
    ):
        state = load_checkpoint(path)
    assert re.search(why, state[PASSED_OVER])
    return state


def _same(state, step):
    expected = _state(step)
    model, other = state["model"]["w"], expected["model"]["w"]
    rest = {"format": FORMAT, **expected, "model": state["model"], PASSED_OVER: state[PASSED_OVER]}
    return state == rest and torch.equal(model, other)


def test_the_newest_is_read_and_the_one_before_is_kept(path):
    assert _same(load_checkpoint(path), 2)
    path.unlink()
    assert _same(load_checkpoint(path), 1)
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.previous.pt"]


def test_where_the_newest_is_cut_the_one_before_is_read(path):
    whole = path.read_bytes()
    for length in [*range(0, 64, 7), *range(64, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert _same(_passing_over(path, "truncated or foreign file"), 1), length


def test_a_changed_bit_is_never_taken_for_weights(path):
    whole, rng, fell_back = path.read_bytes(), random.Random(0), 0
    for position in rng.sample(range(len(whole)), 300):
        changed = bytearray(whole)
        changed[position] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            state = load_checkpoint(path)
        assert bool(told) == bool(state[PASSED_OVER]) == _same(state, 1)
        # Padding and dates in the archive may change without harm.
        assert _same(state, 1) or _same(state, 2), position
        fell_back += _same(state, 1)
    assert fell_back > 150


def test_without_a_whole_one_all_reasons_are_told(path):
    path.write_bytes(path.read_bytes()[:-30])
    path.with_name("checkpoint.previous.pt").write_text("no archive")
    with pytest.raises(
        RunError, match=r"truncated or foreign.*previous.*truncated or foreign.*pass overwrite=True"
    ):
        load_checkpoint(path)


def test_without_any_the_way_out_is_told(tmp_path):
    with pytest.raises(RunError, match=r"found none\. Search without resume"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("number", [FORMAT + 1, FORMAT - 1, None, "1"])
def test_another_format_is_named_and_the_one_before_is_used(path, number):
    torch.save({**_state(3), "format": number}, path)
    why = rf"checkpoint of format {FORMAT}, got {number!r}\. Update asng"
    assert _same(_passing_over(path, why), 1)
    path.with_name("checkpoint.previous.pt").unlink()
    with pytest.raises(RunError, match=why):
        load_checkpoint(path)


def test_one_that_was_passed_over_never_takes_the_place_of_the_one_that_was_used(path):
    path.write_bytes(b"torn")
    assert _same(_passing_over(path, "truncated"), 1)
    save_checkpoint(path, _state(3), keep=False)
    path.unlink()
    assert _same(load_checkpoint(path), 1)


class Evil:
    """Unpickled by an unpickler that trusts, it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_code_in_a_checkpoint_is_not_run(path, tmp_path):
    target = tmp_path / "written"
    torch.save({"format": FORMAT, "model": Evil(target)}, path)
    assert _same(_passing_over(path, "truncated or foreign"), 1)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists()  # the attack is a real one


def test_a_bare_pickle_is_foreign(path, tmp_path):
    target = tmp_path / "written"
    path.write_bytes(pickle.dumps({"format": FORMAT, "model": Evil(target)}))
    path.with_name("checkpoint.previous.pt").write_bytes(path.read_bytes())
    with pytest.raises(RunError, match="expected a checkpoint, got a truncated or foreign file"):
        load_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize("how", ["compressed", "overlapping"])
def test_an_archive_that_unpacks_to_more_than_it_is_is_refused_at_once(how, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(
        path, "w", zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED
    ) as archive:
        archive.writestr("a/data.pkl", bytes(10_000))
        if how == "overlapping":
            archive.filelist += archive.filelist * 50
    with pytest.raises(RunError, match="expected a checkpoint, got a truncated or foreign file"):
        load_checkpoint(path)


def test_an_archive_of_something_else_is_foreign(path):
    torch.save([1, 2], path)
    path.with_name("checkpoint.previous.pt").unlink()
    with pytest.raises(RunError, match="expected a checkpoint, got a file that holds list"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.float64(0.5), r"numpy\.float64"),
        (np.arange(3), r"numpy\.ndarray"),
        (deque([1]), r"collections\.deque"),
        (Path("x"), r"pathlib\.\w+"),
        (lambda: 0, r"builtins\.function"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(value, kind, path):
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"got {kind} at \['callbacks'\]\[1\]\['best'\]\. Put a plain"):
        save_checkpoint(path, {**_state(3), "callbacks": [{}, {"best": value}]})
    assert path.read_bytes() == before


def test_a_key_that_could_not_be_read_back_is_not_written(path):
    with pytest.raises(InputError, match=r"got numpy\.int64 at the key np\.int64\(3\) of \['counts'\]"):
        save_checkpoint(path, {**_state(3), "counts": {np.int64(3): 0}})


def test_what_can_be_read_back_comes_back(path):
    state = {
        "a": {1, 2},
        "b": OrderedDict(x=(1, 2)),
        "c": torch.Size([3]),
        "d": torch.float16,
        "e": Counter("aa"),
    }
    save_checkpoint(path, {**_state(3), **state})
    assert {name: load_checkpoint(path)[name] for name in state} == state


def test_a_full_disk_is_told_and_the_checkpoints_stay(path, monkeypatch):
    def full(content, handle):
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"checkpoint.pt: cannot be written: No space left"):
        save_checkpoint(path, _state(3))
    monkeypatch.undo()
    assert _same(load_checkpoint(path), 2)
    assert sorted(p.name for p in path.parent.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_a_damaged_checkpoint_does_not_replace_a_whole_one_before_the_new_is_written(path, monkeypatch):
    path.write_bytes(b"torn")

    def fail(content, handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RunError, match="Input/output error"):
        save_checkpoint(path, _state(3))
    monkeypatch.undo()
    assert _same(_passing_over(path, "truncated or foreign"), 1)


def test_tensors_keep_their_bits(tmp_path):
    special = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    save_checkpoint(tmp_path / "c.pt", {"x": special})
    loaded = load_checkpoint(tmp_path / "c.pt")["x"]
    assert torch.equal(loaded.view(torch.int32), special.view(torch.int32))


def test_a_name_of_many_letters_does_not_keep_torch_busy(tmp_path):
    path = save_checkpoint_at(tmp_path / "checkpoint.pt")
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content.replace(b"_rebuild_tensor_v2\n", b"[" * 40_000 + b"_v2\n"))
    began = time.process_time()
    with pytest.raises(RunError, match="truncated or foreign file"):
        load_checkpoint(path)
    assert time.process_time() - began < 2.0  # torch alone takes 14 seconds


def save_checkpoint_at(path):
    save_checkpoint(path, _state(1))
    return path
