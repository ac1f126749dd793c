"""Image classification in the paper's cell space (Akimoto et al., 2019, section 5.2)."""

from asng.tasks.classification.settings import PRESETS, ClassificationSettings, Preset
from asng.tasks.classification.task import classification

__all__ = ["PRESETS", "ClassificationSettings", "Preset", "classification"]
