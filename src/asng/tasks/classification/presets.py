"""Settings that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from asng.tasks.classification.settings import ClassificationSettings
from asng.tasks.settings import SearchSettings

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """The settings of a task and of its search.

    Args:
        task: Which network, and how it is trained.
        search: How long, and by which rules.
    """

    task: ClassificationSettings
    search: SearchSettings


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # Minutes on two cores, and the networks still differ: docs/design.md, "Measured".
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
            SearchSettings(
                epochs=100,
                retrain_epochs=600,
                peers=0,  # each would take as long as the found network
                update="paper",
                lam_x=2,
                lam_theta=2,
                warmup=0.0,
                final=0.0,
                learning_rate=0.025,
            ),
        ),
    }
)
