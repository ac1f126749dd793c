"""Repeat the same search with several seeds, and tabulate the scores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from asng.checks import as_path
from asng.distributed import joined
from asng.pipeline.begin import Job, check_begin, check_free
from asng.pipeline.prepare import Prepared, prepare
from asng.pipeline.run import run_prepared
from asng.pipeline.task import Task
from asng.runs.folder import refuse_link, remove_halves, remove_run, seed_folder, write_config
from asng.runs.results import write_summary
from asng.search import Callback
from asng.settings import SearchSettings

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
    callbacks: Callable[[Path], Sequence[Callback]] | None = None,
) -> Path:
    """Run a task once for each seed, each in a folder `seed-<n>` of its own, and write `summary.json`.

    Args:
        task: The task to search a network for.
        settings: The settings of search and retraining.
        run_dir: The folder that contains all of the runs.
        seeds: One seed or more, all different.
        resume: Continue where it stopped; finished seeds are not repeated.
        overwrite: Remove an earlier run first.
        progress: Show progress bars.
        callbacks: Makes the callbacks of each search from its folder. A resumed run needs the same.

    Returns:
        The folder that contains all of the runs.

    Raises:
        RunError: As for `run_task`; or the folder of a seed is a link.
    """
    folder = as_path("run_dir", run_dir)
    homes: dict[int, Path] = {}
    with joined() as comm:
        whole = Job(task, settings, folder, seeds[0], comm, progress)

        def check() -> None:
            check_begin(task, folder, resume=resume, overwrite=overwrite)
            for seed in seeds:
                refuse_link(seed_folder(folder, seed))

        def begin() -> None:
            # Another run may have started in the folder since the first check.
            check_free(folder, resume=resume, overwrite=overwrite)
            if resume:
                remove_halves(folder)
            elif overwrite:
                remove_run(folder)
            write_config(folder, {**whole.config(), "seeds": list(seeds)})

        comm.once(check)
        ready: Prepared | None = prepare(task, settings, seeds[0])
        with whole.held():
            comm.once(begin)
            for seed in seeds:
                home = seed_folder(folder, seed)
                made = tuple(callbacks(home)) if callbacks else ()
                job = replace(whole, folder=home, seed=seed, callbacks=made)
                prepared, ready = ready or prepare(task, settings, seed), None
                with job.held():
                    run_prepared(job, prepared, resume=resume, overwrite=overwrite)
                homes[seed] = job.folder
                comm.once(lambda: write_summary(folder, homes, higher_is_better=task.higher_is_better))
    return folder
