"""What the figures of a network must be read with: versions of software, and the machine."""

import torch

from asng.black_box import environment

__all__ = ["machine", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of Python, asng and what its numbers depend on."""
    return environment.versions(("asng", "torch", "numpy", "scipy"))


def machine() -> dict[str, str | int]:
    """Return the kind of machine: system, architecture, cores, torch's threads, accelerator."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {**environment.machine(), "threads": torch.get_num_threads(), "accelerator": cuda}
