"""A folder is of one process, and of no child that outlives it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from asng.errors import RunError
from asng.runs.locks import held
from asng.runs.log import JsonLines

HOLDER = """
import os, sys, time
from pathlib import Path
from asng.runs.log import JsonLines
from asng.runs.locks import held

folder = Path(sys.argv[1])
with held(folder):
    file = JsonLines(folder / "log.jsonl")
    file._file.write(b'{"half": true}')  # in the buffer, when the child comes
    child = os.fork()
    if not child:
        Path(folder / "child").write_text(str(os.getpid()))
        time.sleep(600)
    time.sleep(600)
"""


def test_a_folder_is_held_by_one_until_it_lets_go(tmp_path):
    folder = tmp_path / "new"
    with held(folder):
        with (
            pytest.raises(RunError, match=r"new: another process is writing to it\. Wait until it ends"),
            held(folder),
        ):
            pass
        (folder / "file").write_text("others may write")
    with held(folder):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match="expected a folder to write a run into"),
        held(tmp_path / "file" / "run"),
    ):
        pass


def test_forked_children_of_a_killed_process_hold_nothing_and_write_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    note = tmp_path / "child"
    while not note.exists() or not note.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    child = int(note.read_text())
    try:
        for function in (lambda: held(tmp_path).__enter__(), lambda: JsonLines(tmp_path / "log.jsonl")):
            with pytest.raises(RunError, match="another process is writing"):
                function()
        process.kill()
        process.wait()
        os.kill(child, 0)  # still there
        with held(tmp_path):
            file = JsonLines(tmp_path / "log.jsonl")
            assert file.rows == []
            file.close()
    finally:
        process.kill()
        process.wait()
        os.kill(child, signal.SIGKILL)
    assert (tmp_path / "log.jsonl").read_bytes() == b""
