"""Image classification in the paper's cell space (Akimoto et al., 2019, section 5.2)."""

from asng.settings import ClassificationSettings, Preset
from asng.settings.classification import PRESETS
from asng.tasks.classification.task import classification

__all__ = ["PRESETS", "ClassificationSettings", "Preset", "classification"]
