"""Read the binary versions of CIFAR-10 and CIFAR-100: records of one or two labels and 3 x 32 x 32 bytes.

The versions for Python are pickles; these are programs, so they are not read here.

References:
    A. Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images"; the page of the data sets,
    section "Binary version".
"""

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asng.checks import as_path
from asng.data.image_data import ImageData
from asng.data.readers.checksums import Checksums, digest_of
from asng.errors import InputError

__all__ = ["read_cifar", "holds_cifar"]

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Version:
    """A published data set: its files, and how many records each has."""

    name: str
    folder: str
    archive: str
    md5: str
    train: tuple[str, ...]
    test: str
    records: tuple[int, ...]  # of the training files, then of the test file
    labels: tuple[int, ...]  # how many values each byte before the pixels takes; the last one is the class
    class_names: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files of records, training first."""
        return (*self.train, self.test)


_CIFAR10 = _Version(
    name="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    records=(10_000,) * 6,
    labels=(10,),
    class_names="batches.meta.txt",
)
_CIFAR100 = _Version(
    name="CIFAR-100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    train=("train.bin",),
    test="test.bin",
    records=(50_000, 10_000),
    labels=(20, 100),
    class_names="fine_label_names.txt",
)
_VERSIONS = (_CIFAR10, _CIFAR100)


def read_cifar(folder: str | PathLike[str]) -> ImageData:
    """Read CIFAR-10, or CIFAR-100 with its 100 fine labels, in the binary version.

    The format has no checksum, so files must have the published number of records. If a list SHA256SUMS,
    MD5SUMS or md5sums.txt lies beside them, they must match it instead, and may be a part of the set. An
    archive must have the published MD5; it is read in memory, and nothing is unpacked to disk.

    Args:
        folder: Holds the .bin files and the names of the classes, or the folder `cifar-10-batches-bin` or
            `cifar-100-binary` with them, or `cifar-10-binary.tar.gz` or `cifar-100-binary.tar.gz`.

    Returns:
        Images of 3 channels and 32x32 pixels.

    Raises:
        InputError: A file is missing, truncated, damaged or of another format; a label has no class; or the
            folder holds both sets.

    Example:
        >>> read_cifar("data").train_images.shape   # doctest: +SKIP
        torch.Size([50000, 3, 32, 32])
    """
    folder = as_path("folder", folder, to_read=True)
    version, place = _find(folder)
    if place.is_dir():
        contents, vouched = _read_folder(place, version)
    else:
        contents, vouched = _read_archive(place, version), True
    return _assemble(contents, version, where=str(place), any_count=vouched)


def holds_cifar(folder: Path) -> bool:
    """Return whether a folder holds a file or an archive of CIFAR, whole or not."""
    return bool(_places(folder))


def _find(folder: Path) -> tuple[_Version, Path]:
    places = _places(folder)
    if not places:
        state = "a folder without them" if folder.is_dir() else "no such folder"
        raise InputError(
            f"{folder}: expected CIFAR-10's or CIFAR-100's binary version, the files {_CIFAR10.train[0]} ... "
            f"{_CIFAR10.test} or {_CIFAR100.train[0]} and {_CIFAR100.test}, or {_CIFAR10.archive} or "
            f"{_CIFAR100.archive}, got {state}. The versions for Python and Matlab are not read."
        )
    if len(places) > 1:
        raise InputError(
            f"{folder}: expected CIFAR-10 or CIFAR-100, got both, {places[0][1]} and {places[1][1]}. "
            "Name the folder of the one that you want."
        )
    return places[0]


def _places(folder: Path) -> list[tuple[_Version, Path]]:
    """Return where each version was found, as a folder or else an archive."""
    places = []
    for version in _VERSIONS:
        folders = (folder, folder / version.folder)
        found = [place for place in folders if any((place / name).is_file() for name in version.files)]
        archive = folder / version.archive
        if found or archive.is_file():
            places.append((version, found[0] if found else archive))
    return places


def _read_folder(folder: Path, version: _Version) -> tuple[dict[str, bytes], bool]:
    """Return the contents of the files, and whether a list of checksums vouches for them."""
    checksums = Checksums(folder)
    contents = {}
    for name in (*version.files, version.class_names):
        path = folder / name
        try:
            contents[name] = path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{path}: expected a file of {version.name}, got no such file.") from None
        except OSError as error:
            raise InputError(f"{path}: expected a readable file, got: {error.strerror}.") from error
        checksums.check(path)
    return contents, bool(checksums)


def _read_archive(path: Path, version: _Version) -> dict[str, bytes]:
    found = digest_of(path, "md5")
    if found != version.md5:
        raise InputError(
            f"{path}: expected the published archive, of MD5 {version.md5}, got {found}. It is cut short, "
            "damaged or another file: fetch it again, or unpack it and give its folder."
        )
    Checksums(path.parent).check(path)
    wanted = {f"{version.folder}/{name}": name for name in (*version.files, version.class_names)}
    contents = {}
    try:
        # As a stream: seeking back in a gzip file would unpack it anew from its beginning.
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted and member.isreg() else None
                if file is not None:
                    contents[wanted[member.name]] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: expected a whole tar archive, got one that fails to unpack ({error})."
        ) from error
    missing = [member for member, name in wanted.items() if name not in contents]
    if missing:
        raise InputError(f"{path}: expected the member {missing[0]}, got none. Is it another archive?")
    return contents


def _assemble(contents: Mapping[str, bytes], version: _Version, *, where: str, any_count: bool) -> ImageData:
    classes = _class_names(contents[version.class_names], version, where)
    parts = []
    for name, published in zip(version.files, version.records, strict=True):
        records = _records(contents[name], version, f"{where}, {name}")
        if not any_count and len(records) != published:
            raise InputError(
                f"{where}, {name}: expected {published} records, got {len(records)}. The file is incomplete: "
                "fetch it again. If you want a part only, confirm it: sha256sum * > SHA256SUMS."
            )
        parts.append(records)
    train_images, train_labels = _split(np.concatenate(parts[:-1]), version)
    test_images, test_labels = _split(parts[-1], version)
    return ImageData(train_images, train_labels, test_images, test_labels, classes, version.name)


def _records(content: bytes, version: _Version, name: str) -> NDArray[np.uint8]:
    """Return the records of a file, (N, label bytes + 3072)."""
    size = len(version.labels) + _PIXELS
    if not content or len(content) % size:
        raise InputError(
            f"{name}: expected a whole number of records of {size} bytes, at least one, got {len(content)} "
            "bytes. The file is cut short or of another format: fetch it again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    for byte, values in enumerate(version.labels):
        wrong = np.flatnonzero(records[:, byte] >= values)
        if len(wrong):
            raise InputError(
                f"{name}: expected labels in [0, {values - 1}], got {records[wrong[0], byte]} in record "
                f"{wrong[0]}. The file is damaged or of another format: fetch it again."
            )
    return records


def _split(records: NDArray[np.uint8], version: _Version) -> tuple[Tensor, Tensor]:
    """Return the images (N, 3, 32, 32) and labels (N,) of records, as writable copies."""
    last = len(version.labels)
    images = np.ascontiguousarray(records[:, last:]).reshape(-1, 3, 32, 32)
    return torch.from_numpy(images), torch.from_numpy(records[:, last - 1].astype(np.int64))


def _class_names(content: bytes, version: _Version, where: str) -> tuple[str, ...]:
    try:
        names = content.decode("utf-8").split()
    except UnicodeDecodeError:
        names = []
    expected = version.labels[-1]
    if len(names) != expected:
        raise InputError(
            f"{where}, {version.class_names}: expected the names of {expected} classes, one per line, got "
            f"{len(names)}. Fetch it again."
        )
    return tuple(names)
