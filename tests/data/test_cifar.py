import dataclasses
import hashlib
import os
import re
import tarfile

import numpy as np
import pytest
import torch
from cifar_files import NAMES, TEN, cifar_contents, random_records, tar_bytes, write_cifar, write_list
from hypothesis import given
from hypothesis import strategies as st

from asng.data import read_cifar
from asng.data.readers import cifar
from asng.errors import InputError


@pytest.mark.parametrize("hundred", [False, True])
def test_records_are_read_back_pixel_by_pixel(tmp_path, hundred):
    data = read_cifar(write_cifar(tmp_path, hundred=hundred))
    contents = list(cifar_contents(hundred=hundred).values())[:-1]
    width = 3073 + hundred
    train, test = b"".join(contents[:-1]), contents[-1]
    assert (len(data.train_images), len(data.test_images)) == (len(train) // width, 4)
    for images, labels, content in (
        (data.train_images, data.train_labels, train),
        (data.test_images, data.test_labels, test),
    ):
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            record = content[index * width : (index + 1) * width]
            assert label == record[hundred]
            # Red, green, blue plane, each row by row.
            assert image[1, 2, 3] == record[1 + hundred + 1024 + 2 * 32 + 3]
            assert bytes(image.flatten().tolist()) == record[1 + hundred :]
    assert data.name == ("CIFAR-100" if hundred else "CIFAR-10")
    assert data.classes[:2] == (("fine_0", "fine_1") if hundred else ("airplane", "automobile"))


@pytest.mark.parametrize(("hundred", "name"), [(False, "cifar-10-batches-bin"), (True, "cifar-100-binary")])
def test_the_folder_above_will_do(tmp_path, hundred, name):
    folder = write_cifar(tmp_path / name, hundred=hundred)
    assert read_cifar(tmp_path).fingerprint == read_cifar(folder).fingerprint


def test_what_is_read_is_writable(tmp_path):
    read_cifar(write_cifar(tmp_path)).train_images[0] = 7


def test_without_a_list_the_published_counts_are_expected(tmp_path):
    folder = write_cifar(tmp_path, listed=False)
    with pytest.raises(InputError, match=r"data_batch_1\.bin: expected 10000 records, got 3\..*SHA256SUMS"):
        read_cifar(folder)
    for name in TEN:
        os.truncate(folder / name, 10_000 * 3073)  # holes: black aeroplanes that take no room
    assert len(read_cifar(folder).train_images) == 50_000
    os.truncate(folder / "test_batch.bin", 9_999 * 3073)
    with pytest.raises(InputError, match=r"test_batch\.bin: expected 10000 records, got 9999"):
        read_cifar(folder)


def test_a_byte_changed_is_found_by_the_list(tmp_path):
    folder = write_cifar(tmp_path)
    content = bytearray((folder / "data_batch_3.bin").read_bytes())
    content[100] ^= 1
    (folder / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"data_batch_3\.bin: expected sha256 .* as SHA256SUMS says"):
        read_cifar(folder)


CONTENTS = {False: cifar_contents(n=1), True: cifar_contents(hundred=True, n=1)}


def assemble(contents, hundred):
    version = cifar._VERSIONS[hundred]
    return cifar._assemble(contents, version, where="folder", any_count=True)


@given(st.data(), st.booleans())
def test_a_file_cut_anywhere_is_an_input_error(data, hundred):
    contents = dict(CONTENTS[hundred])
    name = data.draw(st.sampled_from(sorted(contents)))
    whole = contents[name].rstrip()
    # Two records of a test file cut in the middle are one whole record: the list or the count tells.
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda n: n == 0 or n % (3073 + hundred)))
    contents[name] = whole[:cut]
    if name.endswith(".bin"):
        with pytest.raises(
            InputError, match=rf"{name}: expected a whole number of records .* got {cut} bytes"
        ):
            assemble(contents, hundred)
    elif len(contents[name].split()) != len(whole.split()):
        with pytest.raises(InputError, match=rf"{name}: expected the names of"):
            assemble(contents, hundred)


@given(st.data(), st.booleans(), st.binary(max_size=7000))
def test_no_content_raises_anything_but_an_input_error(data, hundred, content):
    contents = dict(CONTENTS[hundred])
    name = data.draw(st.sampled_from(sorted(contents)))
    contents[name] = content if data.draw(st.booleans()) else content + contents[name][len(content) :]
    try:
        assemble(contents, hundred)
    except InputError as error:
        assert f"folder, {name}: expected " in str(error)  # noqa: PT017 - it need not raise


def test_a_label_beyond_the_classes_names_the_record(tmp_path):
    folder = write_cifar(tmp_path, listed=False)
    records = random_records(3)
    records[1, 0] = 10
    (folder / "data_batch_2.bin").write_bytes(records.tobytes())
    write_list(folder)
    with pytest.raises(
        InputError, match=r"data_batch_2\.bin: expected labels in \[0, 9\], got 10 in record 1"
    ):
        read_cifar(folder)


