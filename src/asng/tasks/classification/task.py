"""The task of image classification by a network of cells: data, networks, and training recipe."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache

from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from asng.data import (
    Augmentation,
    AugmentedDataset,
    ImageData,
    channel_statistics,
    load_fashion_mnist_subset,
    read_images,
    split_half,
)
from asng.data.augment import loader_of
from asng.errors import InputError
from asng.nn import Supernet
from asng.pipeline.task import Loaders, Recipe, Task
from asng.runs.config import defaults_of
from asng.settings import ClassificationSettings
from asng.space import Architecture
from asng.supernets import EnasCellNetwork, cell_graphs, set_drop_path
from asng.tasks.classification.channels import channels_within, largest_architecture
from asng.training import Loss, accuracy, supervised

__all__ = ["classification", "classification_recipe", "image_loaders"]

TEST_BATCH = 250
"""Batch size for scoring; larger than in training, because no gradient is needed."""


def classification(settings: ClassificationSettings) -> Task:
    """Return the task of image classification; this reads the data.

    Args:
        settings: The data, the space, and how the chosen network is trained.

    Raises:
        InputError: The data are missing, damaged or of a single class, or the images are too small for the
            cells.

    Example:
        >>> task = classification(ClassificationSettings(nodes=1))
        >>> task.metric, len(task.loaders(0).test)
        ('accuracy', 4)
    """
    data = _read(settings)
    networks = _Networks(data, settings)
    return Task(
        name="classification",
        data=data.name,
        fingerprint=data.fingerprint,
        settings=asdict(settings),
        defaults=defaults_of(settings),
        build=networks.searched,
        child=networks.kept,
        loaders=lambda seed: image_loaders(data, settings, seed),
        loss=supervised(nn.functional.cross_entropy),
        metric="accuracy",
        score=accuracy,
        recipe=classification_recipe(settings, networks.trained),
        graphs=lambda architecture: cell_graphs(architecture, settings.nodes),
    )


class _Networks:
    """The networks of a task: the one for the search, the one that is retrained, and the one that is kept."""

    def __init__(self, data: ImageData, settings: ClassificationSettings) -> None:
        self.data, self.settings = data, settings
        self.retrain_cells = settings.retrain_cells or settings.cells
        self.channels = lru_cache(maxsize=64)(self._channels)

    def __reduce__(self) -> tuple[type["_Networks"], tuple[ImageData, ClassificationSettings]]:
        return type(self), (self.data, self.settings)  # pickle all but the cache

    def searched(self) -> nn.Module:
        network = self._network(
            self.settings.cells, self.settings.channels, recompute=self.settings.recompute
        )
        if self.settings.max_parameters is not None:
            # Every architecture must fit. Raise before the search if the largest does not.
            self.channels(largest_architecture(Supernet(network).space))
        return network

    def kept(self, architecture: Architecture) -> nn.Module:
        return self._network(self.retrain_cells, self.channels(architecture), retraining=True)

    def trained(self, architecture: Architecture) -> nn.Module:
        return self._network(
            self.retrain_cells,
            self.channels(architecture),
            retraining=True,
            drop_path=self.settings.drop_path > 0.0,
            auxiliary=self.settings.auxiliary > 0.0,
        )

    def _channels(self, architecture: Architecture) -> int:
        settings = self.settings
        if settings.retrain_channels is not None or settings.max_parameters is None:
            return settings.retrain_channels or settings.channels

        def build(channels: int) -> nn.Module:
            return self._network(self.retrain_cells, channels, retraining=True)

        return channels_within(architecture, settings.max_parameters, build=build)

    def _network(
        self,
        cells: int,
        channels: int,
        *,
        retraining: bool = False,
        drop_path: bool = False,
        auxiliary: bool = False,
        recompute: bool = False,
    ) -> nn.Module:
        return EnasCellNetwork(
            in_channels=self.data.shape[0],
            classes=len(self.data.classes),
            image_size=self.data.shape[1:],
            cells=cells,
            nodes=self.settings.nodes,
            channels=channels,
            retraining=retraining,
            drop_path=drop_path,
            auxiliary=auxiliary,
            recompute=recompute,
        )


def _read(settings: ClassificationSettings) -> ImageData:
    if settings.data_dir is None:
        return load_fashion_mnist_subset()
    data = read_images(settings.data_dir, size=settings.image_size)
    if len(data.classes) < 2:
        raise InputError(
            f"{settings.data_dir}: expected images of at least two classes, got only {data.classes[0]!r}. "
            "Give the folder that holds one folder per class, or train and test with them."
        )
    return data


def classification_recipe(
    settings: ClassificationSettings, build: Callable[[Architecture], nn.Module]
) -> Recipe:
    """Return how to train a found classifier, with the auxiliary head and drop path of the settings.

    The rate of drop path grows linearly with the steps (Akimoto et al., 2019, section 5.2, after DARTS).

    Args:
        settings: They have the final rate of drop path and the weight of the auxiliary loss.
        build: Makes the model that is trained, with both.
    """
    rate = settings.drop_path

    def before_step(network: nn.Module, done: int, steps: int) -> None:
        set_drop_path(network, rate * done / steps)

    return Recipe(
        build=build if rate or settings.auxiliary else None,
        loss=_with_auxiliary(settings.auxiliary) if settings.auxiliary else None,
        before_step=before_step if rate else None,
    )


def _with_auxiliary(weight: float) -> Loss:
    """Return the loss: cross entropy of the head plus `weight` times that of the auxiliary head."""

    def cross_entropies(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        logits, auxiliary = output
        cross_entropy = nn.functional.cross_entropy
        return cross_entropy(logits, target) + weight * cross_entropy(auxiliary, target)

    return supervised(cross_entropies)


def image_loaders(data: ImageData, settings: ClassificationSettings, seed: int) -> Loaders:
    """Return the loaders; images stay bytes until they are in a batch.

    Crops and flips apply to all training data, cutout only when retraining (section 5.2).

    Args:
        data: The images.
        settings: Batch sizes and augmentations.
        seed: Seed of the split.
    """
    share = 1.0 - settings.valid_share
    first, second = split_half(data.train_labels, share=share, seed=seed)
    # The statistics come from the training half only: the weights must not see the other half.
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
        search_train=loader_of(Subset(cropped, first.tolist()), size, shuffle=True),
        search_valid=loader_of(Subset(plain, second.tolist()), size, shuffle=True),
        train=loader_of(cut, settings.retrain_batch_size or size, shuffle=True),
        test=loader_of(images(test, Augmentation(0, 0.0, 0)), TEST_BATCH, shuffle=False),
    )


@dataclass(frozen=True)
class _Normalised:
    """Normalise a batch of byte images to mean 0 and standard deviation 1, then augment it.

    Args:
        mean: Mean of each channel, (C,).
        std: Standard deviation of each channel, (C,).
        change: The augmentation of training images.
    """

    mean: Tensor
    std: Tensor
    change: Augmentation

    def __call__(self, images: Tensor) -> Tensor:
        return self.change(images.float().sub_(self.mean[:, None, None]).div_(self.std[:, None, None]))
