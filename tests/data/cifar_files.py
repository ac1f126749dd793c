"""Writers of small data sets in CIFAR's binary versions."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TEN = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
HUNDRED = ["train.bin", "test.bin"]


def random_records(n, *, hundred=False, seed=0):
    """Return n records: the labels, coarse before fine, then 3072 bytes."""
    rng = np.random.default_rng(seed)
    values = (20, 100) if hundred else (10,)
    labels = [rng.integers(0, high, (n, 1), dtype=np.uint8) for high in values]
    return np.concatenate([*labels, rng.integers(0, 256, (n, 3072), dtype=np.uint8)], axis=1)


def cifar_contents(*, hundred=False, n=3):
    """Return the content of every file by its name, the class names too."""
    names = HUNDRED if hundred else TEN
    contents = {
        name: random_records(
            n + (name in ("test.bin", "test_batch.bin")), hundred=hundred, seed=seed
        ).tobytes()
        for seed, name in enumerate(names)
    }
    words = [f"fine_{k}" for k in range(100)] if hundred else NAMES
    meta = "fine_label_names.txt" if hundred else "batches.meta.txt"
    return contents | {meta: ("\n".join(words) + "\n\n").encode()}


def write_cifar(folder: Path, *, hundred=False, n=3, listed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in cifar_contents(hundred=hundred, n=n).items():
        (folder / name).write_bytes(content)
    if listed:
        write_list(folder)
    return folder


def write_list(folder: Path, name="SHA256SUMS", algorithm="sha256"):
    """Write what sha256sum or md5sum prints of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != name)
    lines = [
        f"{hashlib.new(algorithm, path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in files
    ]
    (folder / name).write_text("".join(lines))


def tar_bytes(members):
    """Return a gzipped tar archive of (name, content), content None being a link out of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(info, io.BytesIO(content or b""))
    return packed.getvalue()
