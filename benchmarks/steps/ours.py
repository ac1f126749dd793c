"""A step of our search, told what to draw."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from asng.distributed import LocalComm
from asng.search import batch_statistics
from asng.search.loop import Loop
from asng.space import Candidate, Space
from steps.spaces import Setting

__all__ = ["Drawn", "Ours", "drawn_from"]

Drawn = Sequence[Sequence[Candidate]]
"""What the steps of a turn train and score, by turns."""


class Ours:
    """The loop of a search past its warm-up.

    It loads batches, asks theta and tells it as in any search, but runs what it is given: what theta would
    draw, once it has moved, is not what others are measured on.

    Args:
        setting: The space and its settings.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        search = setting.search(setting.supernet())
        norms = ExitStack().enter_context(batch_statistics(search.supernet))
        halves = setting.loader(1), setting.loader(2)
        self.loop = Loop(search, *halves, epochs=setting.epochs, folder=None, norms=norms, comm=LocalComm())
        self.loop.first_theta_step = 0
        self._ask = self.loop.theta.ask
        self._given: Iterator[Sequence[Candidate]] = iter(())
        self.loop.theta.ask = self._next  # type: ignore[method-assign]

    def ready(self, drawn: Drawn) -> None:
        """Take what the next turn runs."""
        self._given = iter(drawn)

    def step(self) -> Any:
        """Take a step."""
        return self.loop.one_step()

    def _next(self, count: int) -> Sequence[Candidate]:
        self._ask(count)
        return next(self._given)


def drawn_from(space: Space, setting: Setting, generator: random.Random) -> Drawn:
    """Return what the steps of a turn run, drawn uniformly: what is trained and what is scored, by turns."""
    return [
        [space.candidate(space.encode(space.sample(generator))) for _ in range(lam)]
        for _ in range(setting.steps)
        for lam in setting.lams
    ]
