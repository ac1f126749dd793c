"""Training what was found, and its random peers, from scratch."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asng.distributed import joined
from asng.errors import RunError, SpaceError, in_one_line
from asng.pipeline.begin import Job
from asng.pipeline.prepare import prepare
from asng.pipeline.settings import SearchSettings
from asng.pipeline.task import Loaders, Task
from asng.pipeline.train_alone import Trained, train_from_scratch
from asng.runs.folder import ARCHITECTURE, CHILD, PICTURES, RESULT, write_config
from asng.runs.results import write_result
from asng.runs.stored import read_json, write_json
from asng.space import Architecture, Space
from asng.training import save_child
from asng.training.signals import graceful

__all__ = ["read_architecture", "retrain_run", "train_all"]


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
        job = Job(task, settings, folder, seed, comm, progress)
        architecture = read_architecture(folder)
        result = comm.once(lambda: read_json(folder / RESULT))
        ready = prepare(task, settings, seed)
        space = ready.supernet.space
        space.check(architecture)

        def begin() -> None:
            for part in (CHILD, PICTURES):  # of the settings that are replaced
                (folder / part).unlink(missing_ok=True)
            write_config(folder, job.config())
            write_result(folder, {**result, "found": None, "random": []})

        with job.held():
            comm.once(begin)
            train_all(job, ready.loaders, space)
    return folder


def read_architecture(folder: Path) -> Architecture:
    """Return the found architecture of a run.

    Raises:
        RunError: The search has not ended, or the file is damaged.
    """
    path = folder / ARCHITECTURE
    if not path.exists():
        raise RunError(f"{path}: expected what a finished search found, got no such file.")
    try:
        return Architecture.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SpaceError) as error:
        raise RunError(f"{path}: {in_one_line(error)}.") from error


def train_all(job: Job, loaders: Loaders, space: Space) -> None:
    """Train the found architecture and its peers, as far as result.json does not have them.

    Each process trains another of them, and all are waited for before the next ones.
    """
    task, settings, folder, comm = job.task, job.settings, job.folder, job.comm
    if settings.retrain_epochs == 0:
        return
    result = comm.once(lambda: read_json(folder / RESULT))
    draw = random.Random(job.seed)  # whatever the seed of training: the same peers
    first = job.seed if settings.retrain_seed is None else settings.retrain_seed
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
                progress=job.progress and comm.leads,
                keep_going=interrupt.go_on,
            )
            if number == 0:
                save_child(folder / CHILD, trained.network, trained.architecture)
                if task.pictures is not None:
                    write_json(folder / PICTURES, task.pictures(trained.network, loaders))
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
