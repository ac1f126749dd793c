"""The quantities that grow: the measured sizes, and the work at each size."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from asng.costs import multiply_adds
from asng.nn import Supernet
from asng.optim import ASNG
from asng.space import Architecture, Categorical, Space
from asng.supernets import EnasCellNetwork
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES, Setting, images

__all__ = ["AXES", "LAM", "MOST", "AskTell", "Axis", "Base", "Side", "Steps", "architectures_of"]

LAM, MOST = 2, 16
"""Architectures that a step trains, and scores: as in the paper, and at most."""
CHOICES, SHORTEST = 5, 200_000
"""Choices of a variable, and the least total number of variables that a turn of asking and telling covers."""
SEED = 0


class Side(Protocol):
    """The work at one size.

    Attributes:
        steps: Steps in a turn.
        passed: Multiply-adds of the forward passes of a step, or None if there are none.
    """

    steps: int
    passed: float | None

    def turn(self) -> None:
        """Take that many steps."""


@dataclass(frozen=True)
class Base:
    """A smaller cell space of the paper, at the size from which one quantity at a time grows.

    `batch` is in images and `pixels` in pixels a side. Two of the cells reduce the image.
    """

    cells: int = 3
    channels: int = 16
    nodes: int = 5
    batch: int = 16
    pixels: int = 32
    lam: int = LAM

    def setting(self) -> Setting:
        """Return the setting of this size, with one step a turn."""
        build = partial(
            EnasCellNetwork,
            in_channels=3,
            classes=10,
            image_size=self.pixels,
            cells=self.cells,
            nodes=self.nodes,
            channels=self.channels,
        )
        return replace(
            SPACES["cells"],
            build=build,
            items=partial(images, side=self.pixels),
            batch=self.batch,
            steps=1,
            settings={**SPACES["cells"].settings, "lam_x": self.lam, "lam_theta": self.lam},
        )


def architectures_of(space: Space, count: int) -> list[Architecture]:
    """Draw architectures in which all cells run, the same in each space with that many nodes.

    A network leaves out a cell that no other reads, so that some would grow only with every second cell. So
    only architectures are taken whose cells, of both kinds, read the one before.
    """
    draw, found = random.Random(SEED), []
    while len(found) < count:
        architecture = space.sample(draw)
        kinds = {name.split(".")[0] for name, value in architecture.items() if value == "cell-1"}
        if len(kinds) == 2:
            found.append(architecture)
    return found


class Steps:
    """Steps of a search, the same architectures at every size and in every turn.

    Args:
        base: The size.
        trained: Architectures that a turn trains, and others that it scores: a multiple of lambda.
    """

    def __init__(self, base: Base, *, trained: int) -> None:
        self.steps = trained // base.lam
        self.base, self.ours = base, Ours(base.setting())
        supernet = self.ours.supernet
        space, self.drawn = supernet.space, []
        self.architectures = architectures_of(space, 2 * MOST)
        halves = self.architectures[:trained], self.architectures[MOST : MOST + trained]
        for first in range(0, trained, base.lam):
            for half in halves:
                some = half[first : first + base.lam]
                self.drawn.append([space.candidate(space.encode(one)) for one in some])
        counted = [_multiply_adds(supernet, one, base.pixels) for half in halves for one in half]
        self.passed: float | None = base.batch * sum(counted) / self.steps

    def turn(self) -> None:
        self.ours.ready(self.drawn)
        for _ in range(self.steps):
            self.ours.step()


def _multiply_adds(supernet: Supernet, architecture: Architecture, pixels: int) -> float:
    """Return the multiply-adds of a forward pass of one image."""
    example = (images(1, side=pixels)[0],)
    return multiply_adds(supernet.extract(architecture, example=example), example)


class AskTell:
    """ASNG, asked and told.

    Args:
        variables: How many choices among five there are.
    """

    passed = None

    def __init__(self, variables: int) -> None:
        self.steps = max(1, SHORTEST // variables)
        space = Space({f"v{i}": Categorical(range(CHOICES)) for i in range(variables)})
        self.optimizer = ASNG(space, lam=LAM, seed=SEED)

    def turn(self) -> None:
        losses = [float(i) for i in range(LAM)]
        for _ in range(self.steps):
            self.optimizer.tell(self.optimizer.ask(), losses)


@dataclass(frozen=True)
class Axis:
    """One quantity that grows.

    Attributes:
        title: Title in the figure.
        sizes: The measured sizes.
        side: Makes the work at a size, with everything else as in the base.
    """

    title: str
    sizes: Sequence[int]
    side: Callable[[Base, int], Side]


AXES: Mapping[str, Axis] = {
    "candidates": Axis(
        "candidates trained, and scored, a step",
        (2, 4, 8, MOST),
        lambda base, size: Steps(replace(base, lam=size), trained=MOST),
    ),
    "batch": Axis(
        "images of a batch",
        (8, 16, 32, 64),
        lambda base, size: Steps(replace(base, batch=size), trained=base.lam),
    ),
    "cells": Axis(
        "cells", (3, 6, 12, 24), lambda base, size: Steps(replace(base, cells=size), trained=base.lam)
    ),
    "channels": Axis(
        "channels of the first cell",
        (16, 32, 64, 128),
        lambda base, size: Steps(replace(base, channels=size), trained=base.lam),
    ),
    "variables": Axis(
        "variables asked and told", (100, 1_000, 10_000, 100_000, 1_000_000), lambda _, size: AskTell(size)
    ),
}
"""Channels start at a number from which Python's part of a step, equal for all, no longer dominates."""
