"""One process at a time appends to a file of lines, and no half of a line is taken for one."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from asng.errors import RunError
from asng.runs.guarded import open_plain
from asng.runs.log import JsonLines, read_lines, refuse_running

HOLDER = """
import sys, time
from pathlib import Path
from asng.runs.log import JsonLines

file = JsonLines(Path(sys.argv[1]))
file.append({"held": True})
time.sleep(60)
"""


def rows_of(path):
    return read_lines(path)


def test_what_was_appended_is_read_again_after_a_torn_line(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    file = JsonLines(path)
    file.append({"a": "ü"})
    file.close()
    with path.open("a") as more:
        more.write('{"a": 2, "b"')
    assert rows_of(path) == [{"a": "ü"}]
    file = JsonLines(path)
    assert file.rows == [{"a": "ü"}]
    file.append({"a": 3})
    file.close()
    assert rows_of(path) == [{"a": "ü"}, {"a": 3}]
    assert path.read_bytes().count(b"\n") == 2


def test_a_line_is_with_the_system_before_append_returns(tmp_path):
    file = JsonLines(tmp_path / "log.jsonl")
    file.append({"a": 1})
    assert rows_of(tmp_path / "log.jsonl") == [{"a": 1}]
    file.close()
    file.close()


def test_replaced_rows_are_those_that_more_are_appended_to(tmp_path):
    path = tmp_path / "log.jsonl"
    file = JsonLines(path)
    for number in range(3):
        file.append({"a": number})
    file.replace([{"a": 7}])
    file.append({"a": 8})
    with pytest.raises(RunError, match="another process is writing"):
        JsonLines(path)
    file.close()
    assert rows_of(path) == [{"a": 7}, {"a": 8}]
    assert [part.name for part in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b"", b"[" * 100_000, b'{"a": \xff}'])
def test_a_line_that_is_no_object_is_named_and_nothing_is_held(line, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2')
    for _ in range(2):
        with pytest.raises(RunError, match=r"log\.jsonl, line 2: expected a JSON object"):
            JsonLines(path)
    assert path.read_bytes().endswith(b'{"a": 2')


def test_another_process_is_kept_out_until_the_first_is_killed(tmp_path):
    path = tmp_path / "log.jsonl"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)])
    try:
        while not path.exists() or not path.read_bytes():
            assert process.poll() is None
            time.sleep(0.01)
        for function in (JsonLines, refuse_running):
            with pytest.raises(RunError, match=r"log\.jsonl: another process is writing to it\. Wait until"):
                function(path)
    finally:
        process.kill()
        process.wait()
    refuse_running(path)
    file = JsonLines(path)
    assert file.rows == [{"held": True}]
    file.close()


def test_a_file_put_in_the_place_of_the_opened_one_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n')

    def late(path, **kwargs):
        file = open_plain(path, **kwargs)
        other = path.with_name("other")
        other.write_text('{"a": 2}\n')
        other.replace(path)
        return file

    with monkeypatch.context() as patch:
        patch.setattr("asng.runs.log.open_plain", late)
        with pytest.raises(RunError, match="another process"):
            JsonLines(path)
    assert rows_of(path) == [{"a": 2}]


def test_no_file_is_none_that_runs_and_stays_none(tmp_path):
    refuse_running(tmp_path / "log.jsonl")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        JsonLines(tmp_path / "file" / "log.jsonl")


def test_a_full_disk_is_told(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    file = JsonLines(tmp_path / "log.jsonl")
    whole, file._file = file._file, Path("/dev/full").open("ab")  # noqa: SIM115
    with pytest.raises(RunError, match=r"log\.jsonl: cannot be written: No space left"):
        file.append({"a": 1})
    whole.close()
    file._file.raw.close()
