"""No file makes a reader crash or hang: a share of what benchmarks/faults/malformed_files.py does."""

import random

import pytest
from malformed.judge import judge
from malformed.readers import READERS, Reader

from asng.errors import InputError


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(name, tmp_path):
    # An archive of two records a file is not the published one.
    reader = READERS[name]
    reader.write(tmp_path)
    if name in ("CIFAR-10, binary", "CIFAR-10, archive with its MD5"):
        with pytest.raises(InputError, match=r"expected (10000 records|the published archive)"):
            reader.read(tmp_path)
    else:
        reader.read(tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_a_malformed_file_gives_a_clear_error_or_is_read(name, tmp_path):
    kinds = []
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        verdict = judge(READERS[name], folder, random.Random(f"test {name} {number}"))
        assert verdict.kind in ("error", "accepted"), f"file {number}: {verdict}"
        kinds.append(verdict.kind)
    assert "error" in kinds


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (KeyError("x"), "crash"),
        (RecursionError(), "crash"),
        (SystemExit(3), "crash"),
        (InputError("expected something else"), "unclear"),
        (InputError("x.idx:\nexpected two lines"), "unclear"),
        (InputError("x.idx: expected " + "9" * 3_000), "unclear"),
        (InputError("x.idx: expected an IDX file"), "error"),
        (None, "accepted"),
    ],
)
def test_every_end_is_told_apart(raised, kind, tmp_path):
    def read(folder):
        if raised is not None:
            raise raised

    whole = READERS["IDX"]
    assert judge(Reader(whole.write, read, whole.mutations), tmp_path, random.Random(0)).kind == kind


def test_a_reader_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    def read(folder):
        while True:
            pass

    monkeypatch.setattr("malformed.judge.LIMIT", 0.05)
    whole = READERS["IDX"]
    assert judge(Reader(whole.write, read, whole.mutations), tmp_path, random.Random(0)).kind == "hang"
