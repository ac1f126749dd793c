"""A disk that fails at the k-th thing that is asked of it, in this process and below one folder.

Files are Python's own, over a raw file that may fail: what was buffered stays so, and is tried again when the
file is closed, as it is on a full disk.
"""

import builtins
import errno
import io
import json
import os
import pathlib
import re
from contextlib import contextmanager
from pathlib import Path

import torch

from asng.errors import RunError

FULL, BROKEN, READ_ONLY = errno.ENOSPC, errno.EIO, errno.EROFS
_HARMLESS_WHEN_FULL = ("unlink", "close", "open folder")
_MAY_FAIL = ("close", "unlink")
"""What was forced to the disk is there however its file is closed, and a half is removed later too."""


class FailingDisk:
    """Counts what is done to a disk, and fails.

    Args:
        folder: What lies on the disk.
        at: Which thing fails, the first being 0; None: none does.
        number: The error. A full disk stays full, but that files can be removed; any other fails once.
    """

    def __init__(self, folder, at=None, number=FULL):
        self.folder, self.at, self.number, self.done = str(folder), at, number, []

    def ask(self, what, path):
        """Note that something is done, and raise if it is to fail."""
        self.done.append(f"{what} {Path(path).name}")
        place = len(self.done) - 1
        if self.at is None or place < self.at or (self.number != FULL and place > self.at):
            return
        if self.number != FULL or what not in _HARMLESS_WHEN_FULL:
            raise OSError(self.number, os.strerror(self.number))

    def has(self, path):
        return isinstance(path, (str, os.PathLike)) and str(path).startswith(self.folder)

    @contextmanager
    def spinning(self, monkeypatch):
        """Put the disk in the place of Python's for a while."""
        disk, names, seen, synced = self, {}, {"open": io.open, "os.open": os.open}, os.fsync

        class Raw(io.FileIO):
            torn = False

            def write(self, data):
                try:
                    disk.ask("write", self.name)
                except OSError:
                    if self.torn:
                        raise
                    self.torn = True  # a part is written, as the system does, and the next try fails
                    disk.done.pop()
                    data = memoryview(data)[: max(1, len(data) // 2)]
                return super().write(data)

            def truncate(self, size=None):
                disk.ask("truncate", self.name)
                return super().truncate(size)

            def close(self):
                was_open = not self.closed
                super().close()
                if was_open:
                    disk.ask("close", self.name)

        def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **how):
            if not disk.has(file) or not set(mode) & set("wax+"):
                return seen["open"](file, mode, buffering, encoding, errors, newline, **how)
            disk.ask("open", file)
            raw = Raw(file, mode.replace("b", "").replace("t", ""), opener=how.get("opener"))
            names[raw.fileno()] = file
            buffer = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
            return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

        def opened_by_number(path, flags, *args, **how):
            if disk.has(path) and Path(path).is_dir():
                disk.ask("open folder", path)
            number = seen["os.open"](path, flags, *args, **how)
            if disk.has(path):
                names[number] = path
            return number

        def sync(file):
            number = file if isinstance(file, int) else file.fileno()
            if number in names:
                disk.ask("fsync", names[number])
            synced(number)

        def asked(name):
            function = getattr(Path, name)

            def act(path, *args, **how):
                if disk.has(path) and not (name == "mkdir" and path.is_dir()):
                    disk.ask(name, path)
                return function(path, *args, **how)

            return act

        with monkeypatch.context() as patch:
            for module in (io, builtins):
                patch.setattr(module, "open", opened)
            accessor = getattr(
                pathlib, "_NormalAccessor", None
            )  # Python 3.10 keeps an `open` of its own there
            if accessor is not None:
                patch.setattr(accessor, "open", staticmethod(opened))
            patch.setattr(os, "open", opened_by_number)
            patch.setattr(os, "fsync", sync)
            for name in ("replace", "rename", "mkdir", "unlink"):
                patch.setattr(Path, name, asked(name))
            yield self


def writes_of(run, folder, monkeypatch):
    """Return what a run asks of a disk that does not fail, in its order."""
    folder.mkdir()
    with FailingDisk(folder).spinning(monkeypatch) as disk:
        run(folder / "run", resume=False)
    return disk.done


def refused(run, folder, monkeypatch, at, number):
    """Run until the disk fails; see that the one error tells of it, and that no half of a file is left."""
    with FailingDisk(folder, at, number).spinning(monkeypatch) as disk:
        told = None
        try:
            run(folder / "run", resume=False)
        except RunError as error:
            told = error
    if told is None:
        # A file with measured times may take a write more or less, so that the last things may not be asked.
        assert at >= len(disk.done) or disk.done[at].startswith(_MAY_FAIL), disk.done[at]
    else:
        what = "cannot be written|expected a folder to write a run into"
        says = rf"{re.escape(str(folder))}/\S*: ({what}): {re.escape(os.strerror(number))}\. \S.*"
        assert re.fullmatch(says, str(told), re.DOTALL), told
        assert isinstance(told.__cause__, OSError)
    halves = [path for path in folder.rglob(".*") if path.is_file()]
    assert number != FULL or not halves, halves
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    for path in folder.rglob("*.pt"):
        torch.load(path, weights_only=True)


def first_of_each(done):
    """Return where each thing is done first; temporary names differ by their last letters alone."""
    kinds = [re.sub(r"[.][0-9a-f]{8}$", "", one) for one in done]
    return [at for at, kind in enumerate(kinds) if kind not in kinds[:at]]
