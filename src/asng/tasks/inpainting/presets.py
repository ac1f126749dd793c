"""Settings that belong together; their lengths in iterations, as the paper counts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from asng.tasks.inpainting.settings import InpaintingSettings
from asng.tasks.settings import SearchSettings

__all__ = ["PRESETS", "Preset", "passes"]


@dataclass(frozen=True)
class Preset:
    """The settings of a task and of its search.

    Args:
        task: Which images, and which space.
        search: By which rules. Its passes over the data follow from the iterations and the data.
        iterations: Steps of the search.
        retrain_iterations: Steps of training each network alone.
    """

    task: InpaintingSettings
    search: SearchSettings
    iterations: int
    retrain_iterations: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # Minutes on two cores, and the networks differ by many decibels: docs/inpainting.md.
        "small": Preset(InpaintingSettings(), SearchSettings(), iterations=1_240, retrain_iterations=620),
        # Akimoto et al., 2019, section 5.3, and what their code adds.
        "paper": Preset(
            InpaintingSettings(image_size=64, columns=20, channels=[64, 128, 256]),
            SearchSettings(
                peers=0,  # each would take as long as the found network
                update="paper",
                lam_x=2,
                lam_theta=2,
                warmup=0.0,
                final=0.0,
                learning_rate=0.025,
            ),
            iterations=50_000,
            retrain_iterations=500_000,
        ),
    }
)


def passes(iterations: int, batches: int) -> int:
    """Return the number of passes over the data that comes nearest to so many iterations.

    At least one, but none for none.

    Args:
        iterations: How many, at least 0.
        batches: Of one pass.

    Example:
        >>> passes(50_000, 5_086), passes(3, 10), passes(0, 10)
        (10, 1, 0)
    """
    return max(1, round(iterations / batches)) if iterations else 0
