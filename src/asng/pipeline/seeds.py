"""The same search over several seeds, and the table of their scores."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asng.distributed import joined
from asng.pipeline.begin import check_begin, check_free, config_of, held_by_one
from asng.pipeline.prepare import Prepared, prepare
from asng.pipeline.run import run_prepared
from asng.pipeline.settings import SearchSettings
from asng.pipeline.task import Task
from asng.runs.folder import remove_run, seed_folder, write_config
from asng.runs.results import write_summary

__all__ = ["run_seeds"]


def run_seeds(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seeds: Sequence[int],
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Run a task once a seed, each in a folder `seed-<n>` of its own, and write `summary.json`.

    Args:
        task: What to search for.
        settings: How.
        run_dir: The folder of all of them.
        seeds: One or more, all different.
        resume: Go on where it stopped; finished seeds are not repeated.
        overwrite: Remove an earlier run first.
        progress: Show progress bars.

    Returns:
        The folder of all.

    Raises:
        RunError: As `run_task`.
    """
    folder = Path(run_dir)
    flags = {"resume": resume, "overwrite": overwrite, "progress": progress}
    homes: dict[int, Path] = {}
    sum_up = partial(write_summary, folder, homes, higher_is_better=task.higher_is_better)

    def begin() -> None:
        if overwrite and not resume:
            remove_run(folder)
        write_config(folder, {**config_of(task, settings, seeds[0]), "seeds": list(seeds)})

    with joined() as comm:
        comm.once(lambda: check_begin(task, folder, resume=resume, overwrite=overwrite))
        ready: Prepared | None = prepare(task, settings, seeds[0])
        with held_by_one(comm, folder):
            # Another run may have come in between.
            comm.once(lambda: check_free(folder, resume=resume, overwrite=overwrite))
            comm.once(begin)
            for seed in seeds:
                home = seed_folder(folder, seed)
                prepared = ready or prepare(task, settings, seed)
                with held_by_one(comm, home):
                    run_prepared(task, settings, home, prepared, seed=seed, comm=comm, **flags)
                ready = None
                homes[seed] = home
                comm.once(sum_up)
    return folder
