"""Log a search to Weights & Biases."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from asng.checks import require
from asng.integrations.loggers import SearchLogger, Status

__all__ = ["WandbCallback"]


class WandbCallback(SearchLogger):
    """Writes a search as a W&B run; see `SearchLogger` for what it writes and how it handles errors.

    Curves have the steps of the search as their x axis. A resumed search continues the run by its id. What
    was written after its checkpoint is then drawn twice, because W&B takes nothing back.

    Args:
        project: W&B project. Default: W&B's own default.
        name: Name of the run. Default: W&B makes one up.
        mode: "online", "offline" (`wandb sync` sends it later) or "disabled". Default: as W&B is configured.
        folder: Where W&B puts its folder `wandb`. Default: the current folder.
        init: Further arguments of `wandb.init`, by name.
        every: Steps from one write of numbers to the next, at least 1.
        variables: Variables whose theta is written. Default: the first 100 of the space.

    Raises:
        RunError: The extra `wandb` is not installed.
        InputError: `every` is not an integer of at least 1.

    Example:
        >>> logger = WandbCallback("widths", mode="offline")
        >>> search = asng.OneShotSearch(supernet, loss, callbacks=[logger])   # doctest: +SKIP
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        name: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        folder: str | None = None,
        init: Mapping[str, Any] | None = None,
        every: int = 1,
        variables: Sequence[str] | None = None,
    ) -> None:
        super().__init__(every=every, variables=variables)
        require("wandb", extra="wandb")
        given = {"project": project, "name": name, "mode": mode, "dir": folder}
        self._init = {key: value for key, value in given.items() if value is not None} | dict(init or {})
        self._live: Any = None

    def open(self, run: str | None, config: Mapping[str, Any], step: int) -> str:
        """Open a run, and return its id."""
        import wandb

        again = {} if run is None else {"id": run, "resume": "allow"}
        self._live = wandb.init(config=dict(config), **{"reinit": "create_new"} | self._init | again)
        self._live.define_metric("step", hidden=True)
        self._live.define_metric("*", step_metric="step")
        return str(self._live.id)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Write a line of the history."""
        self._live.log({**values, "step": step})

    def text(self, name: str, text: str, step: int) -> None:
        """Write a text into the summary of the run."""
        self._live.summary[name] = text

    def shut(self, status: Status) -> None:
        """Finish the run."""
        self._live.summary["status"] = status
        self._live.finish(exit_code=0 if status == "finished" else 1)
