"""No folder of a run is too much for those who read it: a share of benchmarks/faults/malformed_folders.py."""

import os
import random
import signal

import pytest
from malformed.folders import FOLDERS, Folder, judge_folder, warm_up

from asng.errors import RunError
from malformed import folders

SLOW = ("search", "several seeds")  # which search for real first
KINDS = [pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else ()) for kind in FOLDERS]


@pytest.fixture(scope="module", autouse=True)
def warm():
    warm_up(kind for kind in FOLDERS if kind not in SLOW)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_folders_are_read(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_spoil", lambda folder, rng: ())
    outcome = judge_folder(kind, tmp_path, random.Random(0))
    assert outcome.kind == "read", outcome


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_folder_is_read_or_gives_clear_errors_within_bounds(kind, tmp_path):
    found = []
    for number in range(50 if kind in SLOW else 8):
        home = tmp_path / str(number)
        home.mkdir()
        outcome = judge_folder(kind, home, random.Random(f"test {kind} {number}"))
        assert outcome.kind in ("read", "error"), f"{number}: {outcome}"
        found.append(outcome.kind)
    assert "error" in found


def _raise(error):
    raise error


ENDS = {
    "read": lambda folder: None,
    "error": lambda folder: _raise(RunError(f"{folder}: expected something else")),
    "unclear": lambda folder: _raise(RunError("expected something else")),
    "crash": lambda folder: _raise(KeyError("x")),
    "memory": lambda folder: bytearray(2**31),
    "time": lambda folder: signal.pause(),
    "code": lambda folder: os.system("true"),
    "code, written elsewhere": lambda folder: (folder.parent / "theirs" / "thesis.json").write_text("[]"),
    "crash, killed": lambda folder: os.kill(os.getpid(), signal.SIGKILL),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_is_told_apart(end, tmp_path, monkeypatch):
    monkeypatch.setitem(FOLDERS, "toy", Folder(FOLDERS["toy"].write, ENDS[end]))
    monkeypatch.setattr(folders, "_spoil", lambda folder, rng: ())
    if end == "time":
        monkeypatch.setattr(folders, "_WALL", 1)
    assert judge_folder("toy", tmp_path, random.Random(0)).kind == end.partition(",")[0]
