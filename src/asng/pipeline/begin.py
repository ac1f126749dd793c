"""A run that is to be done: what it is, and whether it may begin in its folder."""

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
    """What is done in one run folder, by one process or several.

    Attributes:
        task: What to search for.
        settings: How.
        folder: The run folder.
        seed: Of all that is random.
        comm: The processes that do it together.
        progress: Whether to show progress bars.
        callbacks: Of the search.
    """

    task: Task
    settings: SearchSettings
    folder: Path
    seed: int
    comm: Comm
    progress: bool
    callbacks: tuple[Callback, ...] = ()

    def held(self) -> AbstractContextManager[None]:
        """Have the process that leads hold the folder against other runs."""
        return held(self.folder) if self.comm.leads else nullcontext()

    def config(self) -> dict[str, Any]:
        """Return what config.yaml holds."""
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
        """Refuse to continue a run that was begun with other callbacks, whose states its checkpoint has.

        Raises:
            RunError: The folder's config.yaml names others.
        """
        begun = (read_config(self.folder) if (self.folder / CONFIG).exists() else {}).get("callbacks") or []
        if begun != self._callback_names():
            raise RunError(
                f"{self.folder}: expected the callbacks that the run was begun with, {begun!r:.200}, got "
                f"{self._callback_names()}. Give the same by --callback."
            )

    def _callback_names(self) -> list[str]:
        return [type(one).__name__ for one in self.callbacks]


def check_begin(task: Task, folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds a run, unless told what to do with it, and one of other data.

    Raises:
        RunError: It holds one, or that of other data.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    if resume:
        check_data(task, folder)


def check_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds a run, unless told what to do with it.

    Raises:
        RunError: It holds one.
    """
    if not resume and not overwrite:
        refuse_earlier_run(folder)


def check_data(task: Task, folder: Path) -> None:
    """Refuse to continue a run whose data are no longer what they were.

    Raises:
        RunError: Their fingerprint is another than that in the folder's config.yaml.
    """
    begun = read_config(folder).get("fingerprint") if (folder / CONFIG).exists() else None
    if None not in (begun, task.fingerprint) and begun != task.fingerprint:
        raise RunError(
            f"{folder}: expected the data that the run was begun on, of fingerprint {begun}, got "
            f"{task.fingerprint} ({task.data}). Put those back, or begin anew in another --run-dir."
        )


def check_seed(folder: Path, seed: int) -> None:
    """Refuse to continue a run from another seed: its split and its peers would be others.

    Raises:
        RunError: The folder's config.yaml has another one.
    """
    begun = read_config(folder).get("seed", seed) if (folder / CONFIG).exists() else seed
    if begun != seed:
        raise RunError(
            f"{folder}: expected a run of seed {seed}, got one of seed {begun!r:.80}. Resume it with its own."
        )