def test_a_coarse_label_beyond_twenty_is_refused():
    contents = dict(CONTENTS[True])
    contents["train.bin"] = bytes([20]) + contents["train.bin"][1:]
    with pytest.raises(InputError, match=r"expected labels in \[0, 19\], got 20 in record 0"):
        assemble(contents, True)


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin", "batches.meta.txt"])
def test_a_missing_file_is_named(tmp_path, name):
    folder = write_cifar(tmp_path)
    (folder / name).unlink()
    with pytest.raises(
        InputError, match=rf"{re.escape(name)}: expected a file of CIFAR-10, got no such file"
    ):
        read_cifar(folder)


def test_neither_set_and_both_sets_are_refused(tmp_path):
    with pytest.raises(InputError, match="got a folder without them"):
        read_cifar(tmp_path)
    with pytest.raises(InputError, match="got no such folder"):
        read_cifar(tmp_path / "none")
    write_cifar(tmp_path / "cifar-10-batches-bin")
    write_cifar(tmp_path / "cifar-100-binary", hundred=True)
    with pytest.raises(InputError, match=r"got both, .*cifar-10-batches-bin and .*cifar-100-binary"):
        read_cifar(tmp_path)


def write_archive(folder, monkeypatch, members):
    """Write an archive, and have it be the published one."""
    packed = tar_bytes(members)
    (folder / "cifar-10-binary.tar.gz").write_bytes(packed)
    here = dataclasses.replace(cifar._CIFAR10, md5=hashlib.md5(packed).hexdigest())
    monkeypatch.setattr(cifar, "_VERSIONS", (here, cifar._CIFAR100))
    return packed


INSIDE = [(f"cifar-10-batches-bin/{name}", content) for name, content in cifar_contents().items()]


def test_the_archive_is_read_as_its_files_are_and_nothing_is_unpacked(tmp_path, monkeypatch):
    write_archive(tmp_path, monkeypatch, [("cifar-10-batches-bin/readme.html", b"x"), *reversed(INSIDE)])
    data = read_cifar(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]
    assert data.fingerprint == read_cifar(write_cifar(tmp_path / "files")).fingerprint
    assert data.classes == tuple(NAMES)


def test_an_archive_of_another_md5_is_refused(tmp_path, monkeypatch):
    packed = write_archive(tmp_path, monkeypatch, INSIDE)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(packed[:-1])
    with pytest.raises(InputError, match=r"expected the published archive, of MD5 .* cut short"):
        read_cifar(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        ("../data_batch_1.bin", b""),
        ("data_batch_1.bin", b""),
        ("/cifar-10-batches-bin/data_batch_1.bin", b""),
        ("cifar-10-batches-bin/../cifar-10-batches-bin/data_batch_1.bin", b""),
        ("cifar-10-batches-bin/data_batch_1.bin", None),
    ],
)
def test_members_are_taken_by_their_exact_name_and_links_are_not_followed(tmp_path, monkeypatch, wrong):
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    write_archive(folder, monkeypatch, [wrong, *INSIDE[1:]])
    with pytest.raises(
        InputError, match=r"expected the member cifar-10-batches-bin/data_batch_1\.bin, got none"
    ):
        read_cifar(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "folder", "cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_member_that_is_no_file_is_none(tmp_path, monkeypatch, kind):
    real = tarfile.TarInfo
    name = INSIDE[0][0]

    def of_kind(member):
        info = real(member)
        info.type = kind if member == name else info.type
        info.linkname = "../../etc/hostname" if member == name else ""
        return info

    monkeypatch.setattr(tarfile, "TarInfo", of_kind)
    packed = tar_bytes([(name, b""), *INSIDE[1:]])
    monkeypatch.undo()
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(packed)
    here = dataclasses.replace(cifar._CIFAR10, md5=hashlib.md5(packed).hexdigest())
    with pytest.raises(InputError, match="expected the member"):
        cifar._read_archive(tmp_path / "cifar-10-binary.tar.gz", here)


def test_an_archive_cut_short_is_an_input_error_whatever_its_md5(tmp_path, monkeypatch):
    packed = tar_bytes(INSIDE)
    for length in range(0, len(packed), len(packed) // 20):
        path = tmp_path / "cifar-10-binary.tar.gz"
        path.write_bytes(packed[:length])
        here = dataclasses.replace(cifar._CIFAR10, md5=hashlib.md5(packed[:length]).hexdigest())
        try:
            contents = cifar._read_archive(path, here)
        except InputError as error:
            assert re.search("fails to unpack|expected the member", str(error))  # noqa: PT017 - see below
        else:  # what was cut off is the end of the tar, behind the last file
            assert length > 0.9 * len(packed)
            assert contents == cifar_contents()


def test_the_published_archives_are_known():
    assert cifar._CIFAR10.md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert cifar._CIFAR100.md5 == "03b5dce01913d631647c71ecec9e9cb8"
    assert torch.tensor(cifar._CIFAR10.records).sum() == np.sum(cifar._CIFAR100.records) == 60_000
