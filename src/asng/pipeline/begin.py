"""The description of a run, and the checks that it may begin in its folder."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asng.distributed import Comm
from asng.errors import RunError
from asng.pipeline.task import Task
from asng.runs.config import defaults_of
from asng.runs.folder import CONFIG, read_config, refuse_earlier_run
from asng.runs.locks import held
from asng.search import Callback
from asng.settings import SearchSettings

__all__ = ["Job", "check_begin", "check_data", "check_free", "check_seed"]


@dataclass(frozen=True)
class Job:
    """All that defines the run in one folder, by one process or several.

    Attributes:
        task: The task to search a network for.
        settings: The settings of search and retraining.
        folder: The run folder.
        seed: The seed of everything random.
        comm: The processes that share the work.
        progress: Whether to show progress bars.
        callbacks: The callbacks of the search.
    """

    task: Task
    settings: SearchSettings
    folder: Path
    seed: int
    comm: Comm
    progress: bool
    callbacks: tuple[Callback, ...] = ()

    def held(self) -> AbstractContextManager[None]:
        """Lock the folder against other runs; only the leading process holds the lock."""
        return held(self.folder) if self.comm.leads else nullcontext()

    def config(self) -> dict[str, Any]:
        """Return the content of config.yaml."""
        return {
            "task": self.task.name,
            "data": self.task.data,
            "fingerprint": self.task.fingerprint,
            "seed": self.seed,
            "network": dict(self.task.settings),
            "search": asdict(self.settings),
            **({"callbacks": self._callback_names()} if self.callbacks else {}),
            "defaults": {
                **({} if self.seed == 0 else {"seed": 0}),
                "network": dict(self.task.defaults),
                "search": defaults_of(self.settings),
            },
        }

    def check_callbacks(self) -> None:
        """Refuse to resume a run with other callbacks, because its checkpoint holds their states.

        Raises:
            RunError: The folder's config.yaml names other callbacks.
        """
        begun = (read_config(self.folder) if (self.folder / CONFIG).exists() else {}).get("callbacks") or []
        if begun != self._callback_names():
            raise RunError(
                f"{self.folder}: expected the callbacks that the run was started with, {begun!r:.200}, got "
                f"{self._callback_names()}. Give the same by --callback."
            )

    def _callback_names(self) -> list[str]:
        return [type(one).__name__ for one in self.callbacks]


def check_begin(task: Task, folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that contains a run, unless it is to be resumed on the same data or overwritten.

    Raises:
        RunError: The folder contains a run that is neither resumed nor overwritten, or that is to be resumed
            on other data.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    if resume:
        check_data(task, folder)


def check_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that contains a run, unless it is to be resumed or overwritten.

    Raises:
        RunError: The folder contains a run.
    """
    if not resume and not overwrite:
        refuse_earlier_run(folder)


def check_data(task: Task, folder: Path) -> None:
    """Refuse to resume a run whose data have changed.

    Raises:
        RunError: The fingerprint of the data differs from that in the folder's config.yaml.
    """
    begun = read_config(folder).get("fingerprint") if (folder / CONFIG).exists() else None
    if None not in (begun, task.fingerprint) and begun != task.fingerprint:
        raise RunError(
            f"{folder}: expected the data that the run was started on, with fingerprint {begun}, got "
            f"{task.fingerprint} ({task.data}). Restore that data, or start again in another --run-dir."
        )


def check_seed(folder: Path, seed: int) -> None:
    """Refuse to resume a run with another seed: its data split and its peers would differ.

    Raises:
        RunError: The folder's config.yaml has another seed.
    """
    begun = read_config(folder).get("seed", seed) if (folder / CONFIG).exists() else seed
    if begun != seed:
        raise RunError(
            f"{folder}: expected a run of seed {seed}, got one of seed {begun!r:.80}. Resume it with its own "
            "seed."
        )
