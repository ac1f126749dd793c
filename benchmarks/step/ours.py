"""A step of our search with given candidates."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from asng.space import Candidate
from benchmarks.step.spaces import Drawn, Setting

__all__ = ["Ours"]


class Ours:
    """The loop of a search after its warm-up.

    It loads batches, asks theta, tells it and notes the step as in any search without a run folder, but runs
    the candidates that it is given. Once theta has moved, its own draws would differ from what others run.

    Args:
        setting: The space and its settings.

    Attributes:
        of_theta: Seconds spent on asking and telling theta, up to now.
    """

    def __init__(self, setting: Setting) -> None:
        self.supernet = setting.supernet()
        search = setting.search(self.supernet)
        halves = setting.loader(1), setting.loader(2)
        self.loop = ExitStack().enter_context(search.stepping(*halves, epochs=setting.epochs))  # for good
        self.of_theta = 0.0
        self._given: Iterator[Sequence[Candidate]] = iter(())
        theta = self.loop.theta
        self._drawn: Sequence[Candidate] = ()
        self._ask, self._tell = self._timed(theta.ask), self._timed(theta.tell)
        theta.ask, theta.tell = self._next, self._told  # type: ignore[method-assign]

    def ready(self, drawn: Drawn) -> None:
        """Take the candidates of the next turn."""
        self._given = iter(drawn)

    def step(self) -> tuple[float, float | None]:
        """Take a step; return the training loss and the mean of the scores."""
        loss, objective = self.loop.one_step()
        self.loop.log_step(loss, objective)
        return loss, objective

    def _next(self, count: int) -> Sequence[Candidate]:
        self._drawn = self._ask(count)
        return next(self._given)

    def _told(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Tell theta the losses of its own draws, as a search does: for foreign ones it would check more."""
        pairs = zip(self._drawn, candidates, strict=True)
        self._tell([own.with_active(run.active) for own, run in pairs], losses)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            start = time.process_time()
            result = function(*args)
            self.of_theta += time.process_time() - start
            return result

        return timed
