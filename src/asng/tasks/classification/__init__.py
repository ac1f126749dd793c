"""Image classification in the paper's cell space (Akimoto et al., 2019, section 5.2)."""

from asng.tasks.classification.task import ClassificationSettings, classification

__all__ = ["ClassificationSettings", "classification"]
