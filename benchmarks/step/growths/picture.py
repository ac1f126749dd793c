"""The figure of how a step grows: a panel for each quantity, on logarithmic axes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["draw"]

BLUE, VERMILION, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#888888"
"""Colours of Okabe and Ito, which colour-blind readers can distinguish too."""


def draw(axes: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the figures of `growth.json`, by CPU time.

    Args:
        axes: The measurements of each quantity that grows, at most five.
        path: The picture to write.
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    shown: Figure
    shown, panels = plt.subplots(2, 3, figsize=(11, 6.6), layout="constrained")
    for panel, axis in zip(panels.flat, axes.values(), strict=False):
        _panel(panel, axis)
    for panel in panels[:, 0]:
        panel.set_ylabel("milliseconds of the processor a step")
    handles = {label: handle for panel in panels.flat for handle, label in _legend(panel)}
    for panel in panels.flat[len(axes) :]:
        panel.axis("off")
    panels.flat[-1].legend(handles.values(), handles.keys(), loc="center", frameon=False)
    shown.savefig(path, dpi=110)
    plt.close(shown)


def _panel(panel: Any, axis: Mapping[str, Any]) -> None:
    sizes = np.array([row["size"] for row in axis["rows"]], dtype=float)
    times = np.array([row["cpu_ms"]["median"] for row in axis["rows"]])
    quartiles = np.array([row["cpu_ms"]["quartiles"] for row in axis["rows"]])
    power, line = axis["cpu"]["power"], axis["cpu"]["line"]
    x = np.geomspace(sizes[0], sizes[-1], 100)
    panel.loglog(x, times[-1] * x / sizes[-1], ":", color=GREY, label="in proportion")
    panel.loglog(x, power["factor"] * x ** power["slope"], "-", color=BLUE, label="fitted power")
    fitted = line["fixed"] + line["each"] * x
    panel.loglog(
        x[fitted > 0], fitted[fitted > 0], "--", color=VERMILION, label="fixed part and so much each"
    )
    if axis["counted_slope"] is not None and axis["counted_slope"] > 1.01:
        counted = np.array([row["multiply_adds"] for row in axis["rows"]])
        panel.loglog(sizes, times[-1] * counted / counted[-1], "-.", color=GREEN, label="as multiply-adds")
    errors = np.abs(quartiles.T - times)
    panel.errorbar(sizes, times, errors, fmt="o", color="black", capsize=3, label="median, quartiles")
    panel.set_xscale("log", base=10 if sizes[-1] > 1000 else 2)
    if sizes[-1] <= 1000:
        panel.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
    panel.set_xlabel(axis["title"])
    panel.set_title(f"slope {power['slope']:.2f} $\\pm$ {power['error']:.2f}", fontsize="medium")


def _legend(panel: Any) -> list[tuple[Any, str]]:
    return list(zip(*panel.get_legend_handles_labels(), strict=True))
