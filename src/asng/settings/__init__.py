"""The settings of a run: one frozen dataclass for each kind, validated on construction.

The command line derives its flags and their help from them, so nothing here loads torch.
"""

from asng.settings.classification import ClassificationSettings
from asng.settings.inpainting import InpaintingSettings
from asng.settings.search import PAPER, Preset, SearchSettings, check_integers, passes
from asng.settings.toy import GridPoint, MethodName, ToySettings
from asng.settings.user import UserSettings

__all__ = [
    "PAPER",
    "ClassificationSettings",
    "GridPoint",
    "InpaintingSettings",
    "MethodName",
    "Preset",
    "SearchSettings",
    "ToySettings",
    "UserSettings",
    "check_integers",
    "passes",
]
