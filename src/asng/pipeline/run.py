"""The run of a task: search, score, retrain, compare with random networks, and write the results."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asng.checks import as_path
from asng.distributed import joined
from asng.nn import Supernet
from asng.optim import ASNG
from asng.pipeline.begin import Job, check_begin, check_free, check_seed
from asng.pipeline.prepare import Prepared, prepare
from asng.pipeline.retrain import train_all
from asng.pipeline.task import Loaders, Task
from asng.runs.folder import CHECKPOINT, GRAPHS, PREVIOUS, RESULT, remove_halves, remove_run, write_config
from asng.runs.results import write_result
from asng.runs.stored import write_json
from asng.search import Callback, OneShotSearch, SearchResult, StopRule
from asng.settings import SearchSettings
from asng.training import sgd
from asng.training.data.random_state import staged
from asng.training.train import score_and_items

__all__ = ["one_shot_search", "run_prepared", "run_task"]


def run_task(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    callbacks: Callable[[Path], Sequence[Callback]] | None = None,
) -> Path:
    """Search a network for a task, retrain it beside random peers and a baseline, and write the results.

    Each stage is on disk before the next begins, so that a resumed run repeats no finished stage.

    Args:
        task: The task to search a network for.
        settings: The settings of search and retraining.
        run_dir: The run folder.
        seed: Seed of the data split, the weights, theta, and the peers.
        resume: Continue the run in the folder. If it had not reached a checkpoint, start again.
        overwrite: Remove an earlier run from the folder first.
        progress: Show progress bars.
        callbacks: Makes the callbacks of the search from the run folder. A resumed run needs the same.

    Returns:
        The run folder.

    Raises:
        RunError: The folder contains an earlier run and neither `resume` nor `overwrite` was given, or it
            cannot be written.
        InputError: The data, the model or the loss are invalid; nothing was written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the progress so far is on disk.
    """
    folder = as_path("run_dir", run_dir)
    with joined() as comm:
        job = Job(task, settings, folder, seed, comm, progress, tuple(callbacks(folder) if callbacks else ()))
        comm.once(lambda: check_begin(task, folder, resume=resume, overwrite=overwrite))
        ready = prepare(task, settings, seed)
        with job.held():
            # Another run may have started in the folder meanwhile.
            comm.once(lambda: check_free(folder, resume=resume, overwrite=overwrite))
            run_prepared(job, ready, resume=resume, overwrite=overwrite)
    return folder


def run_prepared(job: Job, ready: Prepared, *, resume: bool, overwrite: bool) -> None:
    """Do the work of `run_task` with prepared data and supernet."""
    task, folder = job.task, job.folder

    def begin() -> bool:
        if resume:
            check_seed(folder, job.seed)
            job.check_callbacks()
            remove_halves(folder)
        elif overwrite:
            remove_run(folder)
        write_config(folder, job.config())
        return resume and any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))

    found = one_shot_search(task, job.settings, ready.supernet, job.seed, job.callbacks).fit(
        ready.loaders.search_train,
        ready.loaders.search_valid,
        epochs=job.settings.epochs,
        run_dir=folder,
        resume=job.comm.once(begin),
        overwrite=True,  # the folder was checked before
        progress=job.progress,
    )

    def write_down() -> None:
        if task.graphs is not None:
            write_json(folder / GRAPHS, task.graphs(found.architecture))
        if not (folder / RESULT).exists():
            write_result(folder, _first_result(task, found, ready.loaders, job.seed))

    job.comm.once(write_down)
    train_all(job, ready.loaders, ready.supernet.space)


def one_shot_search(
    task: Task,
    settings: SearchSettings,
    supernet: Supernet,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> OneShotSearch:
    """Build the search of a task without starting it."""
    paper = (
        ASNG.paper(supernet.space, lam=settings.lam_theta, seed=seed) if settings.update == "paper" else None
    )
    return OneShotSearch(
        supernet,
        loss=task.loss,
        minimize=task.minimize,
        maximize=task.maximize,
        optimizer=partial(sgd, learning_rate=settings.learning_rate, weight_decay=task.weight_decay),
        cost=settings.budgets(),
        example=task.example,
        architecture_optimizer=paper,
        lam_x=settings.lam_x,
        lam_theta=settings.lam_theta,
        warmup=settings.warmup,
        final=settings.final,
        finalists=settings.finalists,
        precision=settings.precision,
        compile=settings.compile,
        stop=StopRule(entropy=settings.stop_entropy, patience=settings.patience),
        checkpoint_seconds=settings.checkpoint_seconds,
        checkpoint_steps=settings.checkpoint_steps,
        seed=seed,
        callbacks=callbacks,
    )


def _first_result(task: Task, found: SearchResult, loaders: Loaders, seed: int) -> dict[str, Any]:
    network = found.inherited()
    with staged(seed, "scores", loaders.test):
        inherited, items = score_and_items(network, loaders.test, task.score)
    return {
        "metric": task.metric_on(loaders),
        "higher_is_better": task.higher_is_better,
        "seed": seed,
        "steps": found.steps,
        "search_seconds": round(found.seconds, 1),
        "reason": found.reason,
        # Without a search step, it would be the score of the initial weights.
        "inherited": inherited if found.steps else math.nan,
        "test_items": items,
        "found": None,
        "baseline": None,
        "random": [],
    }
