"""Log a search to any experiment-tracking tool: names of the metrics, when they are written, and errors.

The callback for a tool derives from `SearchLogger` and has four methods: open a run, write numbers, write a
text, and close the run.
"""

import json
import math
import sys
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from asng.checks import integer_at_least, nearest
from asng.errors import InputError, in_one_line
from asng.search import Callback, Loop, SearchResult

if TYPE_CHECKING:
    from asng.search.finalists import Finalist

__all__ = ["SearchLogger", "Status"]

Status: TypeAlias = Literal["finished", "failed", "interrupted"]
"""How a run ended."""

_MOST_VARIABLES = 100
"""Number of variables whose theta is written by default: tools slow down with thousands of curves."""
_WRITES_OF_THETA = 150
"""Writes of theta per search, as many as in its log: theta moves little in one step."""
_REST = 50.0
"""After an error, writing pauses for this many times as long as it took: some 2 % of the time is lost."""
_LEAST_REST = 10.0
"""Minimum length of that pause, in seconds."""


class SearchLogger(Callback):
    """Writes a search to an experiment-tracking tool; derive from it to support a tool of your own.

    It writes these metrics, each at its step:

    - `train/loss`, `train/learning_rate`, `asng/objective`, `asng/entropy`, `asng/delta` and
      `time/step_seconds`, the mean since the last write;
    - for each categorical variable `theta/NAME/max_probability` and `theta/NAME/entropy`, from 0 to 1; for an
      ordered one `theta/NAME/mean` and `theta/NAME/std`, in its own units, or the median and the factor of
      spread on a log scale. About 150 times per search;
    - the likeliest architecture, as JSON, in the text `architecture/likeliest`;
    - after the final, the table `finalists`;
    - at the end `result/steps`, `result/seconds`, `result/score`, `result/cost/NAME` for each cost, and the
      text `architecture/found`.

    Values that are not finite are left out. With several processes, only the first one writes.

    **Errors.** If the run cannot be opened, the search ends before its first checkpoint, or after its first
    step if it has no run folder. A later error does not end the search: a warning reports the first one, and
    writing is tried again after a while. Values from the meantime are lost.

    **Resume.** The name of the run is in the checkpoint of the search. A resumed search continues that run.

    Args:
        every: Steps from one write of numbers to the next, at least 1.
        variables: Variables whose theta is written. Default: the first 100 of the space.

    Raises:
        InputError: `every` is not an integer of at least 1. At the start of a search: the space lacks one of
            `variables`.

    Example:
        >>> import asng, torch
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> class Printed(SearchLogger):
        ...     def open(self, run, config, step):
        ...         return "the only one"
        ...     def numbers(self, values, step):
        ...         if "train/loss" not in values and "result/steps" in values:
        ...             print(step, sorted(values))
        ...     def text(self, name, text, step):
        ...         pass
        ...     def shut(self, status):
        ...         print(status)
        >>> op = asng.nn.Choice({"a": torch.nn.Linear(2, 1), "b": torch.nn.Linear(2, 1)}, label="op")
        >>> loss = asng.supervised(torch.nn.functional.mse_loss)
        >>> x = torch.randn(32, 2)
        >>> loader = DataLoader(TensorDataset(x, x[:, :1]), batch_size=8)
        >>> search = asng.OneShotSearch(asng.nn.Supernet(op), loss, final=0.0, callbacks=[Printed()])
        >>> result = search.fit(loader, epochs=2, progress=False)
        4 ['result/seconds', 'result/steps']
        finished
    """

    def __init__(self, *, every: int = 1, variables: Sequence[str] | None = None) -> None:
        self.every = integer_at_least("every", every, 1)
        self.variables = variables
        self._forget()

    def _forget(self) -> None:
        """Reset the state, as for a first search."""
        self._run: str | None = None
        self._open = self._warned = self._ended = False
        self._silent_until = -math.inf
        self._since: tuple[float, int] = (time.perf_counter(), 0)
        self._rate = math.nan

    # --- what a tool's callback has ---------------------------------------------------------------------

    @abstractmethod
    def open(self, run: str | None, config: Mapping[str, Any], step: int) -> str:
        """Open a new run, or reopen the one of that name, and return its name.

        Args:
            run: The name that `open` returned before the search was interrupted; None for a new run.
            config: The settings of the search: plain values by name.
            step: How many steps were taken before.
        """

    @abstractmethod
    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Write finite numbers by name."""

    @abstractmethod
    def text(self, name: str, text: str, step: int) -> None:
        """Write a text, in Markdown; a later one of that name replaces it."""

    @abstractmethod
    def shut(self, status: Status) -> None:
        """Write everything that is pending and close the run; called once if `open` was called."""

    # --- what the search tells --------------------------------------------------------------------------

    def begin(self, loop: Loop) -> None:
        """Start afresh; the run is opened once it is known whether the search is resumed."""
        super().begin(loop)
        space, names = loop.theta.space, self.variables or ()
        unknown = [names] if isinstance(names, str) else [name for name in names if name not in space]
        if unknown:
            raise InputError(
                f"variables: expected names of variables of the space, got {unknown[0]!r}."
                f"{nearest(unknown[0], space)}"
            )
        self._forget()

    def gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the learning rate of the step."""
        self._rate = float(optimizer.param_groups[0]["lr"])

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """Write the metrics of a step."""
        if not self._opened():
            return
        theta, steps = self.loop.theta, self.loop.state.steps
        last = number == steps or self.loop.state.reason is not None
        if number % self.every == 0 or last:
            (then, before), now = self._since, time.perf_counter()
            self._since = (now, number)
            self._write(
                {
                    "train/loss": loss,
                    "train/learning_rate": self._rate,
                    "asng/objective": objective,
                    "asng/entropy": theta.entropy,
                    "asng/delta": theta.delta,
                    "time/step_seconds": (now - then) / max(1, number - before),
                },
                number,
            )
        if number % max(1, steps // _WRITES_OF_THETA) == 0 or last:
            self._write(self._theta(), number)
            self._say("architecture/likeliest", _code(theta.best.to_json()), number)

    def final(self, finalists: "Sequence[Finalist]") -> None:
        """Write the table of finalists so far."""
        if self._opened():
            self._say("finalists", _table(self.loop.final.finalists), self.loop.state.step)

    def end(self, result: SearchResult) -> None:
        """Write what was found."""
        if not self._opened():
            return
        found = [one for one in result.finalists if one.architecture == result.architecture]
        scores = [one.alone if one.longer is None else one.longer for one in found]
        values = {"steps": result.steps, "seconds": result.seconds, "score": scores[0] if scores else None}
        values |= {f"cost/{name}": value for name, value in result.cost.items()}
        self._write({f"result/{name}": value for name, value in values.items()}, result.steps)
        self._say("architecture/found", _code(result.architecture.to_json()), result.steps)
        self._ended = True

    def close(self) -> None:
        """Close the tool's run, however the search ended."""
        if not self._open:
            return
        stopped = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        status: Status = "finished" if self._ended else "interrupted" if stopped else "failed"
        self._silent_until, self._open = -math.inf, False
        self._safely(lambda: self.shut(status))

    def state_dict(self) -> dict[str, Any]:
        """Return the name of the run; open it if needed, so that a search killed at once can resume it."""
        self._opened()
        return {"run": self._run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reopen the earlier run."""
        self._run, self._since = state["run"], (time.perf_counter(), self.loop.state.step)
        self._opened()

    # --- how --------------------------------------------------------------------------------------------

    def _opened(self) -> bool:
        """Open the run if it is not open, and return whether this process writes."""
        if not self._open and self.loop.comm.leads:
            taken = 0 if self._run is None else self.loop.state.step  # a new run may open with the first step
            self._run = self.open(self._run, self._config(), taken)
            self._open = True
        return self._open

    def _config(self) -> dict[str, Any]:
        loop = self.loop
        folder = {} if loop.folder is None else {"run_dir": loop.folder.name}
        space = {name: variable.to_json() for name, variable in loop.theta.space.items()}
        return folder | {
            "seed": loop.seed,
            "steps": loop.state.steps,
            "lam_x": loop.state.lam_x,
            "lam_theta": loop.lam_theta,
            "processes": loop.comm.size,
            "select": loop.scorer.name,
            "n_theta": loop.theta.n_theta,
            "optimizer": type(loop.trainer.optimizer).__name__,
            "space": json.dumps(space),
        }

    def _theta(self) -> dict[str, float | None]:
        """Return the metrics of theta by name."""
        space, theta = self.loop.theta.space, self.loop.theta.theta
        names = list(space)[:_MOST_VARIABLES] if self.variables is None else self.variables
        values: dict[str, float | None] = {}
        for name in names:
            value = theta[name]
            if isinstance(value, tuple):
                log = getattr(space[name], "log", False)
                mean, std = (math.exp(part) for part in value) if log else value
                values |= {f"theta/{name}/mean": mean, f"theta/{name}/std": std}
            else:
                values |= {
                    f"theta/{name}/max_probability": float(value.max()),
                    f"theta/{name}/entropy": _entropy(value),
                }
        return values

    def _write(self, values: Mapping[str, float | None], step: int) -> None:
        finite = {name: float(x) for name, x in values.items() if x is not None and math.isfinite(x)}
        self._safely(lambda: self.numbers(finite, step))

    def _say(self, name: str, text: str, step: int) -> None:
        self._safely(lambda: self.text(name, text, step))

    def _safely(self, write: Callable[[], None]) -> None:
        """Write; warn of the first error, and pause after each."""
        began = time.monotonic()
        if began < self._silent_until:
            return
        try:
            write()
        except Exception as error:  # whatever a tool raises: a search of hours is worth more than its curves
            took = time.monotonic() - began
            self._silent_until = began + took + max(_LEAST_REST, _REST * took)
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{type(self).__name__}: cannot write: {type(error).__name__}: {in_one_line(error)}. "
                    "The search continues. Writing is tried again from time to time; values in between are "
                    "missing there, but are in the run folder.",
                    stacklevel=3,
                )


def _entropy(p: Any) -> float:
    """Return the entropy of probabilities relative to the uniform distribution; 0 for a single choice."""
    if len(p) < 2:
        return 0.0
    positive = p[p > 0]
    return float(-(positive * np.log(positive)).sum() / math.log(len(p)))


def _code(text: str) -> str:
    return f"```json\n{text}\n```"


def _table(finalists: "Sequence[Finalist]") -> str:
    """Return the finalists as a Markdown table."""
    lines = ["| origin | shared weights | alone | longer | architecture |", "| --- | --- | --- | --- | --- |"]
    for one in finalists:
        scores = " | ".join("" if x is None else f"{x:.6g}" for x in (one.shared, one.alone, one.longer))
        text = json.dumps(dict(one.architecture)).replace("|", "\\|")
        lines.append(f"| {one.road} | {scores} | `{text}` |")
    return "\n".join(lines)
