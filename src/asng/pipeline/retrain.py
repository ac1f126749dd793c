"""Training what was found, its random peers and a baseline from scratch."""

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
"""Numbers of networks; those from 1 on are random."""


def retrain_run(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seed: int = 0,
    progress: bool = True,
    executor: Executor | None = None,
) -> Path:
    """Train the architecture of a finished search, its random peers and a baseline anew with other settings.

    The old scores and the old child are replaced; stopped early, it is continued as a search is. The seed
    says which peers, and `settings.retrain_seed` where training begins.

    Args:
        task: What was searched for.
        settings: How to train, and how many peers.
        run_dir: The folder of the search.
        seed: That of the run, >= 0.
        progress: Show progress bars; an executor's trainings have none.
        executor: Has a call for each network, such as `asng.integrations.ray.RayExecutor` or that of Dask.
            Each call prepares the data anew where it runs. The executor is left open. Default: they are
            trained here, one after the other, or dealt out among the processes of torchrun.

    Raises:
        RunError: The folder has no found architecture.
        SpaceError: The architecture is none of this task.
        InputError: There are several processes and an executor.
    """
    folder = Path(run_dir)
    with joined() as comm:
        if executor is not None and comm.size > 1:
            raise InputError("executor: expected one process with it, got several, which share the networks.")
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
    """Return what result.json says, or of a search in Python, which wrote none, what its log says."""
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
    """Write down that nothing is trained from scratch yet, and remove what was with other settings."""
    remove_halves(folder)
    # Scores go first and the child last: were it stopped in between, a resume would train as the config
    # says, which is as before or as wished.
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
        raise RunError(f"{path}: expected what a finished search found, got no such file.")
    try:
        content = read_plain(path)
        refuse_excess(content)
        return Architecture.from_json(content.decode())
    except ValueError as error:
        raise RunError(f"{path}: {in_one_line(error)}.") from error


def train_all(job: Job, loaders: Loaders, space: Space, executor: Executor | None = None) -> None:
    """Train the found architecture, a baseline and the peers, as far as result.json does not have them.

    Each process trains another of them, and all are waited for before the next ones; or an executor trains
    all at once.
    """
    task, settings, folder, comm = job.task, job.settings, job.folder, job.comm
    if settings.retrain_epochs == 0:
        return
    result = comm.once(lambda: read_json(folder / RESULT))
    draw = random.Random(job.seed)  # whatever the seed of training: the same peers
    first = job.seed if settings.retrain_seed is None else settings.retrain_seed
    found = Architecture.from_json(comm.once(lambda: read_architecture(folder).to_json()))
    # A baseline has no architecture, and the seed of the found network: both see the same batches.
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
    """Have an executor train networks, and give each as it is done, but peers in their order.

    Args:
        executor: Has a call for each.
        task: What was searched for.
        settings: How to train.
        run_seed: That of the run.
        wanted: Number of a network to its architecture, None for the baseline, and the seed of its training.
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
    """Train a network where an executor has put the call, from data that are prepared there."""
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
    """Say that a network is trained from scratch and scored."""
    of = (
        ""
        if network.architecture is None
        else f" of the architecture {in_one_line(dict(network.architecture))}"
    )
    return (
        f"While the network {network.title!r}{of} was trained from scratch and scored. Mend it, and resume."
    )


class _Network(NamedTuple):
    title: str
    seed: int
    architecture: Architecture | None


def _seed_of(seed: int, network: int) -> int:
    """A seed for each architecture of a run: none shares its first weights or its batches with another."""
    return 1_000 * seed + network
