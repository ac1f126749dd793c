"""The road from a task to a report: search, score, retrain, compare with chance, write it all down."""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from asng.distributed import Comm, joined
from asng.errors import RunError, SpaceError, in_one_line
from asng.files import read_json, write_json
from asng.locks import held
from asng.nn import Supernet
from asng.optim import ASNG
from asng.search import OneShotSearch, SearchResult, StopRule, save_child, score, sgd
from asng.search.interrupt import graceful
from asng.space import Architecture, Space
from asng.tasks.preparing import Prepared, prepare
from asng.tasks.run_folder import clear, holds_run, read_config, write_config
from asng.tasks.scores import RESULT, write_result
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Loaders, Task
from asng.tasks.training import Trained, train_from_scratch

__all__ = ["one_shot_search", "retrain_run", "run_task"]


def run_task(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Search a network for a task, train it and its random peers, and write the report.

    Each stage is on the disk when the next begins, so that a resumed run repeats none.

    Args:
        task: What to search for.
        settings: How.
        run_dir: The run folder.
        seed: Seed of the data split, the weights, theta, and the peers.
        resume: Go on with the run in the folder; where it had not come to a checkpoint, begin again.
        overwrite: Remove an earlier run from the folder first.
        progress: Show progress bars.

    Returns:
        The run folder.

    Raises:
        RunError: The folder holds an earlier run and neither `resume` nor `overwrite` was given, or it
            cannot be written.
        InputError: The data, the model or the loss are not what they must be; nothing was written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; what was reached is on the disk.
    """
    folder = Path(run_dir)
    with joined() as comm:
        comm.once(lambda: check_begin(task, folder, resume=resume, overwrite=overwrite))
        ready = prepare(task, settings, seed)
        flags = {"resume": resume, "overwrite": overwrite, "progress": progress}
        with held_by_one(comm, folder):
            # Another run may have come in between.
            comm.once(lambda: check_free(folder, resume=resume, overwrite=overwrite))
            return run_prepared(task, settings, folder, ready, seed=seed, comm=comm, **flags)


def held_by_one(comm: Comm, folder: Path) -> AbstractContextManager[None]:
    """Have the process that leads hold the folder against other runs."""
    return held(folder) if comm.leads else nullcontext()


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
    if not resume and not overwrite and holds_run(folder):
        raise RunError(
            f"{folder}: holds an earlier run. Go on with it by --resume, replace it by --overwrite, or choose"
            " another --run-dir."
        )


def check_data(task: Task, folder: Path) -> None:
    """Refuse to go on with a run whose data are no longer what they were.

    Raises:
        RunError: Their fingerprint is another than that in the folder's config.yaml.
    """
    begun = read_config(folder).get("fingerprint") if (folder / "config.yaml").exists() else None
    if None not in (begun, task.fingerprint) and begun != task.fingerprint:
        raise RunError(
            f"{folder}: expected the data that the run was begun on, of fingerprint {begun}, got "
            f"{task.fingerprint} ({task.data}). Put those back, or begin anew in another --run-dir."
        )


def check_seed(folder: Path, seed: int) -> None:
    """Refuse to go on with a run from another seed: its split and its peers would be others.

    Raises:
        RunError: The folder's config.yaml has another one.
    """
    begun = read_config(folder).get("seed", seed) if (folder / "config.yaml").exists() else seed
    if begun != seed:
        raise RunError(
            f"{folder}: expected a run of seed {seed}, got one of seed {begun!r:.80}. Resume it with its own."
        )


def run_prepared(
    task: Task,
    settings: SearchSettings,
    folder: Path,
    ready: Prepared,
    *,
    seed: int,
    resume: bool,
    overwrite: bool,
    progress: bool,
    comm: Comm,
) -> Path:
    """Do what `run_task` says, with data and supernet that are at hand."""

    def begin() -> bool:
        if resume:
            check_seed(folder, seed)
        elif overwrite:
            clear(folder)
        write_config(folder, config_of(task, settings, seed))
        return resume and any(folder.glob("checkpoint*.pt"))

    resumable = comm.once(begin)
    found = _search(task, settings, ready, folder, seed=seed, resume=resumable, progress=progress)

    def write_down() -> None:
        if task.graphs is not None:
            write_json(folder / "graphs.json", task.graphs(found.architecture))
        if not (folder / RESULT).exists():
            write_result(folder, _first_result(task, found, ready.loaders, seed))

    comm.once(write_down)
    space = ready.supernet.space
    _train_all(task, settings, ready.loaders, folder, seed=seed, space=space, progress=progress, comm=comm)
    return folder


def retrain_run(
    task: Task, settings: SearchSettings, run_dir: str | Path, *, seed: int = 0, progress: bool = True
) -> Path:
    """Train the architecture of a finished search, and its random peers, anew with other settings.

    The old scores and the old child are replaced; stopped early, it is gone on with as a search is. The seed
    says which peers, and `settings.retrain_seed` where training begins.

    Raises:
        RunError: The folder has no found architecture.
        SpaceError: The architecture is none of this task.
    """
    folder = Path(run_dir)
    with joined() as comm:
        architecture = read_architecture(folder)
        result = comm.once(lambda: read_json(folder / RESULT))
        ready = prepare(task, settings, seed)
        space = ready.supernet.space
        space.check(architecture)

        def begin() -> None:
            for part in ("child.pt", "pictures.json"):  # of the settings that are replaced
                (folder / part).unlink(missing_ok=True)
            write_config(folder, config_of(task, settings, seed))
            write_result(folder, {**result, "found": None, "random": []})

        with held_by_one(comm, folder):
            comm.once(begin)
            loaders = ready.loaders
            _train_all(task, settings, loaders, folder, seed=seed, space=space, progress=progress, comm=comm)
    return folder


def read_architecture(folder: Path) -> Architecture:
    """Return the found architecture of a run.

    Raises:
        RunError: The search has not ended, or the file is damaged.
    """
    path = folder / "architecture.json"
    if not path.exists():
        raise RunError(f"{path}: expected what a finished search found, got no such file.")
    try:
        return Architecture.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SpaceError) as error:
        raise RunError(f"{path}: {in_one_line(error)}.") from error


def config_of(task: Task, settings: SearchSettings, seed: int) -> dict[str, Any]:
    """Return what config.yaml holds."""
    return {
        "task": task.name,
        "data": task.data,
        "fingerprint": task.fingerprint,
        "seed": seed,
        "network": dict(task.settings),
        "search": asdict(settings),
    }


def _search(
    task: Task,
    settings: SearchSettings,
    ready: Prepared,
    folder: Path,
    *,
    seed: int,
    resume: bool,
    progress: bool,
) -> SearchResult:
    return one_shot_search(task, settings, ready.supernet, seed).fit(
        ready.loaders.search_train,
        ready.loaders.search_valid,
        epochs=settings.epochs,
        run_dir=folder,
        resume=resume,
        overwrite=True,  # the folder was looked at before
        progress=progress,
    )


def one_shot_search(task: Task, settings: SearchSettings, supernet: Supernet, seed: int) -> OneShotSearch:
    """Return the search of a task, not yet begun."""
    paper = (
        ASNG.paper(supernet.space, lam=settings.lam_theta, seed=seed) if settings.update == "paper" else None
    )
    return OneShotSearch(
        supernet,
        loss=task.loss,
        minimize=task.minimize,
        maximize=task.maximize,
        optimizer=partial(sgd, learning_rate=settings.learning_rate, weight_decay=task.weight_decay),
        architecture_optimizer=paper,
        lam_x=settings.lam_x,
        lam_theta=settings.lam_theta,
        warmup=settings.warmup,
        final=settings.final,
        finalists=settings.finalists,
        precision=settings.precision,
        stop=StopRule(entropy=settings.stop_entropy, patience=settings.patience),
        checkpoint_seconds=settings.checkpoint_seconds,
        checkpoint_steps=settings.checkpoint_steps,
        seed=seed,
    )


def _first_result(task: Task, found: SearchResult, loaders: Loaders, seed: int) -> dict[str, Any]:
    return {
        "metric": task.metric_on(loaders),
        "higher_is_better": task.higher_is_better,
        "seed": seed,
        "steps": found.steps,
        "search_seconds": round(found.seconds, 1),
        "reason": found.reason,
        "inherited": score(found.inherited(), loaders.test, task.score),
        "found": None,
        "random": [],
    }


def _train_all(
    task: Task,
    settings: SearchSettings,
    loaders: Loaders,
    folder: Path,
    *,
    seed: int,
    space: Space,
    progress: bool,
    comm: Comm,
) -> None:
    """Train the found architecture and its peers, as far as result.json does not have them.

    Each process trains another of them, and all are waited for before the next ones.
    """
    if settings.retrain_epochs == 0:
        return
    result = comm.once(lambda: read_json(folder / RESULT))
    draw = random.Random(seed)  # whatever the seed of training: the same peers
    first = seed if settings.retrain_seed is None else settings.retrain_seed
    found = Architecture.from_json(comm.once(lambda: read_architecture(folder).to_json()))
    networks = [found, *(space.sample(draw) for _ in range(settings.peers))]
    titles = ["train found", *(f"train random {n + 1} of {settings.peers}" for n in range(settings.peers))]
    with graceful() as interrupt:

        def train_one(number: int) -> Trained:
            trained = train_from_scratch(
                task,
                settings,
                networks[number],
                loaders=loaders,
                seed=_seed_of(first, number),
                title=titles[number],
                progress=progress and comm.leads,
                keep_going=interrupt.go_on,
            )
            if number == 0:
                save_child(folder / "child.pt", trained.network, trained.architecture)
                if task.pictures is not None:
                    write_json(folder / "pictures.json", task.pictures(trained.network, loaders))
            return trained

        def train_these(numbers: Sequence[int]) -> list[dict[str, Any]]:
            return comm.deal(len(numbers), lambda i: train_one(numbers[i]), Trained.to_json)

        left = [0] if result["found"] is None else []
        left += range(1 + len(result["random"]), len(networks))
        for start in range(0, len(left), comm.size):
            together = left[start : start + comm.size]
            for number, trained in zip(together, train_these(together), strict=True):
                if number == 0:
                    result["found"] = trained
                else:
                    result["random"].append(trained)
            if comm.leads:
                write_result(folder, result)


def _seed_of(seed: int, network: int) -> int:
    """A seed for each network of a run: none shares its first weights or its batches with another."""
    return 1_000 * seed + network
