"""The task of restoring images with missing parts by a symmetric autoencoder."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from asng.checks import require
from asng.data import (
    ImageData,
    load_photographs,
    read_image_folder,
    read_images,
    split_groups,
    split_half,
)
from asng.data.augment import loader_of
from asng.data.readers.image_listing import holds_pictures
from asng.errors import InputError
from asng.pipeline.task import Loaders, Recipe, Task
from asng.runs.config import defaults_of
from asng.settings import InpaintingSettings
from asng.space import Architecture
from asng.supernets import ConvAutoencoder, autoencoder_graph
from asng.tasks.inpainting.masks import MaskedImages
from asng.tasks.inpainting.quality import psnr, restored_pictures, ssim
from asng.training import score, supervised

__all__ = ["inpainting"]

TEST_BATCH = 100
"""Batch size for scoring; larger than in training, because no gradient is needed."""

MASK_SEED = 0
"""Seed of the masks for scoring; the same in all runs, so that their scores can be compared."""

LEAST_SIDE = 6
"""Smallest image side in pixels: SSIM windows reach 5 pixels beyond their centre."""


def inpainting(settings: InpaintingSettings) -> Task:
    """Return the task of restoring images; this reads the data.

    The network sees only the masked image, with missing pixels as 0, and not the mask. The loss is the mean
    squared error over all pixels, visible ones too. Training images are flipped at random. Both are as in
    the authors' code. Differs: both networks of a step are trained, and both are scored, on the same masks.

    Args:
        settings: The data and the space.

    Raises:
        InputError: The data are missing or damaged, or an argument of the space is out of its range.
        RunError: The extra `images` is not installed.

    Example:
        >>> task = inpainting(InpaintingSettings(columns=4))
        >>> task.metric, list(task.others), len(task.loaders(0).test)
        ('PSNR', ['SSIM'], 4)
    """
    for module in ("PIL.Image", "torchmetrics.functional.image"):
        require(module, extra="images")
    data = _read(settings)
    channels, height, width = data.shape
    if min(height, width) < LEAST_SIDE:
        raise InputError(
            f"{data.name}: expected images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels, which SSIM needs, "
            f"got {height} x {width}."
        )

    def network() -> nn.Module:
        return ConvAutoencoder(
            in_channels=channels,
            image_size=(height, width),
            encoding=settings.encoding,
            columns=settings.columns,
            level_back=settings.level_back,
            kernels=settings.kernels,
            channels=settings.channels,
        )

    def graphs(architecture: Architecture) -> list[dict[str, Any]]:
        size = {"columns": settings.columns, "level_back": settings.level_back}
        return [autoencoder_graph(architecture, **size, image_size=(height, width))]

    return Task(
        name="inpainting",
        data=data.name,
        fingerprint=data.fingerprint,
        settings=asdict(settings),
        defaults=defaults_of(settings),
        build=network,
        child=lambda architecture: network(),
        loaders=lambda seed: _loaders(data, settings, seed),
        loss=supervised(nn.functional.mse_loss),
        metric="PSNR",
        score=psnr,
        others={"SSIM": ssim},
        recipe=Recipe(
            optimizer=partial(_adam, learning_rate=settings.retrain_learning_rate), scheduler=_two_steps_down
        ),
        weight_decay=0.0,
        graphs=graphs,
        pictures=_pictures,
    )


def _adam(parameters: Iterable[nn.Parameter], *, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=learning_rate)


def _two_steps_down(weights: torch.optim.Optimizer, steps: int) -> Any:
    """Lower the learning rate to a tenth at 2/5 of the steps, and again at 4/5 (the paper's schedule)."""
    return torch.optim.lr_scheduler.MultiStepLR(weights, [2 * steps // 5, 4 * steps // 5])


def _pictures(network: nn.Module, loaders: Loaders) -> dict[str, Any]:
    words = f"PSNR {score(network, loaders.test, psnr):.2f}, SSIM {score(network, loaders.test, ssim):.3f}"
    test = loaders.test.dataset
    assert isinstance(test, MaskedImages)
    return restored_pictures(network, test, words)


def _read(settings: InpaintingSettings) -> ImageData:
    if settings.data_dir is None:
        return load_photographs(settings.image_size)
    folder = Path(settings.data_dir)
    if folder.is_dir() and holds_pictures(folder):
        return read_image_folder(folder, size=settings.image_size)
    return read_images(folder)


def _loaders(data: ImageData, settings: InpaintingSettings, seed: int) -> Loaders:
    share = 1.0 - settings.valid_share
    if settings.data_dir is None:  # patches of one photograph are alike: keep them in one part
        first, second = split_groups(data.train_labels, share=share, seed=seed)
    else:
        first, second = split_half(len(data.train_images), share=share, seed=seed)
    train = partial(_training, size=settings.batch_size, mask=settings.mask)
    return Loaders(
        search_train=train(data.train_images[first]),
        search_valid=loader_of(
            _fixed(data.train_images[second], settings), settings.batch_size, shuffle=True
        ),
        train=train(data.train_images),
        test=loader_of(_fixed(data.test_images, settings), TEST_BATCH, shuffle=False),
    )


def _training(images: Tensor, *, size: int, mask: Any) -> DataLoader[Any]:
    return loader_of(MaskedImages(images, mask, seed=None), size, shuffle=True)


def _fixed(images: Tensor, settings: InpaintingSettings) -> MaskedImages:
    return MaskedImages(images, settings.mask, seed=MASK_SEED)
