"""Inpainting by symmetric autoencoders (Akimoto et al., 2019, section 5.3)."""

from asng.settings import InpaintingSettings, Preset, passes
from asng.settings.inpainting import PRESETS
from asng.tasks.inpainting.masks import draw_masks
from asng.tasks.inpainting.task import inpainting

__all__ = ["PRESETS", "InpaintingSettings", "Preset", "draw_masks", "inpainting", "passes"]
