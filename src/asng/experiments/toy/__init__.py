"""The paper's toy problem (Akimoto et al., 2019): ASNG, SNG and Adam over step sizes and learning rates."""

from asng.experiments.toy.experiment import resume_toy, run_toy
from asng.settings import ToySettings

__all__ = ["ToySettings", "resume_toy", "run_toy"]
