"""What a run can be told: a frozen dataclass for each kind, checked when it is made.

The command line makes its flags and their help of these, so nothing here loads torch.
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
