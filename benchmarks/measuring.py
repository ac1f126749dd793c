"""Measurements that several benchmarks share."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["peak_bytes", "spread"]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the quartiles of two or more values.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        {'median': 2.0, 'quartiles': [1.0, 3.0]}
    """
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 4), "quartiles": [round(low, 4), round(high, 4)]}


def peak_bytes() -> int:
    """Return the peak memory of this process, in bytes."""
    # Not getrusage's ru_maxrss, which a process inherits from its parent.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024
