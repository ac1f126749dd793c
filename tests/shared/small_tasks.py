"""A task on random images so small that the whole road takes a second."""

import struct
from pathlib import Path

import torch

from asng.pipeline import SearchSettings
from asng.tasks.classification import ClassificationSettings

SMALL = SearchSettings(epochs=2, retrain_epochs=1, peers=2, device="cpu")


def write_images(folder: Path, n_train: int = 64, n_test: int = 16, side: int = 6) -> Path:
    """Write a MNIST-like set whose label is the brighter half of the image."""
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", n_train), ("t10k", n_test)):
        labels = (torch.arange(n) % 2).to(torch.uint8)
        images = torch.randint(0, 60, (n, side, side), generator=generator).to(torch.uint8)
        images[labels == 0, :, : side // 2] += 150
        images[labels == 1, :, side // 2 :] += 150
        header = struct.pack(">HBBIII", 0, 8, 3, n, side, side)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.numpy().tobytes())
        header = struct.pack(">HBBI", 0, 8, 1, n)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.numpy().tobytes())
    return folder


def small_cells(folder: Path) -> ClassificationSettings:
    """Settings of a tiny cell network over the images of `write_images`."""
    data = write_images(folder / "images")
    return ClassificationSettings(data_dir=str(data), cells=1, nodes=1, channels=2, batch_size=8)
