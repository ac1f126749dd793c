"""Classifying images by a network of cells."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

from asng.checks import integer_at_least, real_between
from asng.data import ImageData, load_fashion_mnist_subset, normalise, read_mnist_like, split_half
from asng.search import accuracy, supervised
from asng.supernets import EnasCellNetwork, cell_graphs
from asng.tasks.task import Loaders, Task

__all__ = ["ClassificationSettings", "classification"]

TEST_BATCH = 250
"""Scoring needs no gradient, and so takes larger batches."""


@dataclass(frozen=True)
class ClassificationSettings:
    """Which images to classify, and in which space of networks to search.

    Args:
        data_dir: Folder with a MNIST-like set in four IDX files; default: the embedded part of Fashion-MNIST.
        cells: Cells of the network; from 3 on, two of them halve the image.
        nodes: Nodes of a cell, each adding two operations.
        channels: Channels of the first cell.
        batch_size: Images in a training batch.
        valid_share: Share of the training images that scores architectures in the search, 0 to 1.
    """

    data_dir: str | None = None
    cells: int = 3
    nodes: int = 2
    channels: int = 4
    batch_size: int = 64
    valid_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("cells", "nodes", "channels", "batch_size"):
            integer_at_least(name, getattr(self, name), 1)
        real_between("valid_share", self.valid_share, 0.0, 1.0)


def classification(settings: ClassificationSettings) -> Task:
    """Return the task of classifying images; reads the data.

    Args:
        settings: Which data, and which space.

    Raises:
        InputError: The data are missing or damaged, or the images are too small for the cells.

    Example:
        >>> task = classification(ClassificationSettings(nodes=1))
        >>> task.metric, len(task.loaders(0).test)
        ('accuracy', 4)
    """
    data = _read(settings)

    def network(*, retraining: bool) -> nn.Module:
        return EnasCellNetwork(
            in_channels=data.shape[0],
            classes=len(data.classes),
            image_size=data.shape[1:],
            cells=settings.cells,
            nodes=settings.nodes,
            channels=settings.channels,
            retraining=retraining,
        )

    return Task(
        name="classification",
        data=data.name,
        settings=asdict(settings),
        build=lambda: network(retraining=False),
        child=lambda architecture: network(retraining=True),
        loaders=lambda seed: _loaders(data, settings, seed),
        loss=supervised(nn.functional.cross_entropy),
        metric="accuracy",
        score=accuracy,
        graphs=lambda architecture: cell_graphs(architecture, settings.nodes),
    )


def _read(settings: ClassificationSettings) -> ImageData:
    if settings.data_dir is None:
        return load_fashion_mnist_subset()
    return read_mnist_like(Path(settings.data_dir))


def _loaders(data: ImageData, settings: ClassificationSettings, seed: int) -> Loaders:
    share = 1.0 - settings.valid_share
    first, second = split_half(data.train_labels, share=share, seed=seed)
    # The statistics come from the training half: the other one is to stay unseen by the weights.
    train, test = normalise(data, fit_on=first)
    size = settings.batch_size
    return Loaders(
        search_train=_loader(_part(train, first), size, shuffle=True),
        search_valid=_loader(_part(train, second), size, shuffle=True),
        train=_loader(train, size, shuffle=True),
        test=_loader(test, TEST_BATCH, shuffle=False),
    )


def _part(dataset: TensorDataset, indices: Tensor) -> TensorDataset:
    return TensorDataset(*(tensor[indices] for tensor in dataset.tensors))


def _loader(dataset: TensorDataset, size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Batches taken by one index operation each, which is many times faster than item by item."""
    sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    batches = BatchSampler(sampler, min(size, len(dataset)), drop_last=shuffle)
    return DataLoader(dataset, batch_size=None, sampler=batches, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> tuple[torch.Tensor, ...]:
    return tuple(batch)
