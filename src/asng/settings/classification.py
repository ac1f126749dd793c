"""Settings of image classification."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from asng.checks import real_between
from asng.errors import InputError
from asng.settings.search import PAPER, Preset, SearchSettings, check_integers

__all__ = ["ClassificationSettings", "PRESETS"]


@dataclass(frozen=True)
class ClassificationSettings:
    """The images to classify, the space of networks to search, and how to retrain what was found.

    Args:
        data_dir: Folder with images (docs/data.md); default: the embedded part of Fashion-MNIST.
        image_size: Side in pixels to which pictures in folders, one per class, are resized.
        cells: Cells of the network; from 3 on, two of them halve the image.
        nodes: Nodes of a cell; each adds the outputs of two operations.
        channels: Channels of the first cell.
        batch_size: Images in a training batch.
        valid_share: Share of the training images that scores architectures in the search, 0 to 1.
        crop_padding: Zero pixels around a training image before a random crop to its size; 0: no crop.
        flip: Probability of a left-right flip of a training image, 0 to 1.
        cutout: Side of the square that is blanked in images when retraining; 0: none.
        retrain_cells: Cells of retrained networks; default: as in the search.
        retrain_channels: Channels of their first cell; default: by max_parameters, or as in the search.
        max_parameters: Largest number of weights of a retrained network; it gets as many channels as fit.
        retrain_batch_size: Images in a training batch when retraining; default: as in the search.
        drop_path: Rate at which operations are dropped at the end of retraining, 0 to 0.9.
        auxiliary: Weight of an auxiliary head's loss when retraining; 0: no head.
        recompute: Whether the search recomputes activations for gradients to save memory; same result.
    """

    data_dir: str | None = None
    image_size: int | None = None
    cells: int = 3
    nodes: int = 2
    channels: int = 4
    batch_size: int = 64
    valid_share: float = 0.5
    crop_padding: int = 0
    flip: float = 0.0
    cutout: int = 0
    retrain_cells: int | None = None
    retrain_channels: int | None = None
    max_parameters: int | None = None
    retrain_batch_size: int | None = None
    drop_path: float = 0.0
    auxiliary: float = 0.0
    recompute: bool = False

    def __post_init__(self) -> None:
        check_integers(self, cells=1, nodes=1, channels=1, batch_size=1, crop_padding=0, cutout=0)
        check_integers(self, image_size=1, retrain_cells=1, retrain_channels=1)
        check_integers(self, max_parameters=1, retrain_batch_size=1)
        _check_kinds(self.cells, self.cells if self.retrain_cells is None else self.retrain_cells)
        real_between("valid_share", self.valid_share, 0.0, 1.0)
        real_between("flip", self.flip, 0.0, 1.0)
        real_between("drop_path", self.drop_path, 0.0, 0.9)
        real_between("auxiliary", self.auxiliary, 0.0, 1e3)


def _check_kinds(cells: int, retrain_cells: int) -> None:
    """Check that retrained networks have the same kinds of cells as the search, which chooses them."""
    if (cells >= 3) != (retrain_cells >= 3):
        expected, has = ("at least 3", "") if cells >= 3 else ("at most 2", "no ")
        raise InputError(
            f"retrain_cells: expected {expected}, because the search has {has}reduction cells with {cells} "
            f"cells, got {retrain_cells}. Reduction cells need at least 3 cells."
        )


PRESETS: Mapping[str, Preset[ClassificationSettings]] = MappingProxyType(
    {
        # Takes minutes on two cores, and the networks still differ: docs/design/measured.md.
        "small": Preset(ClassificationSettings(), SearchSettings()),
        # Akimoto et al., 2019, section 5.2, and what their code adds: docs/classification.md.
        "paper": Preset(
            ClassificationSettings(
                cells=8,
                nodes=5,
                channels=16,
                batch_size=64,
                valid_share=0.5,
                crop_padding=4,
                flip=0.5,
                cutout=16,
                retrain_cells=20,
                max_parameters=4_000_000,
                retrain_batch_size=80,
                drop_path=0.3,
                auxiliary=0.4,
                recompute=True,
            ),
            replace(PAPER, epochs=100, retrain_epochs=600),
        ),
    }
)
