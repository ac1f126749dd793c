"""Settings of inpainting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from asng.checks import keep_integer, one_of, real_between
from asng.options import Encoding, Mask
from asng.settings.search import PAPER, Preset, SearchSettings

__all__ = ["InpaintingSettings", "PRESETS"]


@dataclass(frozen=True)
class InpaintingSettings:
    """The images to restore, and the space of networks to search.

    Args:
        data_dir: Folder of pictures, or of IDX, CIFAR or SVHN files; default: patches of photographs, which
            come with the extra `images`.
        image_size: Side of the images in pixels, to which pictures are resized.
        mask: What is missing: center, pixel or half.
        encoding: categorical, or mixed: channels and kernels as integers.
        columns: Largest number of nodes in the encoder.
        level_back: How many nodes back a node may read.
        kernels: Sides of the kernels, odd.
        channels: Channels of a node; mixed: any number from the smallest to the largest.
        batch_size: Images in a training batch.
        valid_share: Share of the training images that scores architectures in the search, 0 to 1.
        retrain_learning_rate: Adam's learning rate when retraining; it falls to a tenth at 2/5 of the steps,
            and again at 4/5.
    """

    data_dir: str | None = None
    image_size: int = 32
    mask: Mask = "center"
    encoding: Encoding = "categorical"
    columns: int = 8
    level_back: int = 5
    kernels: list[int] = field(default_factory=lambda: [1, 3, 5])
    channels: list[int] = field(default_factory=lambda: [8, 16, 32])
    batch_size: int = 16
    valid_share: float = 0.5
    retrain_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        one_of("mask", self.mask, ["center", "pixel", "half"])
        keep_integer(self, "image_size", 6)  # SSIM windows reach 5 pixels out
        keep_integer(self, "batch_size", 1)
        real_between("valid_share", self.valid_share, 0.0, 1.0)
        real_between("retrain_learning_rate", self.retrain_learning_rate, 0.0, 1e3, open_low=True)


PRESETS: Mapping[str, Preset[InpaintingSettings]] = MappingProxyType(
    {
        # Takes minutes on two cores, and the networks differ by many decibels: docs/inpainting.md.
        "small": Preset(InpaintingSettings(), SearchSettings(), iterations=1_240, retrain_iterations=620),
        # Akimoto et al., 2019, section 5.3, and what their code adds.
        "paper": Preset(
            InpaintingSettings(image_size=64, columns=20, channels=[64, 128, 256]),
            PAPER,
            iterations=50_000,
            retrain_iterations=500_000,
        ),
    }
)
