"""What a measured figure depends on: versions of software, and the machine. This does not load torch."""

import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

__all__ = ["machine", "versions"]


def versions(packages: Iterable[str] = ("asng", "torch", "numpy", "scipy")) -> dict[str, str]:
    """Return the versions of Python and of the packages, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int]:
    """Return the kind of machine: system, architecture, cores; threads and accelerator if torch is loaded."""
    found: dict[str, str | int] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
    }
    if torch := sys.modules.get("torch"):
        found["threads"] = torch.get_num_threads()
        found["accelerator"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return found
