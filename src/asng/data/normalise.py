"""Normalise images from bytes to floats of mean 0 and standard deviation 1."""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from asng.data.image_data import ImageData, check_images
from asng.errors import InputError

__all__ = ["normalise", "channel_statistics"]


def normalise(data: ImageData, *, fit_on: Tensor | None = None) -> tuple[TensorDataset, TensorDataset]:
    """Convert images to floats, normalised by the training part's mean and standard deviation per channel.

    The test part does not enter the statistics, so nothing of it leaks into training.

    Args:
        data: The images.
        fit_on: Indices of the training images that the statistics come from. Give the training half of a
            split if the validation half must stay unseen too. Default: all training images.

    Returns:
        The training and the test set; items are (float32 image (C, H, W), int64 label).

    Raises:
        InputError: `fit_on` is empty, or an index is out of range.

    Example:
        >>> pixels = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> data = ImageData(pixels, torch.tensor([0, 1]), pixels, torch.tensor([0, 1]), ("a", "b"), "tiny")
        >>> train, test = normalise(data)
        >>> train[1][0].item()
        1.0
    """
    try:
        images = data.train_images if fit_on is None else data.train_images[fit_on]
    except IndexError as error:
        raise InputError(
            f"fit_on: expected indices of the {len(data.train_images)} training images, got: {error}."
        ) from error
    mean, std = channel_statistics(images)
    train, test = (
        images.float().sub_(mean[:, None, None]).div_(std[:, None, None])
        for images in (data.train_images, data.test_images)
    )
    return TensorDataset(train, data.train_labels), TensorDataset(test, data.test_labels)


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of each channel, in pixel values (0 to 255).

    A constant channel gets the standard deviation 1, so that normalising it gives 0.

    Args:
        images: (N, C, H, W), uint8, at least one pixel.

    Returns:
        Two float32 tensors (C,).

    Raises:
        InputError: The images are not uint8 of shape (N, C, H, W), or there is no pixel.

    Example:
        >>> channel_statistics(torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1))
        (tensor([50.]), tensor([50.]))
    """
    check_images("images", images)
    # Bytes have 256 values: their counts give exact sums in no more memory than the images.
    counts = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in images.unbind(1)]).double()
    share = counts / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64)
    mean = share @ values
    std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return mean.float(), torch.where(std > 0, std, 1.0).float()
