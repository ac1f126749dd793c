"""A search in MLflow."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from asng.checks import require
from asng.integrations.loggers import SearchLogger, Status

__all__ = ["MlflowCallback"]

_MOST_AT_ONCE = 1000
"""Metrics in one call, of MLflow's own."""
_LONGEST = 500
"""Letters of a parameter, which older servers refuse beyond it."""
_LONGEST_TAG = 5000
"""Letters of a tag, likewise."""
_ENDS: Mapping[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowCallback(SearchLogger):
    """Writes a search as a run of MLflow. `SearchLogger` says what, and what errors do.

    Numbers are metrics, settings are parameters, and texts are tags, with a dot for a slash in their names.
    Other runs of the process, and `mlflow.active_run()`, are left alone. A resumed search continues its run.

    Args:
        experiment: Its name; made if there is none.
        tracking_uri: Where runs are kept: a database as "sqlite:///mlflow.db", or a server. Default: what
            MLflow is set to.
        name: Of the run. Default: MLflow makes one up.
        every: Write numbers every so many steps, at least 1. Each time is one call of the server.
        variables: Whose theta is written. Default: the first 100 of the space.

    Raises:
        RunError: The extra `mlflow` is not installed.
        InputError: `every` is no integer of at least 1.

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

    def open(self, run: str | None, config: Mapping[str, Any], step: int) -> str:
        """Make a run, or take one up again, and return its id."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = client = MlflowClient(tracking_uri=self.tracking_uri)
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
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        for first in range(0, len(metrics), _MOST_AT_ONCE):
            self._client.log_batch(self._id, metrics=metrics[first : first + _MOST_AT_ONCE])

    def text(self, name: str, text: str, step: int) -> None:
        """Write a tag."""
        self._client.set_tag(self._id, name.replace("/", "."), text[:_LONGEST_TAG])

    def shut(self, status: Status) -> None:
        """End the run."""
        self._client.set_terminated(self._id, status=_ENDS[status])
