"""Log a search to MLflow."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from asng.checks import require
from asng.integrations.loggers import SearchLogger, Status

__all__ = ["MlflowCallback"]

_MOST_AT_ONCE = 1000
"""Metrics per call, a limit of MLflow."""
_SECONDS = 5.0
"""Seconds from one call of the server to the next: a call takes up to 50 ms, longer than many a step."""
_LONGEST = 500
"""Characters of a parameter; older servers refuse longer ones."""
_LONGEST_NAME = 250
"""Characters of a metric's name."""
_LONGEST_TAG = 5000
"""Characters of a tag, likewise."""
_ENDS: Mapping[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowCallback(SearchLogger):
    """Writes a search as an MLflow run; see `SearchLogger` for what it writes and how it handles errors.

    Numbers become metrics, with `_` for signs in their names that MLflow refuses. Settings become parameters,
    and texts become tags, with a dot for a slash in their names. Writes wait for up to five seconds, and go
    to the server in one call. Other runs of the process, and `mlflow.active_run()`, are left alone. A resumed
    search continues its run.

    Args:
        experiment: Name of the experiment; created if there is none.
        tracking_uri: Where runs are stored: a database such as "sqlite:///mlflow.db", or a server. Default:
            as MLflow is configured.
        name: Name of the run. Default: MLflow makes one up.
        every: Steps from one write of numbers to the next, at least 1.
        variables: Variables whose theta is written. Default: the first 100 of the space.

    Raises:
        RunError: The extra `mlflow` is not installed.
        InputError: `every` is not an integer of at least 1.

    Example:
        >>> logger = MlflowCallback("widths", tracking_uri="sqlite:///mlflow.db")
        >>> search = asng.OneShotSearch(supernet, loss, callbacks=[logger])   # doctest: +SKIP
    """

    def __init__(
        self,
        experiment: str = "asng",
        *,
        tracking_uri: str | None = None,
        name: str | None = None,
        every: int = 1,
        variables: Sequence[str] | None = None,
    ) -> None:
        super().__init__(every=every, variables=variables)
        require("mlflow", extra="mlflow")
        self.experiment, self.tracking_uri, self.name = experiment, tracking_uri, name
        self._client: Any = None
        self._id = ""
        self._metrics: list[Any] = []
        self._tags: dict[str, str] = {}
        self._sent = 0.0

    def open(self, run: str | None, config: Mapping[str, Any], step: int) -> str:
        """Create a run, or reopen an earlier one, and return its id."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = client = MlflowClient(tracking_uri=self.tracking_uri)
        self._metrics, self._tags, self._sent = [], {}, time.monotonic()
        if run is None:
            known = client.get_experiment_by_name(self.experiment)
            experiment = client.create_experiment(self.experiment) if known is None else known.experiment_id
            self._id = client.create_run(experiment, run_name=self.name).info.run_id
            params = [Param(name, str(value)[:_LONGEST]) for name, value in config.items()]
            client.log_batch(self._id, params=params)
        else:
            client.update_run(run, status="RUNNING")
            self._id = run
        return self._id

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Write metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._metrics += [Metric(_spelled(name), value, now, step) for name, value in values.items()]
        self._send()

    def text(self, name: str, text: str, step: int) -> None:
        """Write a tag."""
        self._tags[name.replace("/", ".")] = text[:_LONGEST_TAG]
        self._send()

    def shut(self, status: Status) -> None:
        """Send what is pending, and end the run."""
        self._sent = -_SECONDS
        try:
            self._send()
        finally:
            self._client.set_terminated(self._id, status=_ENDS[status])

    def _send(self) -> None:
        """Send what is pending, if it is time."""
        from mlflow.entities import RunTag

        now = time.monotonic()
        if now - self._sent < _SECONDS and len(self._metrics) < _MOST_AT_ONCE:
            return
        self._sent = now
        tags = [RunTag(name, text) for name, text in self._tags.items()]
        while self._metrics or tags:  # what cannot be sent stays pending
            self._client.log_batch(self._id, metrics=self._metrics[:_MOST_AT_ONCE], tags=tags)
            self._metrics, tags = self._metrics[_MOST_AT_ONCE:], []
            self._tags = {}


def _spelled(name: str) -> str:
    """Return a name that MLflow takes as a metric's: it refuses other signs, empty parts, and long ones."""
    name = re.sub(r"[^\w\-. :/]", "_", name).replace("//", "/_/")
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 50]}...{name[-40:]}"
