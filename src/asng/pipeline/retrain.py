"""Train the found network, its random peers and a baseline from scratch."""

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from asng.checks import MOST_SEED, as_path
from asng.distributed import joined
from asng.errors import InputError, RunError, in_one_line, located
from asng.pipeline.begin import Job
from asng.pipeline.prepare import prepare
from asng.pipeline.task import Loaders, Task
from asng.pipeline.train_alone import Trained, train_from_scratch
from asng.runs.files import writes_into
from asng.runs.folder import ARCHITECTURE, CHILD, LOG, PICTURES, RESULT, remove_halves, write_config
from asng.runs.guarded import read_plain, refuse_excess
from asng.runs.history import read_log
from asng.runs.results import write_result
from asng.runs.stored import read_json, write_json
from asng.settings import SearchSettings
from asng.space import Architecture, Space
from asng.training import save_child
from asng.training.data.random_state import staged
from asng.training.signals import graceful

__all__ = ["begin_again", "read_architecture", "retrain_run", "train_all"]


_FOUND, _BASELINE = 0, -1
"""Numbers of the found network and the baseline; the random peers have the numbers from 1 on."""


def retrain_run(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seed: int = 0,
    progress: bool = True,
    executor: Executor | None = None,
) -> Path:
    """Retrain the architecture of a finished search, its random peers and a baseline with other settings.

    The old scores and the old child are replaced. If the retraining is stopped early, it is resumed as a
    search is. The seed selects the peers; `settings.retrain_seed` seeds the training.

    Args:
        task: The task of the search.
        settings: How to train, and how many peers.
        run_dir: The folder of the search.
        seed: The seed of the run, >= 0.
        progress: Show progress bars; trainings in an executor show none.
        executor: Gets one call for each network, for example `asng.integrations.ray.RayExecutor` or Dask's.
            Each call prepares the data again where it runs. The executor is left open. Default: train here,
            one after the other, or distributed over the processes of torchrun.

    Raises:
        RunError: The folder has no found architecture.
        SpaceError: The architecture does not belong to the space of this task.
        InputError: There are several processes and an executor, or the system cannot look for the folder.
    """
    folder = as_path("run_dir", run_dir, to_read=True)
    with joined() as comm:
        if executor is not None and comm.size > 1:
            raise InputError(
                "executor: expected a single process, got several, which divide the networks among them."
            )
        job = Job(task, settings, folder, seed, comm, progress)
        architecture = read_architecture(folder)
        ready = prepare(task, settings, seed)
        result = comm.once(lambda: _result_of(folder, task, ready.loaders, seed))
        space = ready.supernet.space
        space.check(architecture)

        def begin() -> None:
            begin_again(folder, result, job.config())

        with job.held():
            comm.once(begin)
            train_all(job, ready.loaders, space, executor)
    return folder


def _result_of(folder: Path, task: Task, loaders: Loaders, seed: int) -> dict[str, Any]:
    """Return result.json; a search in Python wrote none, so take its results from the log."""
    if (folder / RESULT).exists():
        result: dict[str, Any] = read_json(folder / RESULT)
        return result
    end = read_log(folder / LOG).end
    return {
        "metric": task.metric_on(loaders),
        "higher_is_better": task.higher_is_better,
        "seed": seed,
        **({} if end is None else {"steps": end.step, "reason": end.reason}),
        **({} if end is None or end.seconds is None else {"search_seconds": round(end.seconds, 1)}),
    }


