"""Run the whole grid in a run folder: parts run in several processes, and finished cells are on disk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from asng.black_box.processes import process_pool
from asng.checks import as_path, integer_at_least
from asng.errors import InputError, RunError
from asng.experiments.toy.simulate import ToyCell, simulate
from asng.experiments.toy.store import ToyStore
from asng.pipeline.begin import check_free
from asng.runs.config import defaults_of
from asng.runs.folder import CONFIG, read_config, remove_halves, remove_run, write_config
from asng.runs.locks import held
from asng.settings import GridPoint, ToySettings
from asng.tasks.reopen import settings_from
from asng.training.progress import progress_bar
from asng.training.signals import graceful

__all__ = ["resume_toy", "run_toy", "simulate_parts"]

_LOOK = 0.2
"""Seconds between two checks for a signal."""


def run_toy(
    settings: ToySettings,
    run_dir: str | Path,
    *,
    seeds: Sequence[int],
    overwrite: bool = False,
    workers: int = 2,
    progress: bool = True,
) -> Path:
    """Run every cell of the grid with every seed, and write `toy.json`.

    Args:
        settings: The problem and the grid.
        run_dir: The run folder.
        seeds: One seed or more, all different, each >= 0.
        overwrite: Remove an earlier run from the folder first.
        workers: Number of processes, >= 1; it does not affect the results. With more than one, guard the code
            of your script by `if __name__ == "__main__":`, because each process imports it.
        progress: Show a progress bar.

    Returns:
        The run folder.

    Raises:
        InputError: The seeds or the number of workers are not as described; nothing was written.
        RunError: The folder contains an earlier run, it cannot be written, or a process was killed.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the finished cells are on disk.

    Example:
        >>> import tempfile
        >>> small = ToySettings(iterations=20, methods=("SNG",), exponents=(0.5,), learning_rates=(0.05,))
        >>> folder = run_toy(small, tempfile.mkdtemp(), seeds=[0, 1], workers=1, progress=False)
        >>> sorted(file.name for file in folder.iterdir())
        ['config.yaml', 'toy.json']
    """
    seeds = _check(seeds, workers)
    folder = as_path("run_dir", run_dir)
    check_free(folder, resume=False, overwrite=overwrite)
    with held(folder):
        if overwrite:
            remove_run(folder)
        config = {"task": "toy", "toy": asdict(settings), "seeds": list(seeds)}
        write_config(folder, {**config, "defaults": {"toy": defaults_of(settings)}})
        return _go_on(folder, settings, seeds, workers=workers, progress=progress)


def resume_toy(run_dir: str | Path, *, workers: int = 2, progress: bool = True) -> Path:
    """Resume a grid with the settings in its folder; finished cells are not repeated.

    Args:
        run_dir: The run folder.
        workers: Number of processes, >= 1.
        progress: Show a progress bar.

    Returns:
        The run folder.

    Raises:
        InputError: `workers` is not as described.
        RunError: The folder contains no run of the toy problem, or a file in it is damaged; and as for
            `run_toy`.
        KeyboardInterrupt: As for `run_toy`.
    """
    workers = integer_at_least("workers", workers, 1)
    folder = as_path("run_dir", run_dir)
    config, where = read_config(folder), f"{folder / CONFIG}"
    if config["task"] != "toy":
        raise RunError(f"{where}: expected a run of the toy problem, got the task {config['task']!r:.80}.")
    values = config.get("toy")
    if isinstance(values, dict):
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    listed = config.get("seeds")
    seeds = listed if isinstance(listed, list) else []
    try:
        settings = settings_from(ToySettings, values, f"{where}, toy")
        seeds = _check(seeds, workers)
    except InputError as error:
        raise RunError(f"{where}: {error}") from error
    with held(folder):
        remove_halves(folder)
        return _go_on(folder, settings, seeds, workers=workers, progress=progress)


def _check(seeds: Sequence[int], workers: int) -> list[int]:
    integer_at_least("workers", workers, 1)
    seeds = [integer_at_least("seed", seed, 0) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected one or more different integers, got {list(seeds)!r}.")
    return seeds


def _go_on(
    folder: Path, settings: ToySettings, seeds: Sequence[int], *, workers: int, progress: bool
) -> Path:
    store = ToyStore(folder, settings, seeds)
    store.write()  # so that a report is possible from the start
    left = store.left()
    total = len(store) + sum(len(part) for part in left)
    with progress_bar("toy problem, cells", total, show=progress) as bar:
        bar.update(len(store))
        for cells in simulate_parts(settings, left, seeds, workers):
            store.add(cells)
            bar.update(len(store))
    return folder


def simulate_parts(
    settings: ToySettings, parts: Sequence[Sequence[GridPoint]], seeds: Sequence[int], workers: int
) -> Iterator[list[ToyCell]]:
    """Simulate parts of the grid, and yield each when it is done.

    Args:
        settings: The problem.
        parts: Parts of the grid, each with cells of one method.
        seeds: Seeds of the runs of every cell.
        workers: Number of processes; 1 means this process.

    Raises:
        RunError: A process was killed.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield simulate(settings, part, seeds)
        return
    try:
        with process_pool(min(workers, len(parts))) as pool:
            yield from _as_done({pool.submit(simulate, settings, part, seeds) for part in parts})
    except BrokenProcessPool as error:
        raise RunError(
            "toy: expected every process to finish its part, but one was killed. Did it run out of memory? "
            "Add --resume to continue with fewer --workers, or start again with fewer --seeds, which need "
            "less memory."
        ) from error


def _as_done(waiting: set[Future[list[ToyCell]]]) -> Iterator[list[ToyCell]]:
    with graceful() as interrupt:
        while waiting:
            done, waiting = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
            interrupt.go_on()
            for future in done:
                yield future.result()
