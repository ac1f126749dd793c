"""What a figure must be read with: versions of software, and the machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

__all__ = ["machine", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of Python, asng and what its numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("asng", "torch", "numpy", "scipy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def machine() -> dict[str, str | int]:
    """Return the kind of machine: system, architecture, cores, torch's threads, accelerator."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "accelerator": cuda,
    }