def begin_again(folder: Path, result: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Record that nothing is trained from scratch yet, and remove what was trained with other settings."""
    remove_halves(folder)
    # Remove the scores first and the child last: if it is stopped in between, a resumed run trains by
    # config.yaml, with either the old settings or the new ones.
    write_result(folder, {**result, "found": None, "baseline": None, "random": []})
    write_config(folder, config)
    with writes_into(folder):
        for part in (CHILD, PICTURES):
            (folder / part).unlink(missing_ok=True)


def read_architecture(folder: Path) -> Architecture:
    """Return the found architecture of a run.

    Raises:
        RunError: The search has not ended, or the file is damaged.
    """
    path = folder / ARCHITECTURE
    if not path.exists():
        raise RunError(f"{path}: expected the result of a finished search, got no such file.")
    try:
        content = read_plain(path)
        refuse_excess(content)
        return Architecture.from_json(content.decode())
    except ValueError as error:
        raise RunError(f"{path}: {in_one_line(error)}.") from error


def train_all(job: Job, loaders: Loaders, space: Space, executor: Executor | None = None) -> None:
    """Train those of the found architecture, the baseline and the peers that result.json does not have yet.

    Each process trains one network, and all wait for each other before the next ones. With an executor, all
    networks are submitted at once.
    """
    task, settings, folder, comm = job.task, job.settings, job.folder, job.comm
    if settings.retrain_epochs == 0:
        return
    result = comm.once(lambda: read_json(folder / RESULT))
    draw = random.Random(job.seed)  # the same peers for every training seed
    first = job.seed if settings.retrain_seed is None else settings.retrain_seed
    found = Architecture.from_json(comm.once(lambda: read_architecture(folder).to_json()))
    # A baseline has no architecture. It has the seed of the found network, so that both see the same batches.
    networks = {_FOUND: _Network("found", 0, found), _BASELINE: _Network("baseline", 0, None)}
    for n in range(1, settings.peers + 1):
        networks[n] = _Network(f"random {n} of {settings.peers}", n, space.sample(draw))
    with graceful() as interrupt:

        def train_one(number: int) -> Trained:
            network = networks[number]
            with located(partial(_training_of, network)):
                trained = train_from_scratch(
                    task,
                    settings,
                    network.architecture,
                    loaders=loaders,
                    seed=_seed_of(first, network.seed),
                    title=f"train {network.title}",
                    progress=job.progress and comm.leads,
                    keep_going=interrupt.go_on,
                    run_seed=job.seed,
                )
            if number == _FOUND:
                keep_found(trained)
            return trained

        def keep_found(trained: Trained) -> None:
            save_child(folder / CHILD, trained.network, found)
            if task.pictures is not None:
                where = located(lambda: "While pictures were made of what the found network does.")
                with where, staged(job.seed, "pictures", loaders.test):
                    write_json(folder / PICTURES, task.pictures(trained.network, loaders))

        def keep(number: int, trained: dict[str, Any]) -> None:
            if number > 0:
                result["random"].append(trained)
            else:
                result["found" if number == _FOUND else "baseline"] = trained

        def train_these(numbers: Sequence[int]) -> list[dict[str, Any]]:
            return comm.deal(len(numbers), lambda i: train_one(numbers[i]), Trained.to_json)

        left = [_FOUND] if result["found"] is None else []
        left += [_BASELINE] if task.baseline is not None and result.get("baseline") is None else []
        left += range(1 + len(result["random"]), settings.peers + 1)
        if executor is not None:
            wanted = {n: (networks[n].architecture, _seed_of(first, networks[n].seed)) for n in left}
            for number, network in _trained_by(executor, task, settings, job.seed, wanted):
                if number == _FOUND:
                    keep_found(network)
                keep(number, network.to_json())
                write_result(folder, result)
                interrupt.go_on()
            return
        for start in range(0, len(left), comm.size):
            together = left[start : start + comm.size]
            for number, trained in zip(together, train_these(together), strict=True):
                keep(number, trained)
            if comm.leads:
                write_result(folder, result)


def _trained_by(
    executor: Executor,
    task: Task,
    settings: SearchSettings,
    run_seed: int,
    wanted: Mapping[int, tuple[Architecture | None, int]],
) -> Iterator[tuple[int, Trained]]:
    """Train networks in an executor and yield each when it is done, but the peers in order.

    Args:
        executor: Gets one call for each network.
        task: The task of the search.
        settings: How to train.
        run_seed: The seed of the run.
        wanted: Maps the number of a network to its architecture (None for the baseline) and training seed.
    """
    calls = {
        executor.submit(_trained_elsewhere, task, settings, architecture, seed, run_seed): number
        for number, (architecture, seed) in wanted.items()
    }
    early: dict[int, Trained] = {}
    peers = iter(sorted(number for number in wanted if number > 0))
    following = next(peers, None)
    try:
        for call in as_completed(calls):
            early[calls[call]] = call.result()
            for number in (_FOUND, _BASELINE):
                if number in early:
                    yield number, early.pop(number)
            while following in early:
                yield following, early.pop(following)
                following = next(peers, None)
    finally:
        for call in calls:
            call.cancel()


def _trained_elsewhere(
    task: Task, settings: SearchSettings, architecture: Architecture | None, seed: int, run_seed: int
) -> Trained:
    """Train a network where the executor runs the call, on data that are prepared there."""
    loaders = prepare(task, settings, run_seed).loaders
    trained = train_from_scratch(
        task,
        settings,
        architecture,
        loaders=loaders,
        seed=seed,
        title="train",
        progress=False,
        run_seed=run_seed,
    )
    return replace(trained, network=trained.network.to("cpu"))


def _training_of(network: "_Network") -> str:
    """Return the note for an error that is raised while a network is trained from scratch and scored."""
    of = (
        ""
        if network.architecture is None
        else f" of the architecture {in_one_line(dict(network.architecture))}"
    )
    return f"While the network {network.title!r}{of} was trained from scratch and scored. Fix it, and resume."


class _Network(NamedTuple):
    title: str
    seed: int
    architecture: Architecture | None


def _seed_of(seed: int, network: int) -> int:
    """Return the training seed of a network, so that no two have the same initial weights or batches."""
    return (1_000 * seed + network) % (MOST_SEED + 1)
