"""Files are whole or not there."""

import errno
import os
import re
from pathlib import Path

import pytest
from failing_disk import FailingDisk

from asng.errors import RunError
from asng.runs.files import make_folder, sync_folder, write_atomically, write_folder, write_text
from asng.runs.stored import read_json, write_json


def test_a_file_is_written_into_a_folder_and_no_folder_is_made_anew(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    with pytest.raises(RunError, match=r"Was its folder removed or moved\? Put it back"):
        write_text(path, "")
    assert not path.parent.exists()
    make_folder(path.parent)
    assert write_text(path, "Grüße") == path
    assert path.read_bytes() == "Grüße".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("path", [".", "/"])
def test_a_path_without_a_name_is_told_to_be_a_folder(path):
    for write in (write_text, lambda path, text: write_folder(path, lambda temporary: None)):
        with pytest.raises(RunError, match=r"cannot be written: Is a directory. It is a folder: choose"):
            write(Path(path), "")


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt("now"), OSError(28, "No space left")])
def test_a_failing_writer_leaves_the_old_content_alone(error, tmp_path):
    path = write_text(tmp_path / "file.txt", "old")

    def fail(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(RunError if isinstance(error, OSError) else type(error), match=str(error.args[-1])):
        write_atomically(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("function", ["replace", "open"])
def test_a_folder_that_becomes_read_only_leaves_the_old_content(function, monkeypatch, tmp_path):
    path = write_text(tmp_path / "file.txt", "old")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, function, refuse)
        with pytest.raises(RunError, match=r"file.txt: cannot be written: Permission denied\. Choose a"):
            write_atomically(path, lambda temporary: os.close(os.open(temporary, os.O_CREAT)))
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_text(tmp_path / "file" / "deep" / "x.txt", "")


def test_a_writer_that_writes_nothing_is_told(tmp_path):
    with pytest.raises(RunError, match="cannot be written: No such file"):
        write_atomically(tmp_path / "x", lambda temporary: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_is_as_private_as_the_user_has_it(mask, tmp_path):
    before = os.umask(mask)
    try:
        path = write_text(tmp_path / "file.txt", "")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_json_comes_back(tmp_path):
    path = write_json(tmp_path / "x.json", {"a": [1, None, 0.1]})
    assert read_json(path) == {"a": [1, None, 0.1]}
    assert path.read_text().endswith("}\n")


def test_what_json_cannot_hold_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(tmp_path / "x.json", {"a": object()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff"])
def test_a_file_that_is_no_json_is_told(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError, match=r"x.json: expected JSON, got a file that cannot be read"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(RunError, match=r"x.json: expected a file of a finished search, found none"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a": "\xff"}', b"9" * 5_000, b'{"a"\n\n: }'])
def test_json_that_cannot_be_read_is_one_error_in_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RunError, match=r"^.*a\.json: expected JSON, got a file that cannot be read: .*$"):
        read_json(tmp_path / "a.json")


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_it_is_told(monkeypatch, tmp_path):
    write_text(tmp_path / "file.txt", "old")
    with FailingDisk(tmp_path).spinning(monkeypatch) as disk:
        write_atomically(
            tmp_path / "file.txt", lambda path: path.write_text("new"), rotate_to=tmp_path / "before"
        )
        make_folder(tmp_path / "a" / "b")
    what = [
        re.sub(r"[.]\w{8}$", "", one) for one in disk.done if one.split()[0] in ("fsync", "replace", "mkdir")
    ]
    here = f"fsync {tmp_path.name}"
    assert what == ["fsync .file.txt", "replace file.txt", "replace .file.txt", here, *what[4:]]
    assert sorted(what[4:]) == sorted(["mkdir b", "mkdir a", "mkdir b", "fsync a", here])
    assert ((tmp_path / "file.txt").read_text(), (tmp_path / "before").read_text()) == ("new", "old")


def test_a_file_system_whose_folders_cannot_be_synced_is_written_to(monkeypatch, tmp_path):
    kinds = [errno.EINVAL, errno.ENOTSUP, errno.EIO]

    def refuse(number):
        raise OSError(kinds.pop(0), "")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)
    sync_folder(tmp_path)
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        sync_folder(tmp_path)


def test_a_name_as_long_as_the_system_allows_is_written_to(tmp_path):
    for name in ("x" * 255, "ü" * 127):
        assert write_text(tmp_path / name, "all").read_text() == "all"


def test_a_folder_is_whole_or_not_there(tmp_path):
    def write(folder):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_text("new")

    def fail(folder):
        write(folder)
        raise OSError(28, "No space left on device")

    home = write_folder(tmp_path / "folder", write)
    (home / "old").touch()
    with pytest.raises(
        RunError, match=r"folder: cannot be written: No space left on device\. Free some space"
    ):
        write_folder(home, fail)
    assert (home / "old").exists()
    write_folder(home, write)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "folder",
        "folder/inner",
        "folder/inner/file",
    ]


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    (tmp_path / "child.pt2").mkdir()
    with pytest.raises(
        RunError, match=r"child.pt2: cannot be written: Is a directory\. It is a folder: choose"
    ):
        write_text(tmp_path / "child.pt2", "a")
