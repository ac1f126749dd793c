"""The four loaders of labelled images: two halves for the search, all of them for training, and the test."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from asng.data import Augmentation, AugmentedDataset, ImageData, channel_statistics, split_half
from asng.pipeline.task import Loaders
from asng.tasks.classification.settings import ClassificationSettings

__all__ = ["image_loaders"]

TEST_BATCH = 250
"""Scoring needs no gradient, and so takes larger batches."""


def image_loaders(data: ImageData, settings: ClassificationSettings, seed: int) -> Loaders:
    """Return the loaders; images stay bytes until they are in a batch.

    Crops and flips are in all training, cutout in that of networks trained alone (section 5.2).

    Args:
        data: The images.
        settings: Sizes of batches, and how images are changed.
        seed: Of the split.
    """
    share = 1.0 - settings.valid_share
    first, second = split_half(data.train_labels, share=share, seed=seed)
    # The statistics come from the training half: the other one is to stay unseen by the weights.
    mean, std = channel_statistics(data.train_images[first])
    padding, flip = settings.crop_padding, settings.flip

    def images(tensors: tuple[Tensor, Tensor], change: Augmentation) -> AugmentedDataset:
        return AugmentedDataset(TensorDataset(*tensors), _Normalised(mean, std, change))

    train = (data.train_images, data.train_labels)
    test = (data.test_images, data.test_labels)
    plain, cropped = images(train, Augmentation(0, 0.0, 0)), images(train, Augmentation(padding, flip, 0))
    cut = images(train, Augmentation(padding, flip, settings.cutout))
    size = settings.batch_size
    return Loaders(
        search_train=_loader(Subset(cropped, first.tolist()), size, shuffle=True),
        search_valid=_loader(Subset(plain, second.tolist()), size, shuffle=True),
        train=_loader(cut, settings.retrain_batch_size or size, shuffle=True),
        test=_loader(images(test, Augmentation(0, 0.0, 0)), TEST_BATCH, shuffle=False),
    )


@dataclass(frozen=True)
class _Normalised:
    """Turns bytes into floats of mean 0 and deviation 1, then changes them; a batch at once.

    Args:
        mean: Of each channel, (C,).
        std: Of each channel, (C,).
        change: What is done to the images in training.
    """

    mean: Tensor
    std: Tensor
    change: Augmentation

    def __call__(self, images: Tensor) -> Tensor:
        return self.change(images.float().sub_(self.mean[:, None, None]).div_(self.std[:, None, None]))


def _loader(dataset: Dataset[Any], size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Batches taken by one index operation each, which is many times faster than item by item."""
    count = len(dataset)  # type: ignore[arg-type]
    sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
    batches = BatchSampler(sampler, min(size, count), drop_last=shuffle)
    return DataLoader(dataset, batch_size=None, sampler=batches, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> tuple[Tensor, ...]:
    return tuple(batch)
