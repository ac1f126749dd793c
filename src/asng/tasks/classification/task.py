"""Classifying images by a network of cells."""

from dataclasses import asdict
from functools import lru_cache

from torch import nn

from asng.data import ImageData, load_fashion_mnist_subset, read_images
from asng.nn import Supernet
from asng.search import accuracy, supervised
from asng.space import Architecture
from asng.supernets import EnasCellNetwork, cell_graphs
from asng.tasks.classification.channels import channels_within, largest_architecture
from asng.tasks.classification.loaders import image_loaders
from asng.tasks.classification.settings import ClassificationSettings
from asng.tasks.classification.training import classification_recipe
from asng.tasks.task import Task

__all__ = ["classification"]


def classification(settings: ClassificationSettings) -> Task:
    """Return the task of classifying images; reads the data.

    Args:
        settings: Which data, which space, and how the chosen network is trained.

    Raises:
        InputError: The data are missing or damaged, or the images are too small for the cells.

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
    """The networks of a task: the one searched in, the one trained alone, and the one kept."""

    def __init__(self, data: ImageData, settings: ClassificationSettings) -> None:
        self.data, self.settings = data, settings
        self.retrain_cells = settings.retrain_cells or settings.cells
        self.channels = lru_cache(maxsize=64)(self._channels)

    def searched(self) -> nn.Module:
        network = self._network(
            self.settings.cells, self.settings.channels, recompute=self.settings.recompute
        )
        if self.settings.max_parameters is not None:
            # Whatever is found must have room: better to hear that it has none before the search.
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
    return read_images(settings.data_dir, size=settings.image_size)
