"""Draw how much each variable matters, by the losses of samples and by the path of theta."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from asng.distributions import Product, ThetaView
from asng.errors import RunError
from asng.optim.importance import ThetaPath, enough_samples, sample_importance
from asng.optim.saving import unpack_theta
from asng.report.figures.svg import ABOVE, BLUE, FAINT, clean, draw, legend_above, tidy
from asng.runs.history import Compared, Log
from asng.space import Space, Value

__all__ = [
    "THETA",
    "Samples",
    "importance_bars",
    "importance_figure",
    "paint_importance",
    "samples_of_search",
]

THETA = "path of theta"
"""The measure that does not use samples."""
_BARS = 30
"""Number of variables shown, the most important ones."""
_MOST_ASKED = 500
"""Number of variables whose share is computed, which takes milliseconds: those that theta settled on most."""


class Samples(NamedTuple):
    """Architectures that were compared, with their losses.

    Attributes:
        name: What the losses are, for the legend.
        samples: Samples as `sample_importance` takes them.
        most: The greatest share that all variables together can explain, in (0, 1].
    """

    name: str
    samples: Sequence[tuple[Mapping[str, Value], float, frozenset[str] | None]]
    most: float = 1.0


def importance_figure(log: Log, space: Space, compared: Sequence[Samples]) -> str:
    """Draw how much each variable matters as an SVG element; empty if nothing is known.

    Args:
        log: As in `importance_bars`.
        space: As there.
        compared: As there.
    """
    bars = importance_bars(log, space, compared)
    if not bars:
        return ""
    return draw(
        partial(paint_importance, bars=bars),
        size=(760.0, 80.0 + 30.0 * min(len(space), _BARS)),
        margins=(170, 16, 38, ABOVE),
        key="importance",
        label=f"Importance of each variable, by {' and by '.join(bars)}",
    )


def importance_bars(log: Log, space: Space, compared: Sequence[Samples]) -> dict[str, Mapping[str, float]]:
    """Return how much each variable matters, by each measure.

    Args:
        log: A log with theta.
        space: The search space.
        compared: Sets of samples; the first that has enough of them is used.

    Returns:
        For each measure, shares by name of the variable. There is no entry for samples if there are too few,
        and none for theta if it never moved.
    """
    path = ThetaPath(space)
    if log.theta and log.theta[0][0] > 0 and log.start.optimizer is not None:  # a search of asng.minimize
        product = Product(space)
        with suppress(RunError):  # a log that someone has edited
            path.add(0, ThetaView(product, unpack_theta(log.start.optimizer, product)).to_json())
    for step, theta in log.theta:
        path.add(step, theta)
    settled = path.shares()
    most = set(sorted(space, key=settled.__getitem__)[-_MOST_ASKED:])
    asked = {name: space[name] for name in space if name in most}  # shares depend on the order of variables
    enough = next((one for one in compared if enough_samples(asked, one.samples)), None)
    bars: dict[str, Mapping[str, float]] = {}
    if enough is not None:
        shares = sample_importance(asked, enough.samples)
        bars[enough.name] = {name: min(share / enough.most, 1.0) for name, share in shares.items()}
    if any(settled.values()):
        bars[THETA] = {name: settled[name] for name in asked}
    return bars


def paint_importance(axes: Axes, bars: Mapping[str, Mapping[str, float]]) -> None:
    """Paint how much each variable matters, the most important ones on top.

    Args:
        axes: Axes to paint into.
        bars: One or two measures by name, each a share in [0, 1] by name of the variable, for the same
            variables.
    """
    shares = list(bars.values())
    names = sorted(shares[0], key=lambda name: tuple(one[name] for one in shares))[-_BARS:]
    places, height = np.arange(len(names)), 0.72 / len(shares)
    tidy(axes)
    axes.tick_params(length=0)
    for number, (label, one) in enumerate(bars.items()):
        middle = places + height * ((len(shares) - 1) / 2 - number)
        colour = FAINT if label == THETA else BLUE
        axes.barh(middle, [one[name] for name in names], height, color=colour, label=label)
    axes.set_yticks(places, [clean(name, 24) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("importance")
    legend_above(axes)


def samples_of_search(log: Log, space: Space, *, higher_is_better: bool) -> list[Samples]:
    """Return what a one-shot search compared: candidates on shared weights, and its finalists.

    The losses of candidates fall while the weights train, and each step has its own batch. A candidate
    therefore counts by its distance from the mean of its step. If a step has n candidates, 1/n of that
    distance is due to the others.

    Args:
        log: The log of the search.
        space: The search space.
        higher_is_better: Whether a higher objective is better.
    """
    scored = [sample for one in log.compared for sample in _beside_the_others(one, space)]
    alone = [
        (one.architecture, -one.alone if higher_is_better else one.alone, frozenset(one.architecture))
        for one in log.finalists
        if one.alone is not None
    ]
    most = 1.0 - len(log.compared) / len(scored) if len(scored) > len(log.compared) else 1.0
    return [Samples("scores on shared weights", scored, most), Samples("scores of finalists", alone)]


def _beside_the_others(
    one: Compared, space: Space
) -> Iterator[tuple[Mapping[str, Value], float, frozenset[str]]]:
    finite = [loss for loss in one.losses if loss is not None]
    middle = sum(finite) / len(finite) if finite else 0.0
    for loss, places in zip(one.losses, one.places, strict=True):
        read = {name: x for name, x in zip(space, places, strict=True) if x is not None}
        values = {name: space[name].decode(x) for name, x in read.items()}
        yield values, math.inf if loss is None else loss - middle, frozenset(read)
