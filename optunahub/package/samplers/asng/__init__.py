"""The sampler of the library asng, in the form that OptunaHub loads."""

from asng.integrations.optuna import ASNGSampler

__all__ = ["ASNGSampler"]
